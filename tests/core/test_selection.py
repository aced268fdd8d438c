"""Which problems: sizes of the probe and the draw, the order by difficulty, the pairs that stay, the token limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from saidpo_core import Attempts, PluginError, ProblemSets
from saidpo_core.parts import Parts
from saidpo_core.prepare import Knowledge
from saidpo_core.problem_file import outline_of
from saidpo_core.registry import load_registry
from saidpo_core.selection import (
    build_pairs,
    by_difficulty,
    counts_of,
    draw_size,
    evidence_of,
    probe_rows,
    response_counts,
    token_limit,
    weigh_and_draw,
)
from saidpo_core.settings import RunOptions, resolve
from tests.builders import make_attempts, make_problem, make_response


def parts_of(**values: str) -> Parts:
    """The real components."""
    given = {key.replace("__", "-"): value for key, value in values.items()}
    registry = load_registry()
    return Parts(resolve(registry, given, {key: f"--{key}" for key in given}), registry)


PARTS = parts_of()


class Keys:
    """A difficulty that reads its chain of keys from the problem's id."""

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        return np.array([[float(key) for key in item.problem_id.split()] for item in attempts])


def knowledge_of(n: int, clusters: int = 2) -> Knowledge:
    sets = ProblemSets(problems=tuple(make_problem(f"p{row}") for row in range(n)))
    labels = np.arange(n, dtype=np.int64) % clusters
    return Knowledge(sets, outline_of(sets.problems), [()] * n, labels, np.zeros((n, 1), dtype=np.float32))


# Sizes


@pytest.mark.parametrize(
    ("n", "share", "least", "size"),
    [(50_000, 0.01, 120, 500), (50_001, 0.01, 120, 501), (5_000, 0.01, 120, 120), (60, 0.01, 120, 60), (100, 1, 1, 100),
     (100, 0, 1, 1)],
)  # fmt: skip
def test_the_probe_is_a_share_of_the_pool_but_at_least_so_many(n: int, share: float, least: int, size: int) -> None:
    rows = probe_rows(n, RunOptions(probe_share=share, probe_min=least), 1)
    assert len(rows) == len(set(rows.tolist())) == size
    assert set(rows.tolist()) <= set(range(n))


def test_the_probe_is_another_each_round_and_each_seed_and_the_same_again() -> None:
    def probe(seed: int, round: int) -> list[int]:
        return sorted(probe_rows(1000, RunOptions(seed=seed), round).tolist())

    assert probe(0, 1) == probe(0, 1)
    assert probe(0, 1) != probe(0, 2) != probe(1, 2)


@pytest.mark.parametrize(("n", "draw", "size"), [(5_000, "auto", 300), (40_000, "auto", 800), (40_000, 17, 17)])
def test_the_draw_is_two_percent_of_the_pool_but_at_least_300(n: int, draw: Any, size: int) -> None:
    assert draw_size(n, RunOptions(draw=draw)) == size


def test_the_token_limit_is_what_the_problems_of_a_round_would_take_at_the_rate_of_the_probe() -> None:
    probe = [make_attempts("rw", [make_response(tokens=t), make_response(tokens=t)]) for t in (10, 20, 30)]
    auto = RunOptions(round_tokens="auto", draw=7)
    assert token_limit(probe, 1000, auto) == 40 * (3 + 7)  # 40 tokens a problem
    assert token_limit(probe, 5, auto) == 40 * 5  # no more problems than the pool has
    assert token_limit(probe, 1000, RunOptions(round_tokens=12345)) == 12345
    assert token_limit(probe, 1000, RunOptions()) == 0


# Evidence


def test_evidence_counts_what_could_be_judged_and_leaves_out_the_rest() -> None:
    attempts = [
        make_attempts("rrwu", problem_id="p2"),
        make_attempts("uuuu", problem_id="p0"),
        make_attempts("wwww", problem_id="p1"),
    ]
    found = evidence_of(3, knowledge_of(4), attempts, {"p1", "p0"})
    assert found.round == 3
    assert found.rows.tolist() == [2, 1]
    assert found.right.tolist() == [2, 0]
    assert found.counted.tolist() == [3, 4]
    assert found.probed.tolist() == [False, True]


def test_counts_of_problems_and_of_responses() -> None:
    attempts = [make_attempts(outcomes) for outcomes in ("rr", "ru", "rw", "ww", "uw", "uu")]
    assert counts_of(attempts) == {"too_easy": 2, "usable": 1, "too_hard": 2, "unknown": 1}
    cut = make_attempts("uw", [make_response(truncated=True), make_response()])
    assert response_counts([*attempts, cut]) == {
        "responses": 14, "right": 4, "wrong": 5, "unverifiable": 5, "truncated": 1,
    }  # fmt: skip


# The draw


