"""``early_stop``: an option of every generator that the core heeds, and what stopping does to what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Attempts, UsageError
from saidpo_core.cli.flags import component_options, settings_from
from saidpo_core.kind_options import RolloutOptions, taken_names
from saidpo_core.registry import load_registry
from saidpo_core.settings import read_toml, resolve
from tests.builders import make_attempts

WAVES = RolloutOptions(early_stop="pair").waves(8)
CHANCES = (0.02, 0.2, 0.5, 0.9, 0.99)


@pytest.mark.parametrize("generator", ["transformers", "scripted", "openai"])
def test_every_generator_has_it_as_a_flag_and_in_a_file(generator: str, tmp_path: Path) -> None:
    registry = load_registry()
    offer = registry.find("generator", generator, "test")
    flags = [flag for option in component_options(offer) for flag in option.opts]
    assert {"--generator.early_stop", "--generator.give_up"} <= set(flags)
    file = tmp_path / "run.toml"
    file.write_text(f'[generator]\nname = "{generator}"\nearly_stop = "pair"\ngive_up = 4\n')
    settings = settings_from(registry, file, {"set__generator__give_up": "6"})
    assert settings.parts["generator"].core == RolloutOptions(early_stop="pair", give_up=6)
    tree = settings.as_tree()
    assert (tree["generator"]["early_stop"], tree["generator"]["give_up"]) == ("pair", 6)


def test_what_a_run_records_gives_the_same_settings_again(tmp_path: Path) -> None:
    import tomli_w

    registry = load_registry()
    first = resolve(registry, {"generator.early_stop": "pair"}, {"generator.early_stop": "here"})
    (tmp_path / "run.toml").write_text(tomli_w.dumps(first.as_tree()))
    assert resolve(registry, *read_toml(tmp_path / "run.toml")).as_tree() == first.as_tree()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"early_stop": "pairs"}, "here: expected no.pair, got 'pairs'"),
        ({"give_up": "4"}, "needs --generator.early_stop=pair"),
        ({"early_stop": "pair", "give_up": "1"}, "a single response gives no pair"),
        ({"early_stop": "pair", "give_up": "-1"}, "must be >= 0"),
        ({"early_stops": "pair"}, "Did you mean early_stop"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, str], told: str) -> None:
    given = {f"generator.{key}": value for key, value in values.items()}
    with pytest.raises(UsageError, match=told):
        resolve(load_registry(), given, dict.fromkeys(given, "here"))


def test_no_bundled_component_has_an_option_of_these_names() -> None:
    for offer in load_registry().offers:
        assert taken_names(offer.kind, offer.component.options) == []


def stopped(chance: float) -> Iterator[tuple[float, Attempts, Attempts]]:
    """Each way in which K = 8 responses can come out: its probability, what is asked of it, and the whole."""
    for letters in product("rw", repeat=8):
        asked = 0
        for wave in WAVES:
            asked += wave
            if len(set(letters[:asked])) == 2:
                break
        likelihood = prod(chance if letter == "r" else 1 - chance for letter in letters)
        whole = make_attempts("".join(letters))
        yield likelihood, whole.first(asked), whole


def expected(chance: float, value: Any) -> float:
    return sum(likelihood * value(item) for likelihood, item, _ in stopped(chance))


@pytest.mark.parametrize("chance", CHANCES)
def test_the_first_wave_gives_the_pass_rate_without_bias_and_all_responses_do_not(chance: float) -> None:
    assert expected(chance, lambda item: item.first(WAVES[0]).pass_rate) == pytest.approx(chance)
    bias = expected(chance, lambda item: item.pass_rate) - chance
    if chance == 0.5:
        assert bias == pytest.approx(0)
    else:
        assert bias * (0.5 - chance) > 1e-4, "towards one half"


@pytest.mark.parametrize("chance", CHANCES)
def test_whether_a_problem_gives_a_pair_is_known_without_bias(chance: float) -> None:
    for _, item, whole in stopped(chance):
        assert item.usable == whole.usable
        assert item.usable == (0 < len(item.right) < item.counted)


def test_the_expected_pass_rate_is_right_on_average_however_the_asking_ended() -> None:
    """Over all chances alike: among problems that ended with the same counts, it is their mean chance."""
    steps, endings = 100, _ways()
    mass: dict[tuple[int, int], float] = {}
    weighted: dict[tuple[int, int], float] = {}
    for step in range(steps):
        chance = (step + 0.5) / steps
        for asked, ways in endings.items():
            for right, count in ways.items():
                likelihood = count * chance**right * (1 - chance) ** (asked - right)
                key = (right, asked)
                mass[key] = mass.get(key, 0) + likelihood
                weighted[key] = weighted.get(key, 0) + likelihood * chance
    assert len(mass) > 10
    for right, asked in mass:
        told = make_attempts("r" * right + "w" * (asked - right)).expected_pass_rate
        assert weighted[right, asked] / mass[right, asked] == pytest.approx(told, abs=1e-3)


def _ways() -> dict[int, dict[int, int]]:
    """Responses asked for -> right ones among them -> in how many ways the asking ends so."""
    found: dict[int, dict[int, int]] = {}
    seen: set[tuple[str, ...]] = set()
    for _, item, _ in stopped(0.5):
        letters = tuple(verdict.outcome for verdict in item.verdicts)
        if letters not in seen:
            seen.add(letters)
            ways = found.setdefault(len(letters), {})
            ways[letters.count("right")] = ways.get(letters.count("right"), 0) + 1
    return found
