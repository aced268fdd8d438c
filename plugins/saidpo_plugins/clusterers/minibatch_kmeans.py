"""Clusterer ``minibatch-kmeans``: K-Means that looks at random batches of rows, for pools of millions (**ours**).

The algorithm is scikit-learn's ``MiniBatchKMeans`` (Sculley, "Web-scale k-means clustering", 2010); the rest is as in
``kmeans``: the same ``k=auto``, equal rows merged into one with a weight and sorted (see ``rows.py``), one thread. The
vectors stay in float32, so that they are not doubled in memory. 1,000,000 different rows of 32 numbers took 9.5 s and a
peak of 0.56 GiB (``python tests/bench/bench_clusterers.py``).
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
class MiniBatchKMeansOptions:
    k: int | Literal["auto"] = option("auto", "clusters; auto: a 200th of the pool, at least 8, at most 150", low=1)
    batch_size: int = option(4096, "rows a batch; larger is nearer to K-Means", low=1)


class MiniBatchKMeans:
    def __init__(self, options: MiniBatchKMeansOptions) -> None:
        self.options = options

    def cluster(
        self, embeddings: NDArray[np.float32], tags: Sequence[tuple[str, ...]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        distinct = distinct_rows(embeddings)
        k = min(wanted_clusters(self.options.k, len(embeddings)), len(distinct.rows))
        labels = _fit(distinct.rows, distinct.counts, k, self.options.batch_size, seed=int(rng.integers(2**31)))
        return distinct.labels_of_problems(labels)


def _fit(
    rows: NDArray[np.float32], weights: NDArray[np.int64], k: int, batch_size: int, seed: int
) -> NDArray[np.int64]:
    """Label of each distinct row; some of the k labels can stay unused."""
    import sklearn.cluster
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = sklearn.cluster.MiniBatchKMeans(k, batch_size=batch_size, n_init=_STARTS, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels: NDArray[np.int64] = model.fit(rows, sample_weight=weights).labels_
    return labels


@hookimpl
def saidpo_clusterers() -> list[Component[Clusterer]]:
    return [
        Component(
            name="minibatch-kmeans",
            summary="K-Means on random batches of rows, for pools of millions",
            options=MiniBatchKMeansOptions,
            build=MiniBatchKMeans,
        )
    ]
