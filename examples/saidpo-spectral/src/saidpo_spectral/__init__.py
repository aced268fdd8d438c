"""Clusterer ``spectral``: normalised cuts of the nearest-neighbour graph of the embeddings (Ng, Jordan, Weiss 2001).

The graph is sparse, so thousands of different tag lists are no trouble. Equal rows are one point of it, whatever their
number, and the points are sorted, so the order of the pool does not matter. A graph in several pieces is fine here:
pieces are areas. One thread does it: the last bits of the eigenvectors depend on the number of threads.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saidpo_core import Clusterer, Component, hookimpl, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class SpectralOptions:
    k: int = option(25, "clusters; never more than there are different embeddings", low=1)
    neighbors: int = option(10, "edges of each point of the graph; more of them join areas", low=2)


class Spectral:
    def __init__(self, options: SpectralOptions) -> None:
        self.options = options

    def cluster(
        self, embeddings: NDArray[np.float32], tags: Sequence[tuple[str, ...]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        import numpy as np

        points, point_of_row = np.unique(embeddings, axis=0, return_inverse=True)
        labels = self._cut(points, seed=int(rng.integers(2**31)))
        compact = np.unique(labels, return_inverse=True)[1]
        return np.asarray(compact[point_of_row.reshape(-1)], np.int64)

    def _cut(self, points: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
        import numpy as np
        from sklearn.cluster import SpectralClustering
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if self.options.k >= len(points):
            return np.arange(len(points))
        model = SpectralClustering(
            self.options.k,
            affinity="nearest_neighbors",
            n_neighbors=min(self.options.neighbors, len(points)),
            assign_labels="cluster_qr",
            random_state=seed,
        )
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Graph is not fully connected|The spectral clustering API")
            labels: NDArray[np.int64] = model.fit(points.astype(np.float64)).labels_
        return labels


@hookimpl
def saidpo_clusterers() -> list[Component[Clusterer]]:
    return [
        Component(
            name="spectral",
            summary="spectral clustering of the nearest-neighbour graph",
            options=SpectralOptions,
            build=Spectral,
            source="Ng, Jordan, Weiss 2001",
        )
    ]
