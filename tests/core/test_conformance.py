"""The conformance kit: a good component passes every check, and for every check there is one that fails it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from saidpo_core.conformance import Result, checks_of, run_checks
from saidpo_core.conformance.kit import Check, first_difference
from saidpo_core.hookspecs import KINDS
from saidpo_core.new_plugin import write_package
from saidpo_core.registry import Offer, Registry, load_registry
from tests.core.bad_plugins import FLAWS, Flaw

SLOW = {"generator", "trainer"}
CASES = [
    pytest.param(kind, check, flaw, id=f"{kind}-{check}", marks=[pytest.mark.slow] if kind in SLOW else [])
    for (kind, check), flaw in FLAWS.items()
]

Install = Callable[..., tuple[Registry, Offer]]


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """Write the package of ``saidpo new-plugin`` with one flaw, and put it where an installer would: on the path."""
    sys.path.insert(0, str(tmp_path))
    numbers = itertools.count()
    ours = load_registry()

    def make(kind: str, flaw: Flaw = ("", "")) -> tuple[Registry, Offer]:
        package = f"bad-{kind}"
        folder = write_package(ours, package, kind, tmp_path / f"source-{next(numbers)}")
        module = f"{package.replace('-', '_')}_{tmp_path.name.replace('-', '_')}"
        source = next((folder / "src").rglob(f"{kind.replace('-', '_')}.py")).read_text()
        assert source.count(flaw[0]) == 1 or not flaw[0], flaw[0]
        (tmp_path / f"{module}.py").write_text(source.replace(*flaw) if flaw[0] else source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[saidpo]\nbad = {module}\n")
        registry = load_registry([*Distribution.at(info).entry_points, *_ours()])
        assert registry.broken == []
        return registry, registry.find(kind, f"{package}/{package}", "")

    yield make
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if tmp_path.name.replace("-", "_") in name]:
        del sys.modules[name]


def _ours() -> list[object]:
    from importlib.metadata import entry_points

    return [entry for entry in entry_points(group="saidpo") if entry.dist and entry.dist.name == "saidpo"]


def outcome(results: list[Result]) -> dict[str, str]:
    return {item.check.name: f"{item.status} {item.message}".strip() for item in results}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SLOW])
def test_the_written_component_passes_every_check(install: Install, kind: str) -> None:
    registry, offer = install(kind)
    found = outcome(list(run_checks(offer, registry)))
    assert set(found.values()) <= {"passed"}, found
    assert len(found) >= 15


@pytest.mark.parametrize(("kind", "check", "flaw"), CASES)
def test_a_component_with_one_flaw_fails_the_check_of_that_promise(
    install: Install, kind: str, check: str, flaw: Flaw
) -> None:
    registry, offer = install(kind, flaw)
    (result,) = run_checks(offer, registry, [check])
    assert result.status == "failed", result
    assert result.message
    assert "Traceback" not in result.message


def test_there_is_a_bad_component_for_every_check() -> None:
    checks: dict[str, Check] = {f"{item.kind} {item.name}": item for kind in KINDS for item in checks_of(kind)}
    for_all = {check for _, check in FLAWS}
    missing = [
        name for name, item in checks.items()
        if (item.name not in for_all if item.kind is None else (item.kind, item.name) not in FLAWS)
    ]  # fmt: skip
    assert missing == []
    assert all(item.promise.endswith(".") for item in checks.values())


def test_every_kind_has_checks_of_its_own() -> None:
    for kind in KINDS:
        assert any(item.kind == kind for item in checks_of(kind)), kind


def test_first_difference_names_the_place() -> None:
    assert first_difference({"a": [1, 2.0, float("nan")]}, {"a": (1, 2.0, float("nan"))}) == ""
    assert first_difference({"a": [1, 2]}, {"a": [1, 3]}) == "a[1]: 2, then 3"
    assert first_difference([1], [1, 2]) == "result: [1], then [1, 2]"
    assert first_difference([1], [1.0]) == "[0]: 1, then 1.0"
