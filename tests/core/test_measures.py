"""Numbers of the record: repetition, lengths, and the sums that a one-way layout needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Response
from saidpo_core.measures import error_sums, mean_length, probe_facts, repetition
from tests.builders import make_attempts, make_response


def of_tokens(*ids: int) -> Response:
    return Response(text="", token_ids=ids, logprobs=(0.0,) * len(ids), finish_reason="stop")


@pytest.mark.parametrize(
    ("ids", "expected"), [((), 0.0), ((1, 2, 3), 0.0), ((1, 2, 3, 4, 5), 0.0), ((7,) * 13, 0.9), ((1, 2) * 4, 0.6)]
)
def test_repetition_is_the_share_of_four_grams_that_were_there_before(ids: tuple[int, ...], expected: float) -> None:
    assert repetition(of_tokens(*ids)) == pytest.approx(expected)


@given(st.lists(st.integers(0, 3), max_size=60))
def test_saying_it_twice_repeats_more(ids: list[int]) -> None:
    once, twice = repetition(of_tokens(*ids)), repetition(of_tokens(*ids, *ids))
    assert 0 <= once <= twice < 1


def test_facts_of_a_probe() -> None:
    probe = [make_attempts("rrww", problem_id="a"), make_attempts("rrrr", problem_id="b"), make_attempts("uu")]
    facts = probe_facts(probe)
    rates = np.array([0.5, 1.0])
    assert facts["pass_rate"] == pytest.approx(0.75)
    assert facts["pass_rate_error"] == pytest.approx(rates.std(ddof=1) / np.sqrt(2), abs=1e-6)
    assert facts["length"] == pytest.approx(4.0)
    assert facts["truncated"] == 0


def test_of_nothing_there_are_no_facts() -> None:
    assert probe_facts([]) == {
        "pass_rate": None, "pass_rate_error": None, "length": None, "repetition": None, "truncated": None,
    }  # fmt: skip
    assert mean_length([make_attempts("rr")], "wrong") is None
    assert error_sums([make_attempts("uu")]) == [0, 0, 0]


def test_lengths_by_outcome_and_sums_of_errors() -> None:
    item = make_attempts("rw", [make_response(tokens=3), make_response(tokens=9)])
    assert (mean_length([item], "right"), mean_length([item], "wrong")) == (3, 9)
    assert error_sums([item, make_attempts("rrrw")]) == [2, 0.75, 0.3125]
