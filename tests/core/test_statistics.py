"""The statistics of a study against scipy, against known tables, and against what they promise."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saidpo_core.statistics import difference, holm, mean_and_sd, noncentrality
from saidpo_core.study.analysis import Run

numbers = st.floats(-1, 1, allow_nan=False, width=32)


@given(st.lists(numbers, min_size=3, max_size=12).filter(lambda v: np.std(v) > 1e-6))
def test_on_one_base_it_is_the_paired_t_test(values: list[float]) -> None:
    found = difference({"base": values})
    known = stats.ttest_1samp(values, 0.0)
    interval = known.confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.p == pytest.approx(known.pvalue, rel=1e-6, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    assert math.isnan(found.bases_low)


def test_what_differs_between_bases_does_not_widen_the_interval_for_these_bases() -> None:
    noise = [-0.01, 0.0, 0.01]
    alike = difference(dict.fromkeys("abc", noise))
    apart = difference({b: [x + shift for x in noise] for b, shift in zip("abc", (-0.1, 0.0, 0.1), strict=True)})
    assert apart.high - apart.low == pytest.approx(alike.high - alike.low)
    assert apart.bases_high - apart.bases_low > 10 * (apart.high - apart.low)


@pytest.mark.slow
def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    hits = others = 0
    for _ in range(600):
        effect = {b: 0.3 + rng.normal(0, 0.5) for b in "abcd"}
        found = difference({b: list(mean + rng.normal(0, 1, 5)) for b, mean in effect.items()})
        hits += found.low <= np.mean(list(effect.values())) <= found.high
        others += found.bases_low <= 0.3 <= found.bases_high
    assert 0.93 < hits / 600 < 0.97
    assert 0.93 < others / 600 < 0.97


def test_too_few_pairs_are_not_tested() -> None:
    one = difference({"a": [0.1], "b": [0.3]})
    assert one.mean == pytest.approx(0.2)
    assert math.isnan(one.p)
    assert math.isnan(one.low)
    none = difference({"a": []})
    assert none.pairs == 0
    assert math.isnan(none.mean)


def test_differences_without_spread() -> None:
    same = difference({"a": [0.0, 0.0], "b": [0.0, 0.0]})
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0)
    # 0.8 - 0.7 and 0.7 - 0.6 are the same tenth, and differ as floats.
    for alike in ([0.1, 0.1], [0.8 - 0.7, 0.7 - 0.6], [0.1] * 9):
        found = difference({"a": alike})
        assert found.mean == pytest.approx(0.1)
        assert all(map(math.isnan, (found.p, found.low, found.high, found.effect)))


@pytest.mark.parametrize(("t", "free"), [(2.0, 4), (-1.0, 9), (0.0, 3), (8.0, 12), (40.0, 4)])
def test_the_effects_interval_has_a_fortieth_on_each_side(t: float, free: int) -> None:
    low, high = noncentrality(t, free)
    assert low < t < high or t == 0
    assert stats.nct.sf(t, free, low) == pytest.approx(0.025, abs=1e-4)
    assert stats.nct.cdf(t, free, high) == pytest.approx(0.025, abs=1e-4)


def test_holm_as_in_the_textbook() -> None:
    # Aickin and Gensler 1996, p = .01, .04, .03, .005.
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), min_size=1, max_size=8))
def test_correction_keeps_the_order_and_never_helps(ps: dict[str, float]) -> None:
    found = holm(ps)
    assert all(p <= found[name] <= 1 for name, p in ps.items())
    order = sorted(ps, key=lambda name: ps[name])
    assert all(found[a] <= found[b] for a, b in pairwise(order))


def test_an_untested_arm_counts_and_stays_untested() -> None:
    found = holm({"a": 0.02, "b": math.nan})
    assert found["a"] == pytest.approx(0.04)
    assert math.isnan(found["b"])


def test_scores() -> None:
    run = Run((0.5, 0.6, 0.8), {"tokens": 50_000.0})
    assert run.score("final") == 0.8
    assert run.score("mean") == pytest.approx(0.7)
    assert run.score("round-1") == 0.6
    assert run.score("per-100k-tokens") == pytest.approx(0.6)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_mean_and_sample_standard_deviation(values: list[float]) -> None:
    mean, sd = mean_and_sd(values)
    assert mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert sd == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-6)


def test_one_value_has_no_spread() -> None:
    assert mean_and_sd([0.25]) == (0.25, 0.0)
