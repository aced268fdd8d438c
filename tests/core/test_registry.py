"""Plug-ins: real modules behind real entry points; what is broken is named and takes nothing else with it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

import pytest

from saidpo_core import UsageError
from saidpo_core.hookspecs import KINDS
from saidpo_core.registry import Registry, load_registry

HEAD = """
from dataclasses import dataclass
from saidpo_core import Component, NoOptions, Policy, hookimpl, option

class Mine:
    def __init__(self, options):
        self.options = options
"""
KMEANS = """
@hookimpl
def saidpo_clusterers():
    return [Component(name="kmeans", summary="another one", build=Mine, default=True)]
"""

Plugin = Callable[..., EntryPoint]


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    """Write a module, install it under a distribution's name (metadata in a dist-info folder), give its entry point."""
    sys.path.insert(0, str(tmp_path))
    numbers = itertools.count()
    made: list[str] = []

    def make(source: str, distribution: str = "stranger", head: str = HEAD) -> EntryPoint:
        name = f"{tmp_path.name.replace('-', '_')}_plugin_{next(numbers)}"
        made.append(name)
        (tmp_path / f"{name}.py").write_text(head + source)
        info = tmp_path / f"{name}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text(f"[saidpo]\nx = {name}\n")
        (entry,) = Distribution.at(info).entry_points
        return entry

    yield make
    sys.path.remove(str(tmp_path))
    for name in made:
        sys.modules.pop(name, None)


def ours() -> list[EntryPoint]:
    return [entry for entry in entry_points(group="saidpo") if entry.dist and entry.dist.name == "saidpo"]


@pytest.fixture
def good(plugin: Plugin) -> EntryPoint:
    return plugin(KMEANS, "good-neighbour")


def problem_of(registry: Registry) -> str:
    assert len(registry.broken) == 1, registry.broken
    return str(registry.broken[0])