@pytest.mark.parametrize("sampler", ["uniform", "error-weighted"])
def test_new_problems_are_drawn_to_the_number_and_as_many_again_are_held_in_reserve(sampler: str) -> None:
    n, options = 400, RunOptions(draw=30)
    knowledge, probed = knowledge_of(n), np.arange(0, 200, 2)
    probe = [make_attempts("rwww", problem_id=f"p{row}") for row in probed]
    history = [evidence_of(1, knowledge, probe, {item.problem_id for item in probe})]
    draw = weigh_and_draw(parts_of(sampler=sampler), options, 1, knowledge, history, probed)
    rows, reserve = draw.rows.tolist(), draw.reserve.tolist()
    new, new_reserve = (set(part) - set(probed.tolist()) for part in (rows, reserve))
    assert len(new) == 30
    assert rows[-1] in new  # the draw ends with the last new one
    assert len(new_reserve) == 30
    assert len({*rows, *reserve}) == len(rows) + len(reserve)
    assert sum(draw.intended) == pytest.approx(1, abs=1e-5)


def test_a_pool_that_is_smaller_than_the_draw_is_drawn_whole() -> None:
    knowledge = knowledge_of(50)
    probe = [make_attempts("rw", problem_id="p0")]
    history = [evidence_of(1, knowledge, probe, {"p0"})]
    draw = weigh_and_draw(PARTS, RunOptions(draw=300), 1, knowledge, history, np.array([0]))
    assert sorted(draw.rows.tolist()) == list(range(50))
    assert draw.reserve.tolist() == []


# Order and pairs


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=12))
def test_the_hardest_come_first_key_by_key_and_equals_keep_their_order(keys: list[tuple[int, int, int]]) -> None:
    parts = parts_of()
    parts.difficulty = Keys()
    attempts = [make_attempts("rw", problem_id=" ".join(map(str, chain))) for chain in keys]
    found = by_difficulty(parts, RunOptions(), 1, attempts)
    # Python's sort is stable, and reverse keeps it so.
    expected = sorted(attempts, key=lambda item: tuple(map(int, item.problem_id.split())), reverse=True)
    assert list(map(id, found)) == list(map(id, expected))


def test_a_difficulty_that_gives_nan_is_named() -> None:
    parts = parts_of()
    parts.difficulty = Keys()
    with pytest.raises(PluginError, match=r"^difficulty steps of saidpo .* broke its promise in keys: a key is NaN$"):
        by_difficulty(parts, RunOptions(), 1, [make_attempts(problem_id="nan")])


def four_problems() -> list[Attempts]:
    """Of four responses 3, 1, 2 and all right, and one that is never right."""
    return [
        make_attempts(outcomes, problem_id=f"p{number}")
        for number, outcomes in enumerate(["rrrw", "rwww", "rrww", "rrrr", "wwww"])
    ]


def test_every_usable_problem_gives_a_pair_of_one_right_and_one_wrong_response() -> None:
    attempts = four_problems()
    pairs = build_pairs(PARTS, RunOptions(max_pairs=0), 1, attempts)
    assert [pair.problem_id for pair in pairs] == ["p0", "p1", "p2"]
    for pair, item in zip(pairs, attempts, strict=False):
        assert pair.chosen in item.right
        assert pair.rejected in item.wrong
        assert pair.prompt_ids == item.prompt_ids


def test_of_too_many_pairs_those_of_the_hardest_problems_stay() -> None:
    attempts = four_problems()
    every = {pair.problem_id: pair for pair in build_pairs(PARTS, RunOptions(max_pairs=0), 1, attempts)}
    for limit, kept in ((1, ["p1"]), (2, ["p1", "p2"]), (3, ["p1", "p2", "p0"]), (9, ["p1", "p2", "p0"])):
        pairs = build_pairs(PARTS, RunOptions(max_pairs=limit), 1, attempts)
        assert [pair.problem_id for pair in pairs] == kept
        # A problem's pair is the same whichever others are there.
        assert pairs == [every[problem] for problem in kept]


def test_by_default_one_pair_is_kept_for_four_explored_problems() -> None:
    assert [pair.problem_id for pair in build_pairs(PARTS, RunOptions(), 1, four_problems())] == ["p1"]
    eight = [make_attempts("rw", problem_id=f"p{number}") for number in range(8)]
    assert len(build_pairs(PARTS, RunOptions(), 1, eight)) == 2
    assert len(build_pairs(PARTS, RunOptions(), 1, eight[:1])) == 1


def test_without_a_usable_problem_there_are_no_pairs() -> None:
    for limit in (0, 5):
        assert build_pairs(PARTS, RunOptions(max_pairs=limit), 1, [make_attempts("rr"), make_attempts("ww")]) == []


def test_a_pair_builder_that_swaps_right_and_wrong_is_named() -> None:
    parts = parts_of()
    honest = parts.pair_builder

    class Swapped:
        def build(self, attempts: Attempts, rng: np.random.Generator) -> list[object]:
            return [replace(p, chosen=p.rejected, rejected=p.chosen) for p in honest.build(attempts, rng)]

    parts.pair_builder = Swapped()  # type: ignore[assignment]
    with pytest.raises(PluginError, match=r"pair-builder random of saidpo .* problem p0: the chosen response was not"):
        build_pairs(parts, RunOptions(), 1, [make_attempts("rw")])
