"""Samplers: the weights against a slow plain reference, and exact equality with uniform where it is promised."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from saidpo_core import Evidence, NoOptions, RoundEvidence, UsageError
from saidpo_core.draw import draw
from saidpo_core.options import build_options
from saidpo_plugins.samplers.error_weighted import ErrorWeightedOptions, ErrorWeightedSampler
from saidpo_plugins.samplers.evidence import cluster_errors
from saidpo_plugins.samplers.uniform import UniformSampler

SHARES = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
UNIFORM = UniformSampler(NoOptions())


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def weights(evidence: Evidence, **options: float) -> np.ndarray:
    return ErrorWeightedSampler(ErrorWeightedOptions(**options)).weights(evidence, rng())  # type: ignore[arg-type]


def make_round(round: int, rows: list[tuple[int, int, int, bool]]) -> RoundEvidence:
    """``rows`` of (row of the problem, right, counted, probed)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    numbers = [np.array(column, dtype=np.int64) for column in columns[:3]]
    probed = np.array(columns[3], dtype=bool)
    return RoundEvidence(round=round, rows=numbers[0], right=numbers[1], counted=numbers[2], probed=probed)


def make_evidence(clusters: list[int], *rounds: list[tuple[int, int, int, bool]]) -> Evidence:
    made = tuple(make_round(index, rows) for index, rows in enumerate(rounds, start=1))
    return Evidence(clusters=np.array(clusters), n_clusters=max(clusters) + 1, rounds=made, samples=8)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Any evidence: clusters without a probe, rounds without rows, problems with unverifiable responses."""
    clusters = draw(st.lists(st.integers(0, 4), min_size=1, max_size=15))
    rounds = []
    for _ in range(draw(st.integers(0, 3))):
        rows = []
        for row in draw(st.sets(st.integers(0, len(clusters) - 1))):
            counted = draw(st.integers(1, 8))
            rows.append((row, draw(st.integers(0, counted)), counted, draw(st.booleans())))
        rounds.append(rows)
    return make_evidence(clusters, *rounds)


def reference(evidence: Evidence, options: ErrorWeightedOptions) -> list[float]:
    """The formulas of the module's docstring, one problem after the other."""
    n = [0.0] * evidence.n_clusters
    e = [0.0] * evidence.n_clusters
    for past in evidence.rounds:
        age = evidence.rounds[-1].round - past.round
        for row, right, counted, probed in zip(past.rows, past.right, past.counted, past.probed, strict=True):
            if not probed:
                continue
            cluster = int(evidence.clusters[row])
            n[cluster] += options.decay**age
            if not (options.solvable and right == 0):
                e[cluster] += options.decay**age * (1 - float(right) / float(counted))
    if sum(e) == 0:
        return [1.0] * len(evidence.clusters)
    mean = sum(e) / sum(n)
    result = []
    for cluster in evidence.clusters:
        total = n[cluster] + options.kappa
        rate = (e[cluster] + options.kappa * mean) / total if total else mean
        result.append((1 - options.eps) * (rate / mean) ** options.alpha + options.eps)
    return result


@given(
    evidences(),
    st.builds(
        ErrorWeightedOptions,
        alpha=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        eps=SHARES,
        kappa=st.sampled_from([0.0, 0.5, 4.0, 100.0]),
        decay=SHARES,
        solvable=st.booleans(),
    ),
)
def test_weights_are_the_formula(evidence: Evidence, options: ErrorWeightedOptions) -> None:
    result = ErrorWeightedSampler(options).weights(evidence, rng())
    assert result.shape == evidence.clusters.shape
    assert result.tolist() == pytest.approx(reference(evidence, options), rel=1e-9)
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    assert (result > 0).any()


def test_one_round_by_hand() -> None:
    # Cluster 0: p = 1/2 and 1, cluster 1: p = 0, cluster 2 unprobed. ebar = 1.5 / 3 = 1/2.
    evidence = make_evidence([0, 0, 1, 2], [(0, 4, 8, True), (1, 8, 8, True), (2, 0, 8, True), (3, 0, 8, False)])
    rates = cluster_errors(evidence, decay=0.5, solvable=False).shrunk_rates(kappa=4)
    assert rates.tolist() == pytest.approx([2.5 / 6, 3 / 5, 1 / 2])
    expected = [0.9 * rate / 0.5 + 0.1 for rate in (2.5 / 6, 2.5 / 6, 3 / 5, 1 / 2)]
    assert weights(evidence).tolist() == pytest.approx(expected)


@given(evidences(), st.integers(0, 2**32), st.sampled_from([{"alpha": 0.0}, {"eps": 1.0}, {"alpha": 0.0, "eps": 0.7}]))
def test_alpha_0_or_eps_1_draws_as_uniform_does_draw_for_draw(
    evidence: Evidence, seed: int, options: dict[str, float]
) -> None:
    n = len(evidence.clusters)
    mine = draw(weights(evidence, kappa=0.0, **options), n, rng(seed))
    assert mine.tolist() == draw(UNIFORM.weights(evidence, rng()), n, rng(seed)).tolist()


