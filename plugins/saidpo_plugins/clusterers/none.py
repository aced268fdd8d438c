"""Clusterer ``none``: one cluster, so that every problem is drawn alike (**ours**, for ablations)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Clusterer, Component, NoOptions, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OneCluster:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def cluster(
        self, embeddings: NDArray[np.float32], tags: Sequence[tuple[str, ...]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        import numpy as np

        return np.zeros(len(embeddings), np.int64)


@hookimpl
def saidpo_clusterers() -> list[Component[Clusterer]]:
    return [Component(name="none", summary="one cluster for all problems", build=OneCluster)]
