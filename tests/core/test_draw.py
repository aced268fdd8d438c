"""The draw: the law of a sequential weighted draw without replacement, exactly; draw order; speed."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saidpo_core.draw import draw, draw_new

WEIGHTS = st.lists(st.just(0.0) | st.floats(1e-9, 1e9), min_size=1, max_size=30).map(np.array)
SEEDS = st.integers(0, 2**32)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def probability(order: tuple[int, ...], weights: list[float]) -> float:
    """Chance that a sequential draw without replacement gives just this order."""
    left, result = math.fsum(weights), 1.0
    for row in order:
        result *= weights[row] / left
        left -= weights[row]
    return result


@pytest.mark.parametrize(
    ("weights", "n"), [([4, 2, 1, 0], 2), ([1, 1, 1, 1], 3), ([0.1, 5, 0.7, 2, 2], 2), ([7, 1, 3], 1)]
)
def test_orders_come_up_with_their_exact_probabilities(weights: list[float], n: int) -> None:
    times = 20_000
    source = rng(20)
    seen = Counter(tuple(draw(np.array(weights), n, source).tolist()) for _ in range(times))
    expected = {o: times * probability(o, weights) for o in itertools.permutations(range(len(weights)), n)}
    possible = [order for order, count in expected.items() if count > 0]
    assert set(seen) <= set(possible)
    test = stats.chisquare([seen[order] for order in possible], [expected[order] for order in possible])
    assert test.pvalue > 0.001


def test_a_draw_of_many_follows_the_exact_inclusion_probabilities() -> None:
    weights = [5.0, 1.0, 1.0, 2.0, 0.5, 3.0]
    n, times = 3, 20_000
    source = rng(4)
    seen = np.zeros(6)
    for _ in range(times):
        seen[draw(np.array(weights), n, source)] += 1
    exact = np.zeros(6)
    for order in itertools.permutations(range(6), n):
        exact[list(order)] += probability(order, weights)
    sd = np.sqrt(exact * (1 - exact) / times)
    assert (np.abs(seen / times - exact) < 4 * sd).all()


@given(WEIGHTS, st.integers(0, 40), SEEDS)
def test_rows_are_different_positive_and_as_many_as_there_can_be(weights: np.ndarray, n: int, seed: int) -> None:
    rows = draw(weights, n, rng(seed))
    assert rows.dtype == np.int64
    assert len(set(rows.tolist())) == len(rows) == min(n, np.count_nonzero(weights))
    assert (weights[rows] > 0).all()


@given(st.floats(1e-300, 1e300), st.integers(1, 50), st.integers(0, 50), SEEDS)
def test_any_constant_weight_draws_as_all_ones_do(weight: float, size: int, n: int, seed: int) -> None:
    constant, ones = draw(np.full(size, weight), n, rng(seed)), draw(np.ones(size), n, rng(seed))
    assert constant.tolist() == ones.tolist()


@given(WEIGHTS, st.integers(0, 40), SEEDS)
def test_rows_come_in_draw_order_so_a_smaller_draw_is_the_start_of_a_larger(
    weights: np.ndarray, n: int, seed: int
) -> None:
    everything = draw(weights, len(weights), rng(seed))
    assert draw(weights, n, rng(seed)).tolist() == everything[:n].tolist()


@given(WEIGHTS, st.integers(0, 40), st.data(), SEEDS)
def test_draw_new_is_the_shortest_start_of_the_draw_with_n_new_rows(
    weights: np.ndarray, n: int, data: st.DataObject, seed: int
) -> None:
    already = np.array(data.draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights))))
    everything = draw(weights, len(weights), rng(seed)).tolist()
    shortest: list[int] = []
    while sum(not already[row] for row in shortest) < n and len(shortest) < len(everything):
        shortest.append(everything[len(shortest)])
    assert draw_new(weights, n, already, rng(seed)).tolist() == shortest


@pytest.mark.parametrize("weights", [[], [0.0, 0.0]])
def test_nothing_to_draw_is_an_empty_draw(weights: list[float]) -> None:
    assert draw(np.array(weights), 3, rng(0)).tolist() == []
    assert draw_new(np.array(weights), 3, np.zeros(len(weights), dtype=bool), rng(0)).tolist() == []


def test_weights_of_any_scale_are_drawn_and_left_alone() -> None:
    weights = np.array([1e308, 5e-324, 1e308, 0.0])
    before = weights.copy()
    assert sorted(draw(weights, 4, rng(0)).tolist()) == [0, 2]
    assert draw(np.array([5e-324, 5e-324]), 2, rng(0)).tolist() == draw(np.ones(2), 2, rng(0)).tolist()
    assert (weights == before).all()


def fastest_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return min(times)


def test_a_million_problems_are_drawn_from_in_no_time() -> None:
    # Some 6 ms on an idle core; see tests/bench/bench_selection.py. The bound is for busy machines.
    of_cluster = np.linspace(0.1, 2, 150)
    clusters = rng(0).integers(0, 150, 1_000_000)
    already = rng(1).random(1_000_000) < 0.01
    assert fastest_ms(lambda: draw(of_cluster[clusters], 3000, rng(2))) < 500
    assert fastest_ms(lambda: draw_new(of_cluster[clusters], 3000, already, rng(2))) < 500


@settings(max_examples=20)
@given(SEEDS)
def test_large_draws_are_the_start_of_the_full_order_too(seed: int) -> None:
    weights = rng(seed).choice([0.0, 0.3, 1.0, 2.0], size=5000)
    everything = draw(weights, 5000, rng(seed + 1))
    assert draw(weights, 200, rng(seed + 1)).tolist() == everything[:200].tolist()
