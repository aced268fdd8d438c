from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from saidpo_bandit import Thompson, ThompsonOptions
from saidpo_core import Evidence, RoundEvidence
from saidpo_core.registry import load_registry

K = 8


def tried(round: int, rows: list[int], right: list[int], probed: bool = True) -> RoundEvidence:
    return RoundEvidence(
        round=round,
        rows=np.array(rows, np.int64),
        right=np.array(right, np.int64),
        counted=np.full(len(rows), K),
        probed=np.full(len(rows), probed),
    )


def evidence(clusters: NDArray[np.int64], *rounds: RoundEvidence) -> Evidence:
    clusters.flags.writeable = False  # as the core hands it over
    return Evidence(clusters=clusters, n_clusters=int(clusters.max()) + 1, rounds=rounds, samples=K)


def shares(given: Evidence, **options: float) -> NDArray[np.float64]:
    """[C], of the draw."""
    weights = Thompson(ThompsonOptions(**options)).weights(given, np.random.default_rng(0))
    return np.bincount(given.clusters, weights) / weights.sum()


CLUSTERS = np.arange(4000) % 4


def test_a_cluster_that_gives_pairs_is_drawn_more_than_one_too_easy_and_one_too_hard() -> None:
    rows = list(range(40))
    right = [{0: 4, 1: K, 2: 0, 3: K}[row % 4] for row in rows]
    share = shares(evidence(CLUSTERS, tried(1, rows, right)))
    assert share[0] > 0.8


def test_a_cluster_that_was_never_tried_is_explored_more_than_one_that_proved_barren() -> None:
    rows = [row for row in range(80) if row % 4 < 3]
    right = [{0: 4, 1: K, 2: 0}[row % 4] for row in rows]
    share = shares(evidence(CLUSTERS, tried(1, rows, right)))
    assert share[0] > share[3] > 2 * max(share[1], share[2])


def test_old_evidence_fades() -> None:
    rows = list(range(0, 80, 4))  # of cluster 0 alone
    then, now = tried(1, rows, [4] * 20, probed=False), tried(4, [1, 2, 3], [K, K, K])
    kept, faded = (shares(evidence(CLUSTERS, then, now), decay=decay) for decay in (1.0, 0.1))
    assert kept[0] > faded[0] > 0.25


def test_sharpness_0_is_uniform() -> None:
    given = evidence(CLUSTERS, tried(1, [0, 1], [4, 0]))
    assert set(Thompson(ThompsonOptions(sharpness=0)).weights(given, np.random.default_rng(0))) == {1.0}


def test_the_same_evidence_gives_the_same_weights_and_remembers_nothing() -> None:
    sampler = Thompson(ThompsonOptions())
    first, second = tried(1, [0, 1, 2], [4, 0, K]), tried(2, [3, 4], [1, 1])
    sampler.weights(evidence(CLUSTERS, first), np.random.default_rng(1))
    resumed = Thompson(ThompsonOptions())
    both = evidence(CLUSTERS, first, second)
    ours, theirs = (item.weights(both, np.random.default_rng(2)) for item in (sampler, resumed))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("rounds", [[], [tried(1, [], [])]])
def test_without_evidence_clusters_are_alike(rounds: list[RoundEvidence]) -> None:
    assert shares(evidence(CLUSTERS, *rounds)) == pytest.approx([0.25] * 4, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.floats(0, 20), st.floats(0.1, 1e6), st.floats(0, 1))
def test_weights_are_finite_and_some_positive(
    data: st.DataObject, sharpness: float, prior: float, decay: float
) -> None:
    clusters = np.unique(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=40)), return_inverse=True)[1]
    rounds = []
    for number in range(data.draw(st.integers(0, 3))):
        rows = data.draw(st.lists(st.integers(0, len(clusters) - 1), unique=True))
        rounds.append(tried(number + 1, rows, [data.draw(st.integers(0, K)) for _ in rows]))
    options = ThompsonOptions(sharpness=sharpness, prior=prior, decay=decay)
    weights = Thompson(options).weights(evidence(clusters, *rounds), np.random.default_rng(0))
    assert weights.shape == clusters.shape
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert (weights > 0).any()


def test_saidpo_finds_it() -> None:
    offer = load_registry().find("sampler", "thompson", "--sampler")
    assert offer.owner.distribution == "saidpo-bandit"
