"""Difficulties: the order that they give, and what counts as a step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Attempts, Difficulty, NoOptions
from saidpo_plugins.difficulties.pass_rate import PassRateDifficulty
from saidpo_plugins.difficulties.random import RandomDifficulty
from saidpo_plugins.difficulties.steps import StepsDifficulty, count_steps
from tests.builders import make_attempts, make_response

ALL: list[Difficulty] = [StepsDifficulty(NoOptions()), PassRateDifficulty(NoOptions()), RandomDifficulty(NoOptions())]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def keys(difficulty: Difficulty, *attempts: Attempts) -> list[list[float]]:
    result: list[list[float]] = difficulty.keys(attempts, rng()).tolist()
    return result


def text_of(steps: int) -> str:
    return "\n".join(f"line {step}" for step in range(steps))


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", 0),
        (" \n \n", 0),
        ("2+2=4", 1),
        ("2+2=4\n#### 4", 2),
        ("one\ntwo\nthree\n", 3),
        ("a block\nof two lines\n\nanother", 2),
        ("first\n\n\n\nsecond\n \t\nthird\n\n", 3),
        ("windows\r\n\r\nline ends", 2),
        ("\n\none block\nof two lines\n\n", 2),
        ("A sentence. Then 3.5 is more! Is it? Yes", 4),
        ("no full stop, version 3.5 of it", 1),
    ],
)
def test_steps_are_blocks_else_lines_else_sentences(text: str, steps: int) -> None:
    assert count_steps(text) == steps


@st.composite
def attempts_lists(draw: st.DrawFn) -> list[tuple[Attempts, tuple[float, float, float]]]:
    """Attempts with what their keys have to be, from few values so that ties are common."""
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        right, steps, tokens = draw(st.integers(0, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
        response = make_response(text_of(steps), tokens=tokens)
        attempts = make_attempts("r" * right + "w" * (4 - right), [response] * 4)
        rows.append((attempts, (1 - right / 4, float(steps), float(tokens))))
    return rows


@given(attempts_lists())
def test_steps_orders_by_error_rate_then_steps_then_length(
    rows: list[tuple[Attempts, tuple[float, float, float]]],
) -> None:
    chain = keys(ALL[0], *(attempts for attempts, _ in rows))
    by_keys = sorted(range(len(rows)), key=lambda row: chain[row])
    assert by_keys == sorted(range(len(rows)), key=lambda row: rows[row][1])


def test_keys_are_means_over_right_and_wrong_responses() -> None:
    responses = [make_response(text_of(2), tokens=10), make_response(text_of(4), tokens=30)]
    assert keys(ALL[0], make_attempts("rw", responses)) == [[0.5, 3.0, 20.0]]


def test_truncated_responses_do_not_count_for_steps_and_length() -> None:
    cut = make_response(text_of(50), tokens=900, truncated=True)
    done = make_response(text_of(2), tokens=10)
    assert keys(ALL[0], make_attempts("rwu", [done, done, cut])) == [[0.5, 2.0, 10.0]]
    assert keys(ALL[0], make_attempts("ww", [cut, cut])) == [[1.0, 50.0, 900.0]], "all truncated: all count"


@pytest.mark.parametrize("difficulty", ALL[:2])
def test_unverifiable_responses_are_not_wrong_and_a_problem_with_nothing_else_is_easiest(
    difficulty: Difficulty,
) -> None:
    unjudged, half, solved = make_attempts("uuu"), make_attempts("ruw"), make_attempts("rrr")
    chain = keys(difficulty, unjudged, half, solved)
    assert [row[0] for row in chain] == [0.0, 0.5, 0.0]


@given(st.integers(0, 8), st.integers(0, 8))
def test_pass_rate_is_the_error_rate_alone(right: int, wrong: int) -> None:
    expected = wrong / (right + wrong) if right + wrong else 0.0
    assert keys(ALL[1], make_attempts("r" * right + "w" * wrong)) == [[pytest.approx(expected)]]


def test_random_is_the_generators_and_nothing_elses() -> None:
    attempts = [make_attempts("rw"), make_attempts("ww"), make_attempts("rr")]
    first = ALL[2].keys(attempts, rng(3))
    assert (first == ALL[2].keys(attempts, rng(3))).all()
    assert (first == ALL[2].keys(attempts[::-1], rng(3))).all()
    assert not (first == ALL[2].keys(attempts, rng(4))).any()


def test_random_puts_every_problem_first_equally_often() -> None:
    source, attempts = rng(9), [make_attempts("rw"), make_attempts("ww"), make_attempts("rr")]
    hardest = np.bincount([int(ALL[2].keys(attempts, source).argmax()) for _ in range(3000)])
    assert (np.abs(hardest - 1000) < 4 * np.sqrt(3000 * 2 / 9)).all()


@pytest.mark.parametrize(("difficulty", "width"), zip(ALL, (3, 1, 1), strict=True))
def test_shape_is_kept_and_nothing_is_nan(difficulty: Difficulty, width: int) -> None:
    assert difficulty.keys([], rng()).shape == (0, width)
    odd = [make_attempts(""), make_attempts("u"), make_attempts("w", [make_response("", tokens=0)])]
    result = difficulty.keys(odd, rng())
    assert result.shape == (3, width)
    assert result.dtype == np.float64
    assert np.isfinite(result).all()
