"""Checks of samplers."""

from __future__ import annotations

import dataclasses
from typing import Any

from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import NotApplicable, Subject, check, must
from saidpo_core.contracts import blame, check_weights
from saidpo_core.records import Evidence
from saidpo_core.seeds import keyed_rng


def inputs(subject: Subject) -> dict[str, Any]:
    """Evidence after three rounds; of one cluster; of policies that err always, never, or were never asked."""
    return {
        "ordinary": samples.evidence(),
        "one": samples.evidence(1, 1, rounds=1, probed=1),
        "duplicates": samples.evidence(60, 1),
        "extremes": _extremes(),
        "huge": samples.evidence(1_000_000, 150, probed=10_000),
    }


def _extremes() -> tuple[Evidence, ...]:
    import numpy as np

    none = np.empty(0, np.int64)
    plain = samples.evidence(rounds=1)
    silent = dataclasses.replace(plain.rounds[0], rows=none, right=none, counted=none, probed=np.empty(0, np.bool_))
    return (
        samples.evidence(rates=[0.0] * 8),
        samples.evidence(rates=[1.0] * 8),
        samples.evidence(rates=[1.0] * 7 + [0.0]),
        samples.evidence(samples=2, probed=5),
        dataclasses.replace(plain, rounds=(silent,)),
        dataclasses.replace(plain, embeddings=None),
    )


def work(subject: Subject, component: Any, given: Evidence | tuple[Evidence, ...], seed: int) -> Any:
    """The weight of each problem; of the millionfold one, their number alone."""
    import numpy as np

    if isinstance(given, tuple):
        return [work(subject, component, item, seed) for item in given]
    with blame(subject.offer, "weights"):
        weights = np.asarray(component.weights(given, keyed_rng(seed, "weigh")), dtype=np.float64)
    check_weights(weights, len(given.clusters), subject.offer)
    return weights.tolist() if len(weights) <= 10_000 else len(weights)


@check("sampler")
def numbers_of_clusters_mean_nothing(subject: Subject) -> None:
    """Clusters under other numbers give the same weights: a number is a name, not a rank."""
    import numpy as np

    given = subject.input("ordinary")
    renamed = dataclasses.replace(given, clusters=(given.n_clusters - 1 - given.clusters).astype(np.int64))
    _alike(subject, subject.result(), work(subject, subject.fresh(), renamed, 0))


@check("sampler")
def order_of_problems_does_not_matter(subject: Subject) -> None:
    """A problem's weight is the same wherever it stands in the pool."""
    import numpy as np

    given = subject.input("ordinary")
    last = len(given.clusters) - 1
    rounds = tuple(dataclasses.replace(item, rows=last - item.rows) for item in given.rounds)
    turned = dataclasses.replace(
        given, clusters=given.clusters[::-1].copy(), rounds=rounds, embeddings=given.embeddings[::-1].copy()
    )
    _alike(subject, subject.result(), np.array(work(subject, subject.fresh(), turned, 0))[::-1])


def _alike(subject: Subject, first: Any, second: Any) -> None:
    import numpy as np

    if subject.offer.component.order_matters:
        raise NotApplicable("says that order matters")
    a, b = np.array(first), np.array(second)
    worst = int(np.abs(a - b).argmax())
    must(bool(np.allclose(a, b, rtol=1e-9, atol=0)), f"problem {worst} weighs {a[worst]:g}, then {b[worst]:g}")