@given(st.floats(0, 1), st.sampled_from([0.0, 4.0]))
def test_alpha_0_is_uniform_for_every_eps(eps: float, kappa: float) -> None:
    evidence = make_evidence([0, 1, 2] * 5, [(0, 0, 8, True), (1, 8, 8, True)])
    mine = draw(weights(evidence, alpha=0.0, eps=eps, kappa=kappa), 15, rng(1))
    assert mine.tolist() == draw(np.ones(15), 15, rng(1)).tolist()


@given(evidences(), st.integers(0, 14), st.integers(0, 3))
def test_a_cluster_with_more_errors_never_weighs_less_against_the_others(
    evidence: Evidence, problem: int, alpha: int
) -> None:
    """One probed problem of the last round turns from solved a little to solved not at all."""
    assume(evidence.rounds and len(evidence.rounds[-1].rows))
    last = evidence.rounds[-1]
    index = problem % len(last.rows)
    right = last.right.copy()
    right[index] = 0
    worse = dataclasses.replace(evidence, rounds=(*evidence.rounds[:-1], dataclasses.replace(last, right=right)))
    cluster = evidence.clusters[last.rows[index]]
    inside = evidence.clusters == cluster
    before, after = weights(evidence, alpha=float(alpha)), weights(worse, alpha=float(alpha))
    share_before, share_after = (w[inside].sum() / w.sum() for w in (before, after))
    assert share_after >= share_before - 1e-12


@given(st.lists(st.integers(0, 8), min_size=2, max_size=8), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_of_equally_probed_clusters_those_with_more_errors_weigh_more(right: list[int], alpha: float) -> None:
    evidence = make_evidence(list(range(len(right))), [(row, r, 8, True) for row, r in enumerate(right)])
    by_errors = weights(evidence, alpha=alpha)[np.argsort([-r for r in right])]
    assert (np.diff(by_errors) >= -1e-12).all()


@given(evidences())
def test_what_was_explored_by_choice_does_not_count(evidence: Evidence) -> None:
    probes = tuple(
        RoundEvidence(
            round=past.round,
            rows=past.rows[past.probed],
            right=past.right[past.probed],
            counted=past.counted[past.probed],
            probed=past.probed[past.probed],
        )
        for past in evidence.rounds
    )
    assert weights(evidence).tolist() == weights(dataclasses.replace(evidence, rounds=probes)).tolist()


@pytest.mark.parametrize("rounds", [(), ([],), ([(0, 8, 8, True), (1, 3, 3, True)],), ([(1, 0, 8, False)],)])
@pytest.mark.parametrize("kappa", [0.0, 4.0])
def test_without_probes_or_errors_all_weigh_one(
    rounds: tuple[list[tuple[int, int, int, bool]], ...], kappa: float
) -> None:
    assert weights(make_evidence([0, 1, 1], *rounds), kappa=kappa).tolist() == [1.0, 1.0, 1.0]


def test_a_cluster_without_probe_has_the_mean_rate_even_without_shrinkage() -> None:
    evidence = make_evidence([0, 1, 2], [(0, 0, 8, True), (1, 4, 8, True)])
    assert weights(evidence, kappa=0.0, eps=0.0).tolist() == pytest.approx([1 / 0.75, 0.5 / 0.75, 1.0])


def test_solvable_leaves_out_what_no_response_solved() -> None:
    rows = [(0, 0, 8, True), (1, 4, 8, True)]
    hopeless = make_evidence([0, 1], rows)
    plain, solvable = weights(hopeless), weights(hopeless, solvable=True)
    assert plain[0] > plain[1]
    assert solvable[0] < solvable[1]


def test_older_probes_fade() -> None:
    old_errors, new_errors = [(0, 0, 8, True), (1, 8, 8, True)], [(0, 8, 8, True), (1, 0, 8, True)]
    evidence = make_evidence([0, 1], old_errors, new_errors)
    assert weights(evidence, decay=1.0).tolist() == pytest.approx([1.0, 1.0])
    half = weights(evidence, decay=0.5)
    assert half[1] > half[0]
    assert weights(evidence, decay=0.0).tolist() == weights(make_evidence([0, 1], new_errors)).tolist()


@pytest.mark.parametrize("key", ["alpha", "eps", "kappa", "decay"])
@pytest.mark.parametrize("value", ["-0.1", "nan", "much"])
def test_options_out_of_range_are_refused(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"sampler.{key}"):
        build_options(ErrorWeightedOptions, {key: value}, {key: f"--sampler.{key}"})


@given(evidences())
def test_evidence_is_left_as_it_was(evidence: Evidence) -> None:
    before = [array.copy() for past in evidence.rounds for array in (past.rows, past.right, past.counted, past.probed)]
    weights(evidence)
    UNIFORM.weights(evidence, rng())
    after = [array for past in evidence.rounds for array in (past.rows, past.right, past.counted, past.probed)]
    assert all((one == two).all() for one, two in zip(before, after, strict=True))
