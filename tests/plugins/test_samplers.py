"""Samplers: the weights against a slow plain reference, and exact equality with uniform where it is promised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from saidpo_core import Evidence, NoOptions, RoundEvidence, Sampler, UsageError
from saidpo_core.draw import draw
from saidpo_core.options import build_options
from saidpo_plugins.samplers.error_weighted import ErrorWeightedOptions, ErrorWeightedSampler
from saidpo_plugins.samplers.evidence import WeightOptions, errors, sum_probes
from saidpo_plugins.samplers.signal_yield import SignalYieldOptions, SignalYieldSampler
from saidpo_plugins.samplers.static import StaticOptions, StaticSampler
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


ANY_OPTIONS = {
    "alpha": st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    "eps": SHARES,
    "kappa": st.sampled_from([0.0, 0.5, 4.0, 100.0]),
}
SAMPLERS: dict[str, st.SearchStrategy[Sampler]] = {
    "error-weighted": st.builds(
        ErrorWeightedSampler, st.builds(ErrorWeightedOptions, **ANY_OPTIONS, decay=SHARES, solvable=st.booleans())
    ),
    "static": st.builds(StaticSampler, st.builds(StaticOptions, **ANY_OPTIONS, solvable=st.booleans())),
    "signal-yield": st.builds(SignalYieldSampler, st.builds(SignalYieldOptions, **ANY_OPTIONS, decay=SHARES)),
}
"""Each sampler that weighs clusters, with any options."""
every_sampler = pytest.mark.parametrize("name", SAMPLERS)


def error(right: float, counted: float, solvable: bool) -> float:
    return 0.0 if solvable and right == 0 else 1 - right / counted


def reference(
    evidence: Evidence, options: WeightOptions, decay: float, value: Callable[[float, float], float]
) -> list[float]:
    """The formulas of the modules' docstrings, one problem after the other; ``value`` is what one is worth."""
    n = [0.0] * evidence.n_clusters
    v = [0.0] * evidence.n_clusters
    for past in evidence.rounds:
        age = evidence.rounds[-1].round - past.round
        for row, right, counted, probed in zip(past.rows, past.right, past.counted, past.probed, strict=True):
            if probed:
                n[evidence.clusters[row]] += decay**age
                v[evidence.clusters[row]] += decay**age * value(float(right), float(counted))
    if sum(v) == 0:
        return [1.0] * len(evidence.clusters)
    mean = sum(v) / sum(n)
    result = []
    for cluster in evidence.clusters:
        total = n[cluster] + options.kappa
        rate = (v[cluster] + options.kappa * mean) / total if total else mean
        result.append((1 - options.eps) * (rate / mean) ** options.alpha + options.eps)
    return result


@given(evidences(), SAMPLERS["error-weighted"])
def test_error_weights_are_the_formula(evidence: Evidence, sampler: ErrorWeightedSampler) -> None:
    options = sampler.options
    value = partial(error, solvable=options.solvable)
    expected = reference(evidence, options, options.decay, value)
    assert sampler.weights(evidence, rng()).tolist() == pytest.approx(expected, rel=1e-9)


@given(evidences(), SAMPLERS["static"])
def test_static_weights_are_the_formula_for_the_first_round(evidence: Evidence, sampler: StaticSampler) -> None:
    first = dataclasses.replace(evidence, rounds=evidence.rounds[:1])
    expected = reference(first, sampler.options, 1.0, partial(error, solvable=sampler.options.solvable))
    assert sampler.weights(evidence, rng()).tolist() == pytest.approx(expected, rel=1e-9)


@given(evidences(), SAMPLERS["signal-yield"], st.integers(2, 16))
def test_yield_weights_are_the_formula(evidence: Evidence, sampler: SignalYieldSampler, samples: int) -> None:
    evidence = dataclasses.replace(evidence, samples=samples)

    def chance(right: float, counted: float) -> float:
        p = right / counted
        return float(1 - p**samples - (1 - p) ** samples)

    expected = reference(evidence, sampler.options, sampler.options.decay, chance)
    assert sampler.weights(evidence, rng()).tolist() == pytest.approx(expected, rel=1e-9)


@every_sampler
@given(data=st.data(), evidence=evidences())
def test_weights_are_weights(name: str, data: st.DataObject, evidence: Evidence) -> None:
    result = data.draw(SAMPLERS[name]).weights(evidence, rng())
    assert result.shape == evidence.clusters.shape
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    assert (result > 0).any()


@every_sampler
@given(data=st.data(), evidence=evidences(), seed=st.integers(0, 2**32))
def test_the_order_of_problems_and_of_evidence_does_not_matter(
    name: str, data: st.DataObject, evidence: Evidence, seed: int
) -> None:
    sampler = data.draw(SAMPLERS[name])
    pool = rng(seed).permutation(len(evidence.clusters))
    place = np.argsort(pool)  # problem i of old lies in row place[i] now
    rounds = []
    for past in evidence.rounds:
        order = rng(seed).permutation(len(past.rows))
        rows = place[past.rows[order]]
        right, counted, probed = past.right[order], past.counted[order], past.probed[order]
        rounds.append(RoundEvidence(round=past.round, rows=rows, right=right, counted=counted, probed=probed))
    turned = dataclasses.replace(evidence, clusters=evidence.clusters[pool], rounds=tuple(rounds))
    expected = sampler.weights(evidence, rng())[pool]
    assert sampler.weights(turned, rng()).tolist() == pytest.approx(expected.tolist(), rel=1e-9)


