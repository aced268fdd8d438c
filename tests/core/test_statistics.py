"""The paired comparison against SciPy's own paired t-test."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from saidpo_core.statistics import mean_and_sd, paired_difference

accuracy = st.integers(0, 1000).map(lambda value: value / 1000)


@given(st.lists(st.tuples(accuracy, accuracy), min_size=2, max_size=12))
def test_mean_interval_and_p_are_those_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    arm, reference = [a for a, _ in pairs], [b for _, b in pairs]
    spread = np.std(np.subtract(arm, reference), ddof=1)
    assume(spread > 1e-9)
    mine, theirs = paired_difference(arm, reference), stats.ttest_rel(arm, reference)
    interval = theirs.confidence_interval(0.95)
    assert mine.n == len(pairs)
    assert mine.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (mine.low, mine.high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-12)
    assert mine.mean == pytest.approx(np.mean(arm) - np.mean(reference), abs=1e-12)
    assert mine.significant == (theirs.pvalue < 0.05)


def test_the_difference_is_arm_minus_reference() -> None:
    assert paired_difference([0.7, 0.8, 0.8], [0.6, 0.6, 0.7]).mean == pytest.approx(0.4 / 3)


@pytest.mark.parametrize(("arm", "p"), [([0.5, 0.75], 1.0), ([1.0, 1.25], 0.0)])
def test_differences_without_spread(arm: list[float], p: float) -> None:
    found = paired_difference(arm, [0.5, 0.75])
    assert found.p == p
    assert found.low == found.mean == found.high


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_mean_and_sample_standard_deviation(values: list[float]) -> None:
    mean, sd = mean_and_sd(values)
    assert mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert sd == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-6)


def test_one_value_has_no_spread() -> None:
    assert mean_and_sd([0.25]) == (0.25, 0.0)
