"""What clusterers of vectors share: the distinct rows in a fixed order, and how many clusters a pool gets. **Ours**.

Problems with the same tags have the same vector (a pool of 5,000 has a few hundred distinct ones). Merged, they cost
nothing and stay together; sorted, the order of the pool does not matter. No component lives here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PAPER_K = 150
_PROBLEMS_A_CLUSTER = 200
_LEAST_K = 8


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """The different rows of [N, d] embeddings."""

    rows: NDArray[np.float32]
    """[D, d], sorted."""
    counts: NDArray[np.int64]
    """[D], problems with this row."""
    row_of: NDArray[np.int64]
    """[N], which of them each problem has."""

    def labels_of_problems(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """[N] from [D]: of each problem its row's label, without the labels that no row has."""
        import numpy as np

        return np.unique(labels, return_inverse=True)[1][self.row_of].astype(np.int64, copy=False)


def distinct_rows(embeddings: NDArray[np.float32]) -> DistinctRows:
    """Equal rows are found by their hashes, and compared, before anything is sorted: a million rows with few thousand
    different ones cost no copy of the million.
    """
    import numpy as np

    _, first, alike = np.unique(_hashes(embeddings), return_index=True, return_inverse=True)
    few = embeddings[first]
    if any(not np.array_equal(embeddings[part], few[alike[part]]) for part in _slices(len(embeddings))):
        few, alike = embeddings, np.arange(len(embeddings))  # two different rows of one hash: once in many worlds
    rows, row_of = np.unique(few, axis=0, return_inverse=True)
    row_of = row_of.reshape(-1)[alike]
    return DistinctRows(rows, np.bincount(row_of, minlength=len(rows)), row_of)


def _hashes(rows: NDArray[np.float32]) -> NDArray[np.uint64]:
    """[N]: a 64-bit hash of the bits of each row (a linear one, modulo 2^64, with fixed random odd factors)."""
    import numpy as np

    factors = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64) * 2 + 1
    found = np.empty(len(rows), np.uint64)
    for part in _slices(len(rows)):
        bits = np.ascontiguousarray(rows[part], np.float32).view(np.uint32)
        found[part] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return found


def _slices(n: int, step: int = 16384) -> list[slice]:
    return [slice(start, start + step) for start in range(0, n, step)]


def wanted_clusters(k: int | Literal["auto"], problems: int) -> int:
    """``k``, or for ``auto`` min(150, N // 200), at least 8: the paper's 150 for a pool of 30,000 or more."""
    return max(_LEAST_K, min(_PAPER_K, problems // _PROBLEMS_A_CLUSTER)) if k == "auto" else k
