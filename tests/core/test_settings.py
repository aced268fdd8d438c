"""Settings: flag before TOML before the policy's advice before the default; forms of the file; differences."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Component, NoOptions, PluginError, Policy, UsageError, option
from saidpo_core.cli.flags import settings_from
from saidpo_core.hookspecs import KINDS
from saidpo_core.registry import Offer, Owner, Registry, load_registry
from saidpo_core.settings import Settings, differences, read_toml, resolve


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    lr: float = option(0.1, "learning rate", low=0)
    steps: int = option(10, "steps")
    batch_size: int = option(8, "pairs a step")


@dataclass(frozen=True, kw_only=True)
class OtherOptions:
    rank: int = option(4, "rank")


def small_registry() -> Registry:
    """One bundled component a kind; two trainers, of which only the default has a learning rate; one policy."""
    registry = Registry(pluggy.PluginManager("saidpo"))
    owner = Owner("saidpo", "0", "module")
    for kind in KINDS:
        options = TrainerOptions if kind == "trainer" else NoOptions
        registry.offers.append(
            Offer(kind, Component(name="usual", summary="", build=vars, default=True, options=options), owner)
        )
    registry.offers.append(
        Offer("trainer", Component(name="other", summary="", build=vars, options=OtherOptions), owner)
    )
    registry.policies.append(
        Policy(
            name="small",
            summary="",
            folder=Path("small"),
            settings={"trainer.lr": 0.2, "trainer.steps": 20, "rounds": 5},
            default=True,
        )
    )
    return registry


def settle(tmp_path: Path, file: str | None = None, **flags: str) -> Settings:
    """As the command line does it; a flag ``trainer__lr`` is ``--trainer.lr``."""
    path = None
    if file is not None:
        path = tmp_path / "settings.toml"
        path.write_text(file)
    given = {f"set__{key}" if "__" in key else f"set__{key}__" if key in KINDS else f"set____{key}": value
             for key, value in flags.items()}  # fmt: skip
    return settings_from(small_registry(), path, given)


def trainer(settings: Settings) -> Any:
    return settings.parts["trainer"].options


def test_flag_before_file_before_advice_before_default(tmp_path: Path) -> None:
    # learning rate: all four speak; steps: file, advice, default; rounds: advice, default; batch size: default only.
    file = "[trainer]\nlr = 0.3\nsteps = 30\n"
    settings = settle(tmp_path, file, trainer__lr="0.4")
    assert trainer(settings) == TrainerOptions(lr=0.4, steps=30, batch_size=8)
    assert settings.run.rounds == 5
    assert trainer(settle(tmp_path, file)) == TrainerOptions(lr=0.3, steps=30)
    assert trainer(settle(tmp_path)) == TrainerOptions(lr=0.2, steps=20)
    assert settle(tmp_path, rounds="7").run.rounds == 7
    assert settle(tmp_path, "rounds = 6").run.rounds == 6


def test_another_policy_has_no_part_in_the_advice(tmp_path: Path) -> None:
    settings = settle(tmp_path, model="some/where")
    assert trainer(settings) == TrainerOptions()
    assert settings.run.rounds == 3
    assert settings.policy is None


def test_advice_that_the_chosen_component_has_no_option_for_is_not_heeded(tmp_path: Path) -> None:
    assert trainer(settle(tmp_path, trainer="other")) == OtherOptions()


def test_a_flag_replaces_the_files_component_with_its_options(tmp_path: Path) -> None:
    file = '[trainer]\nname = "usual"\nlr = 0.3\n'
    assert trainer(settle(tmp_path, file, trainer="other")) == OtherOptions()
    # Whichever flag comes first.
    assert trainer(settle(tmp_path, file, trainer__rank="9", trainer="other")) == OtherOptions(rank=9)
    assert trainer(settle(tmp_path, file, trainer="usual")).lr == 0.3


@pytest.mark.parametrize("file", ['trainer = "other"', '[trainer]\nname = "other"', '"trainer" = {name = "other"}'])
def test_a_component_is_named_by_a_string_or_in_a_table(tmp_path: Path, file: str) -> None:
    settings = settle(tmp_path, file)
    assert settings.parts["trainer"].offer.component.name == "other"
    assert settle(tmp_path, file, trainer="usual").parts["trainer"].offer.component.name == "usual"


def test_options_in_a_table_need_no_name_and_dashes_are_underscores(tmp_path: Path) -> None:
    settings = settle(
        tmp_path, 'max-pairs = 9\nprobe_min = 7\n[trainer]\nbatch-size = 5\n[pair_builder]\nname = "usual"\n'
    )
    assert trainer(settings).batch_size == 5
    assert settings.run.max_pairs == 9
    assert settings.run.probe_min == 7


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("round = 3", "settings.toml: round: unknown key. Did you mean rounds?"),
        ("[traner]\nlr = 1", "settings.toml: traner: unknown key. Did you mean trainer?"),
        ("[trainer]\nlrr = 1", "settings.toml: trainer.lrr: trainer usual has no option 'lrr'. Did you mean lr?"),
        ("[trainer]\nlr = -1", "settings.toml: trainer.lr: must be >= 0, got -1"),
        ("rounds = 0", "settings.toml: rounds: must be >= 1, got 0"),
        ("rounds = 2.0", "settings.toml: rounds: expected integer, got 2.0"),
        ("samples = 1", "settings.toml: samples: must be >= 2, got 1"),
        ("trainer = 3", "settings.toml: trainer: expected a name, or a table with name and options"),
        ("[trainer]\nname = 3", "settings.toml: trainer: expected the name of a trainer, got 3"),
        ('trainer = "othr"', "settings.toml: trainer: unknown trainer 'othr'. Did you mean other?"),
        ("rounds = ", "settings.toml: not TOML: "),
        ("[run]\nrounds = 3", "settings.toml: run: unknown key."),
    ],
)
def test_what_is_wrong_in_the_file_is_named_by_file_and_key(tmp_path: Path, file: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        settle(tmp_path, file)
    assert said in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--config=.*none\.toml: no such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_toml(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'model = "\xe9"')
    with pytest.raises(UsageError, match=r"latin\.toml: cannot be read"):
        read_toml(tmp_path / "latin.toml")


@given(
    rounds=st.integers(1, 99),
    probe_share=st.floats(0, 1),
    draw=st.integers(1, 10**6) | st.just("auto"),
    clusterer=st.sampled_from(["kmeans", "none"]),
    mix=st.lists(st.floats(0.1, 100), min_size=3, max_size=3),
)
def test_the_record_of_a_run_given_as_config_makes_the_same_settings(
    tmp_path_factory: pytest.TempPathFactory, **values: Any
) -> None:
    registry = load_registry()
    values["pool.mix"] = values.pop("mix")
    first = resolve(registry, values, {key: key for key in values})
    path = tmp_path_factory.getbasetemp() / "run.toml"
    path.write_text(tomli_w.dumps({**first.as_tree(), "about": {"packages": {"torch": "2"}}}))
    again = resolve(registry, *read_toml(path))
    assert again.as_tree() == first.as_tree()
    assert again.run == first.run
    assert differences(tomllib.loads(tomli_w.dumps(first.as_tree())), first.as_tree()) == []


@dataclass(frozen=True, kw_only=True)
class PickyOptions:
    k: int = option(1, "k")

    def __post_init__(self) -> None:
        if self.k > 9:
            raise ValueError("k and the moon disagree")
        if self.k == 9:
            raise TypeError("a slip of its author")


def test_options_that_their_own_class_refuses_are_named_and_so_is_a_class_that_fails() -> None:
    registry = small_registry()
    offer = Offer("sampler", Component(name="x", summary="", build=vars, options=PickyOptions), Owner("s", "1", "m"))
    registry.offers.append(offer)
    with pytest.raises(UsageError, match=r"^k and the moon disagree$"):
        resolve(registry, {"sampler": "x", "sampler.k": 10}, {"sampler": "--sampler", "sampler.k": "--sampler.k"})
    with pytest.raises(PluginError, match=r"^sampler x of s 1 failed in its options: TypeError: "):
        resolve(registry, {"sampler": "x", "sampler.k": 9}, {"sampler": "--sampler", "sampler.k": "--sampler.k"})


def test_differences_name_each_key_with_both_values() -> None:
    old = {"rounds": 3, "trainer": {"name": "dpo", "lr": 0.1}, "pool": {"name": "jsonl", "path": "a"}}
    new = {"rounds": 3, "trainer": {"name": "dpo", "lr": 0.2}, "pool": {"name": "jsonl", "size": 9}}
    assert differences(old, old) == []
    assert differences(old, new) == ["trainer.lr: 0.1 -> 0.2", "pool.path: a -> None", "pool.size: None -> 9"]