@every_sampler
@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"eps": 1.0}, {"alpha": 0.0, "eps": 0.7}])
@given(evidence=evidences(), seed=st.integers(0, 2**32))
def test_alpha_0_or_eps_1_draws_as_uniform_does_draw_for_draw(
    name: str, options: dict[str, float], evidence: Evidence, seed: int
) -> None:
    made: dict[str, Sampler] = {
        "error-weighted": ErrorWeightedSampler(ErrorWeightedOptions(kappa=0.0, **options)),
        "static": StaticSampler(StaticOptions(kappa=0.0, **options)),
        "signal-yield": SignalYieldSampler(SignalYieldOptions(kappa=0.0, **options)),
    }
    n = len(evidence.clusters)
    mine = draw(made[name].weights(evidence, rng()), n, rng(seed))
    assert mine.tolist() == draw(UNIFORM.weights(evidence, rng()), n, rng(seed)).tolist()


def test_one_round_by_hand() -> None:
    # Cluster 0: p = 1/2 and 1, cluster 1: p = 0, cluster 2 unprobed. ebar = 1.5 / 3 = 1/2.
    evidence = make_evidence([0, 0, 1, 2], [(0, 4, 8, True), (1, 8, 8, True), (2, 0, 8, True), (3, 0, 8, False)])
    rates = sum_probes(evidence, 0.5, partial(errors, solvable=False)).shrunk_rates(kappa=4)
    assert rates.tolist() == pytest.approx([2.5 / 6, 3 / 5, 1 / 2])
    expected = [0.9 * rate / 0.5 + 0.1 for rate in (2.5 / 6, 2.5 / 6, 3 / 5, 1 / 2)]
    assert weights(evidence).tolist() == pytest.approx(expected)


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


@given(
    evidences(), st.builds(ErrorWeightedOptions, **ANY_OPTIONS, decay=SHARES, solvable=st.booleans()), st.integers(1, 3)
)
def test_static_is_error_weighted_in_round_1_and_then_stays(
    evidence: Evidence, options: ErrorWeightedOptions, rounds: int
) -> None:
    assume(evidence.rounds)
    mine = {field.name: getattr(options, field.name) for field in dataclasses.fields(StaticOptions)}
    sampler = StaticSampler(StaticOptions(**mine))
    first = dataclasses.replace(evidence, rounds=evidence.rounds[:1])
    expected = ErrorWeightedSampler(options).weights(first, rng()).tolist()
    assert sampler.weights(first, rng()).tolist() == expected, "to the bit"
    later = dataclasses.replace(evidence, rounds=evidence.rounds[:rounds])
    assert sampler.weights(later, rng()).tolist() == expected


def test_one_round_of_yields_by_hand() -> None:
    # K = 2, so u = 2 p (1 - p). Cluster 0: p = 1/2 and 1, cluster 1: p = 0, cluster 2 unprobed. ubar = 0.5 / 3.
    rows = [(0, 4, 8, True), (1, 8, 8, True), (2, 0, 8, True), (3, 4, 8, False)]
    evidence = dataclasses.replace(make_evidence([0, 0, 1, 2], rows), samples=2)
    mean = 0.5 / 3
    shrunk = ((0.5 + 4 * mean) / 6, 4 * mean / 5, mean)
    expected = [0.9 * shrunk[cluster] / mean + 0.1 for cluster in (0, 0, 1, 2)]
    result = SignalYieldSampler(SignalYieldOptions()).weights(evidence, rng())
    assert result.tolist() == pytest.approx(expected)


def test_yield_passes_over_hopeless_and_mastered_clusters_alike() -> None:
    evidence = make_evidence([0, 1, 2], [(0, 0, 8, True), (1, 4, 8, True), (2, 8, 8, True)])
    hopeless, half, mastered = SignalYieldSampler(SignalYieldOptions()).weights(evidence, rng())
    assert hopeless == mastered < half


@pytest.mark.parametrize("samples", [1, 8])
def test_without_a_chance_of_a_pair_all_weigh_one(samples: int) -> None:
    rows = [(0, 0, 8, True), (1, 8, 8, True), (2, 3 if samples == 1 else 8, 8, True)]
    evidence = dataclasses.replace(make_evidence([0, 1, 2], rows), samples=samples)
    assert SignalYieldSampler(SignalYieldOptions()).weights(evidence, rng()).tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("options", "key"),
    [
        *((ErrorWeightedOptions, key) for key in ("alpha", "eps", "kappa", "decay")),
        *((SignalYieldOptions, key) for key in ("alpha", "eps", "kappa", "decay")),
        *((StaticOptions, key) for key in ("alpha", "eps", "kappa")),
    ],
)
@pytest.mark.parametrize("value", ["-0.1", "nan", "much"])
def test_options_out_of_range_are_refused(options: type, key: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"sampler.{key}"):
        build_options(options, {key: value}, {key: f"--sampler.{key}"})


@every_sampler
@given(data=st.data(), evidence=evidences())
def test_evidence_is_left_as_it_was(name: str, data: st.DataObject, evidence: Evidence) -> None:
    before = [array.copy() for past in evidence.rounds for array in (past.rows, past.right, past.counted, past.probed)]
    data.draw(SAMPLERS[name]).weights(evidence, rng())
    UNIFORM.weights(evidence, rng())
    after = [array for past in evidence.rounds for array in (past.rows, past.right, past.counted, past.probed)]
    assert all((one == two).all() for one, two in zip(before, after, strict=True))
