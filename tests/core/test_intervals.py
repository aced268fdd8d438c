"""Intervals of accuracies against SciPy's, and against the truth that they should hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saidpo_core.intervals import accuracy_interval, mean_interval


@given(st.integers(1, 400), st.data())
def test_of_one_response_a_problem_it_is_wilsons_interval(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    theirs = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert accuracy_interval([1] * right + [0] * (n - right)) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(
    st.integers(1, 32).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k), min_size=1, max_size=40)))
)
def test_the_interval_holds_the_accuracy_and_stays_in_bounds(case: tuple[int, list[int]]) -> None:
    samples, right = case
    low, high = accuracy_interval(right, samples)
    assert 0 <= low <= sum(right) / len(right) / samples <= high <= 1
    assert low < high


def test_more_samples_of_the_same_problems_narrow_it_only_as_far_as_problems_differ() -> None:
    """Responses that all agree within a problem tell no more than one of them would; independent ones do."""
    agreeing = accuracy_interval([0, 32] * 15, 32)
    assert np.diff(agreeing) > np.diff(accuracy_interval([0, 1] * 15))
    independent = accuracy_interval([15, 17] * 15, 32)
    assert np.diff(independent) < np.diff(agreeing) / 4


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.8), (0.8, 0.4), (20.0, 20.0)])
def test_it_holds_the_true_accuracy_in_95_of_100_evaluations(a: float, b: float) -> None:
    """avg@16 on 30 problems, as on AIME24, whose difficulties come from Beta(a, b); 3 standard errors of 600 trials."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(600):
        right = rng.binomial(16, rng.beta(a, b, 30))
        low, high = accuracy_interval(right.tolist(), 16)
        held += low <= a / (a + b) <= high
    assert held / 600 > 0.95 - 3 * (0.95 * 0.05 / 600) ** 0.5


def test_the_interval_of_a_mean_of_equals_narrows_with_the_square_root() -> None:
    low, high = mean_interval([0.5] * 4, [(0.4, 0.6)] * 4)
    assert (low, high) == pytest.approx((0.45, 0.55))
    assert mean_interval([0.3], [(0.2, 0.5)]) == pytest.approx((0.2, 0.5))