def test_ours_are_whole_and_have_one_default_a_kind() -> None:
    registry = load_registry(ours())
    assert registry.broken == []
    for kind in KINDS:
        assert len([offer for offer in registry.of_kind(kind) if offer.default]) == 1, kind
        assert registry.default(kind).bundled
    assert [policy.name for policy in registry.policies if policy.default] == ["embedded"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import not_installed_anywhere\n", "No module named 'not_installed_anywhere'"),
        ("def f(:\n", "SyntaxError"),
        ("raise RuntimeError('no GPU')\n", "RuntimeError: no GPU"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("@hookimpl\ndef saidpo_clusterer():\n    return []\n",
         "no hook 'saidpo_clusterer'. Did you mean saidpo_clusterers?"),
        ("@hookimpl\ndef saidpo_clusterers(k):\n    return []\n", "saidpo_clusterers"),
        ("@hookimpl\ndef saidpo_clusterers():\n    return ['kmeans']\n",
         "saidpo_clusterers: expected Component objects, got str"),
        ("@hookimpl\ndef saidpo_clusterers():\n    return None\n", "saidpo_clusterers: TypeError"),
        ("@hookimpl\ndef saidpo_clusterers():\n    raise OSError('no licence file')\n",
         "saidpo_clusterers: OSError: no licence file"),
        ("@hookimpl\ndef saidpo_clusterers():\n    return [Component(name='K Means', summary='', build=Mine)]\n",
         "the name 'K Means' of a clusterer must be lower-case"),
        ("@hookimpl\ndef saidpo_clusterers():\n    return [Component(name=7, summary='', build=Mine)]\n", "the name 7"),
        ("@hookimpl\ndef saidpo_clusterers():\n    return [Component(name='x', summary='', build=1, options=dict)]\n",
         "the options of 'x' must be a dataclass"),
        ("@dataclass\nclass Options:\n    k: int\n"
         "@hookimpl\ndef saidpo_clusterers():\n"
         "    return [Component(name='x', summary='', build=Mine, options=Options)]\n",
         "the options of 'x' need a default for 'k'"),
        ("@hookimpl\ndef saidpo_policies():\n    return ['my-model']\n", "expected Policy objects, got str"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_named_and_the_others_work(plugin: Plugin, good: EntryPoint, source: str, said: str) -> None:
    registry = load_registry([plugin(source, "broken-one"), good])
    assert said in problem_of(registry)
    assert problem_of(registry).startswith("broken-one 1.2.3 (")
    assert [offer.qualified for offer in registry.offers] == ["good-neighbour/kmeans"]


def test_a_plugin_with_an_unknown_hook_offers_and_observes_nothing(plugin: Plugin) -> None:
    source = KMEANS + "@hookimpl\ndef saidpo_after_rnd(row): ...\n@hookimpl\ndef saidpo_after_round(row): ...\n"
    registry = load_registry([plugin(source)])
    assert "Did you mean saidpo_after_round?" in problem_of(registry)
    assert registry.offers == []
    assert registry.manager.hook.saidpo_after_round.get_hookimpls() == []


def test_one_bad_component_does_not_cost_its_plugin_the_others(plugin: Plugin) -> None:
    source = """
@hookimpl
def saidpo_clusterers():
    return [Component(name="BAD", summary="", build=Mine), Component(name="fine", summary="", build=Mine)]
@hookimpl
def saidpo_samplers():
    return [Component(name="fine", summary="", build=Mine)]
"""
    registry = load_registry([plugin(source)])
    assert "'BAD'" in problem_of(registry)
    assert [(offer.kind, offer.component.name) for offer in registry.offers] == [
        ("clusterer", "fine"), ("sampler", "fine"),
    ]  # fmt: skip


def test_a_strangers_kmeans_does_not_replace_ours_and_is_reached_by_its_full_name(good: EntryPoint) -> None:
    for entries in ([good, *ours()], [*ours(), good]):
        registry = load_registry(entries)
        assert registry.broken == []
        assert registry.find("clusterer", "kmeans", "--clusterer").bundled
        assert registry.default("clusterer").bundled
        theirs = registry.find("clusterer", "good-neighbour/kmeans", "--clusterer")
        assert str(theirs) == "clusterer kmeans of good-neighbour 1.2.3"
        assert registry.find("clusterer", "saidpo/kmeans", "--clusterer").bundled


def test_a_name_that_two_strangers_offer_has_to_be_said_in_full(plugin: Plugin) -> None:
    source = KMEANS.replace("kmeans", "dbscan")
    registry = load_registry([plugin(source, "one"), plugin(source, "two"), *ours()])
    with pytest.raises(UsageError, match=r"--clusterer: several packages offer .*'dbscan'.*: one/dbscan, two/dbscan"):
        registry.find("clusterer", "dbscan", "--clusterer")
    assert registry.find("clusterer", "two/dbscan", "--clusterer").owner.distribution == "two"


def test_a_name_that_one_package_offers_twice_is_broken_since_nothing_could_tell_them_apart(plugin: Plugin) -> None:
    source = KMEANS.replace("kmeans", "dbscan")
    registry = load_registry([plugin(source, "one"), plugin(source, "one")])
    assert "one offers another clusterer of the name 'dbscan'" in problem_of(registry)
    assert registry.find("clusterer", "dbscan", "").qualified == "one/dbscan"


def test_an_unknown_name_is_refused_with_the_nearest(plugin: Plugin) -> None:
    with pytest.raises(UsageError, match=r"^--clusterer: unknown clusterer 'kmean'\. Did you mean kmeans\?$"):
        load_registry(ours()).find("clusterer", "kmean", "--clusterer")
    with pytest.raises(UsageError, match=r"\(could not be loaded: stranger 1\.2\.3; see saidpo plugins\)"):
        load_registry([plugin("1/0\n"), *ours()]).find("clusterer", "dbscan", "--clusterer")


def test_without_ours_the_default_is_missed_and_not_replaced(good: EntryPoint) -> None:
    with pytest.raises(UsageError, match="no bundled clusterer could be loaded"):
        load_registry([good]).default("clusterer")


def test_a_strangers_policy_is_neither_the_default_nor_ours(plugin: Plugin) -> None:
    source = """
from pathlib import Path
@hookimpl
def saidpo_policies():
    return [Policy(name=name, summary="", folder=Path("elsewhere"), default=True) for name in ("embedded", "other")]
"""
    registry = load_registry([plugin(source), *ours()])
    assert registry.broken == []
    assert [policy.name for policy in registry.policies if policy.default] == ["embedded"]
    first = next(policy for policy in registry.policies if policy.name == "embedded")
    assert first.folder != Path("elsewhere")
    assert "other" in [policy.name for policy in registry.policies]


def test_each_domain_goes_to_the_chosen_verifier_if_it_can_else_to_one_of_ours(plugin: Plugin) -> None:
    source = """
@hookimpl
def saidpo_verifiers():
    return [Component(name="chess", summary="", build=Mine, domains=("chess",))]
"""
    registry = load_registry([plugin(source), *ours()])
    chosen = registry.find("verifier", "chess", "--verifier")
    assert registry.verifier_for("chess", chosen) is chosen
    assert registry.verifier_for("math", chosen) == registry.default("verifier")
    with pytest.raises(UsageError, match=r"no verifier for the domain 'mth'\. Did you mean math\?"):
        registry.verifier_for("mth", chosen)
    # A stranger's verifier that was not chosen judges nothing.
    with pytest.raises(UsageError, match="no verifier for the domain 'chess'"):
        registry.verifier_for("chess", registry.default("verifier"))


def test_a_generator_may_not_have_an_option_that_the_core_has_for_all(plugin: Plugin) -> None:
    source = """
@dataclass(frozen=True, kw_only=True)
class Options:
    early_stop: bool = option(False, "mine")

@hookimpl
def saidpo_generators():
    return [Component(name="mine", summary="s", build=Mine, options=Options)]

@hookimpl
def saidpo_clusterers():
    return [Component(name="mine", summary="s", build=Mine, options=Options)]
"""
    registry = load_registry([*ours(), plugin(source)])
    (broken,) = registry.broken
    assert "the options of 'mine' must not have 'early_stop'" in str(broken)
    assert [offer.kind for offer in registry.offers if offer.component.name == "mine"] == ["clusterer"]
