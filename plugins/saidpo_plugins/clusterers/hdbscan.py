"""Clusterer ``hdbscan``: density-based clusters of the distinct tag lists; their number is found, not given (**ours**).

The algorithm is that of the package ``hdbscan`` (Campello, Moulavi and Sander, 2013; McInnes and others, 2017). What
is decided here:

* Equal rows count once, so ``min_cluster_size`` is in distinct tag lists, not in problems. With its copies every list
  that is frequent enough would be a cluster of its own, infinitely dense.
* ``auto`` is a third of the distinct rows that a cluster of ``kmeans`` has on average, at least 3.
* The leaves of the cluster tree are taken, with core distances to the third row. The package's defaults (``eom``, core
  distances that grow with ``min_cluster_size``) put nearly the whole embedded pool into one cluster from
  ``min_cluster_size=6`` on; the weights of a sampler say nothing then.
* Noise (rows in no dense region) is never lost: with ``nearest`` a row goes to the cluster of the nearest row that has
  one, with ``own`` each distinct row of noise is a cluster of its own. If all is noise, ``nearest`` is one cluster.
* Rows with more than 64 numbers are reduced to their 64 principal components. Time grows with the square of the
  distinct rows: 20,000 of 384 numbers took 28 to 36 s and a peak of 0.32 GiB (``tests/bench/bench_clusterers.py``).

No randomness and one thread, so the same pool gets the same clusters, in whatever order it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from saidpo_core import Clusterer, Component, hookimpl, option
from saidpo_plugins.clusterers.rows import distinct_rows, wanted_clusters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CORE_ROWS = 3
_MOST_DIMENSIONS = 64


@dataclass(frozen=True, kw_only=True)
class HDBSCANOptions:
    min_cluster_size: int | Literal["auto"] = option(
        "auto", "distinct tag lists that make a cluster; auto: by the size of the pool", low=2
    )
    noise: Literal["nearest", "own"] = option(
        "nearest", "tag lists outside every cluster: to the nearest one, or each a cluster of its own"
    )


class HDBSCAN:
    def __init__(self, options: HDBSCANOptions) -> None:
        self.options = options

    def cluster(
        self, embeddings: NDArray[np.float32], tags: Sequence[tuple[str, ...]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        distinct = distinct_rows(embeddings)
        asked = self.options.min_cluster_size
        auto = max(3, len(distinct.rows) // (3 * wanted_clusters("auto", len(embeddings))))
        size = auto if asked == "auto" else asked
        return distinct.labels_of_problems(_labels(distinct.rows, size, self.options.noise))


def _labels(rows: NDArray[np.float32], min_cluster_size: int, noise: Literal["nearest", "own"]) -> NDArray[np.int64]:
    """[D], each row in a cluster."""
    import numpy as np
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        points = _reduced(rows.astype(np.float64))
        labels = _dense_labels(points, min_cluster_size)
        lost = labels < 0
        if noise == "own":
            labels[lost] = labels.max(initial=-1) + 1 + np.arange(np.count_nonzero(lost))
        elif lost.all():
            labels[:] = 0
        elif lost.any():
            labels[lost] = labels[~lost][_nearest(points[lost], points[~lost])]
    return labels


def _dense_labels(points: NDArray[np.float64], min_cluster_size: int) -> NDArray[np.int64]:
    """Cluster of each row, -1 for noise."""
    import numpy as np

    if len(points) < 2 * min_cluster_size:  # no room for two clusters
        return np.full(len(points), -1, dtype=np.int64)
    import hdbscan

    model = hdbscan.HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=_CORE_ROWS,
        cluster_selection_method="leaf",
        algorithm="prims_kdtree",  # exact; the quicker ones only approximate the spanning tree
        core_dist_n_jobs=1,
    )
    labels: NDArray[np.int64] = model.fit(points).labels_.astype(np.int64)
    return labels


def _reduced(points: NDArray[np.float64]) -> NDArray[np.float64]:
    from sklearn.decomposition import PCA

    if points.shape[1] <= _MOST_DIMENSIONS:
        return points
    model = PCA(min(_MOST_DIMENSIONS, len(points)), svd_solver="covariance_eigh")
    reduced: NDArray[np.float64] = model.fit_transform(points)
    return reduced


def _nearest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each point the index of the nearest of ``others``."""
    from sklearn.metrics import pairwise_distances_argmin

    index: NDArray[np.int64] = pairwise_distances_argmin(points, others)
    return index


@hookimpl
def saidpo_clusterers() -> list[Component[Clusterer]]:
    return [
        Component(
            name="hdbscan",
            summary="density-based clusters, as many as there are; noise to the nearest or on its own",
            options=HDBSCANOptions,
            build=HDBSCAN,
            needs="hdbscan",
            extra="hdbscan",
        )
    ]
