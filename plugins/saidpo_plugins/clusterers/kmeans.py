"""Clusterer ``kmeans``: K-Means on the embeddings, the paper's (C = 150).

**Ours**: ``k=auto`` is min(150, N // 200), at least 8, so that a pool of 30,000 or more gets the paper's 150 and the
clusters of a small one are not starved; never more clusters than distinct rows. Equal rows are merged into one with a
weight (a pool of 5,000 has a few hundred distinct tag lists), and sorted, so the order of the pool does not matter.
One thread does it: the centres differ in their last bits with the number of threads, and so could the clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from saidpo_core import Clusterer, Component, hookimpl, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PAPER_K = 150
_PROBLEMS_A_CLUSTER = 200
_LEAST_K = 8
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

        rows, row_of, weights = np.unique(embeddings, axis=0, return_inverse=True, return_counts=True)
        k = min(wanted_clusters(self.options.k, len(embeddings)), len(rows))
        # float64, so that the distances of near rows do not drown in rounding
        labels = _fit(rows.astype(np.float64), weights, k, seed=int(rng.integers(2**31)))
        compact = np.unique(labels, return_inverse=True)[1]
        return np.asarray(compact[row_of.reshape(-1)], np.int64)


def wanted_clusters(k: int | Literal["auto"], problems: int) -> int:
    return max(_LEAST_K, min(_PAPER_K, problems // _PROBLEMS_A_CLUSTER)) if k == "auto" else k


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
