"""Clusterer ``tags``: one cluster per first tag, for pools whose tags name their areas already (**ours**).

Problems without a tag form one cluster. Clusters come in the order of their tags' names, the one without a tag first,
so the order of the pool does not matter. Tags are compared to the letter; the vectors are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Clusterer, Component, NoOptions, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TagsClusterer:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def cluster(
        self, embeddings: NDArray[np.float32], tags: Sequence[tuple[str, ...]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        import numpy as np

        firsts = [item[:1] for item in tags]
        label = {first: number for number, first in enumerate(sorted(set(firsts)))}
        return np.array([label[first] for first in firsts], dtype=np.int64)


@hookimpl
def saidpo_clusterers() -> list[Component[Clusterer]]:
    return [Component(name="tags", summary="one cluster per first tag", build=TagsClusterer)]
