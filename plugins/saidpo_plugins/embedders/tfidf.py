"""Embedder ``tfidf``: TF-IDF of character n-grams, reduced to at most 64 dimensions (**ours**; no model is needed).

On noisy tag texts it groups about as well as sentence embeddings do. The reduction is a truncated singular value
decomposition with fixed random numbers: the same texts always get the same vectors. Of more than 50,000 texts so many,
evenly spread, decide about n-grams and axes, so that a million texts fit into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Component, Embedder, NoOptions, Progress, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIMENSIONS = 64
_MOST_FITTED = 50_000


class Tfidf:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def embed(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        """Rows of length 1; a text without any n-gram, such as an empty one, gets zeros."""
        import numpy as np

        # The axes are found in sorted texts: what a text gets does not depend on where it stands.
        order = sorted(range(len(texts)), key=texts.__getitem__)
        found = self._embed_sorted([texts[row] for row in order])
        vectors = np.empty_like(found)
        vectors[order] = found
        progress(len(texts), len(texts))
        return vectors

    def _embed_sorted(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.utils.extmath import randomized_svd

        fitted = texts[:: max(1, -(-len(texts) // _MOST_FITTED))]
        if not any(text.strip() for text in fitted):  # the vectoriser refuses to learn from nothing
            return np.zeros((len(texts), 1), np.float32)
        vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5))
        counts = vectoriser.fit_transform(fitted)
        dimensions = min(_DIMENSIONS, *counts.shape)
        axes = randomized_svd(counts, dimensions, n_iter=7, random_state=0)[2]
        if len(fitted) == len(texts):
            return _unit(counts @ axes.T)
        starts = range(0, len(texts), _MOST_FITTED)
        return np.concatenate([_unit(vectoriser.transform(texts[i : i + _MOST_FITTED]) @ axes.T) for i in starts])


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Each row, of length 1; made row by row, so equal texts have equal vectors, to the bit."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


@hookimpl
def saidpo_embedders() -> list[Component[Embedder]]:
    return [Component(name="tfidf", summary="TF-IDF of character n-grams, 64 dimensions", build=Tfidf)]
