"""Pair builder ``random``: one pair, chosen right, rejected wrong, every pair equally likely."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import NoOptions
from saidpo_plugins.pair_builders.random import RandomPairBuilder
from tests.builders import make_attempts

BUILDER = RandomPairBuilder(NoOptions())


@given(st.text("rwu", min_size=2, max_size=10), st.integers(0, 2**32))
def test_one_pair_of_a_right_and_a_wrong_response_of_the_problem(outcomes: str, seed: int) -> None:
    attempts = make_attempts(outcomes, problem_id="p7")
    pairs = BUILDER.build(attempts, np.random.default_rng(seed))
    assert len(pairs) == attempts.usable
    for pair in pairs:
        assert pair.problem_id == "p7"
        assert pair.prompt_ids == attempts.prompt_ids
        assert outcomes[attempts.responses.index(pair.chosen)] == "r"
        assert outcomes[attempts.responses.index(pair.rejected)] == "w"
    assert pairs == BUILDER.build(attempts, np.random.default_rng(seed)), "the same generator, the same pair"


@pytest.mark.parametrize("outcomes", ["", "rrr", "www", "uu", "ru", "uw"])
def test_without_a_right_and_a_wrong_response_there_is_no_pair(outcomes: str) -> None:
    assert BUILDER.build(make_attempts(outcomes), np.random.default_rng(0)) == []


def test_every_pair_comes_up_equally_often() -> None:
    attempts, rng = make_attempts("rwrwwu"), np.random.default_rng(11)
    times, possible = 6000, 2 * 3
    seen = Counter((p.chosen.text, p.rejected.text) for _ in range(times) for p in BUILDER.build(attempts, rng))
    assert len(seen) == possible
    sd = np.sqrt(times / possible * (1 - 1 / possible))
    assert all(abs(count - times / possible) < 4 * sd for count in seen.values())
