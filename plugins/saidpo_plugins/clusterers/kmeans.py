"""Clusterer ``kmeans``: K-Means on the embeddings, the paper's (C = 150).

**Ours**: ``k=auto`` is min(150, N // 200), at least 8, so that a pool of 30,000 or more gets the paper's 150 and the
clusters of a small one are not starved; never more clusters than distinct rows. Equal rows are merged into one with a
weight, and sorted (see ``rows.py``). One thread does it: the centres differ in their last bits with the number of
threads, and so could the clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from saidpo_core import Clusterer, Component, hookimpl, option
from saidpo_plugins.clusterers.rows import distinct_rows, wanted_clusters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STARTS = 4


@dataclass(frozen=True, kw_only=True)
class KMeansOptions:
    k: int | Literal["auto"] = option("auto", "clusters; auto: a 200th of the pool, at least 8, at most 150", low=1)


class KMeans:
    def __init__(self, options: KMeansOptions) -> None:
        self.options = options

    def cluster(
        self, embeddings: NDArray[np.float32], tags: Sequence[tuple[str, ...]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        import numpy as np

        distinct = distinct_rows(embeddings)
        k = min(wanted_clusters(self.options.k, len(embeddings)), len(distinct.rows))
        # float64, so that the distances of near rows do not drown in rounding
        rows = distinct.rows.astype(np.float64)
        return distinct.labels_of_problems(_fit(rows, distinct.counts, k, seed=int(rng.integers(2**31))))


def _fit(rows: NDArray[np.float64], weights: NDArray[np.int64], k: int, seed: int) -> NDArray[np.int64]:
    """Label of each distinct row; near-equal rows can leave some of the k labels unused."""
    import sklearn.cluster
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = sklearn.cluster.KMeans(k, n_init=_STARTS, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer clusters than asked for, which is fine here
        labels: NDArray[np.int64] = model.fit(rows, sample_weight=weights).labels_
    return labels


@hookimpl
def saidpo_clusterers() -> list[Component[Clusterer]]:
    return [
        Component(
            name="kmeans",
            summary="K-Means; clusters by the size of the pool, up to the paper's 150",
            options=KMeansOptions,
            build=KMeans,
            source="paper, section on clustering (C = 150)",
            default=True,
        )
    ]
