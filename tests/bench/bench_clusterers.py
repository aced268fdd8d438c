"""Time and memory of clusterers on made-up rows that all differ, so that nothing is saved by merging equal ones.

    python tests/bench/bench_clusterers.py                                   minibatch-kmeans: 1,000,000 x 32
    python tests/bench/bench_clusterers.py hdbscan --rows 20000 --dimensions 384
    python tests/bench/bench_clusterers.py kmeans --rows 20000 --dimensions 384

Memory is the peak of the whole process, the rows and the libraries among it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from saidpo_core import Clusterer
from saidpo_plugins.clusterers.hdbscan import HDBSCAN, HDBSCANOptions
from saidpo_plugins.clusterers.kmeans import KMeans, KMeansOptions
from saidpo_plugins.clusterers.minibatch_kmeans import MiniBatchKMeans, MiniBatchKMeansOptions
from tests.memory import own_peak

CLUSTERERS: dict[str, Clusterer] = {
    "minibatch-kmeans": MiniBatchKMeans(MiniBatchKMeansOptions()),
    "kmeans": KMeans(KMeansOptions()),
    "hdbscan": HDBSCAN(HDBSCANOptions()),
}


def make_rows(rows: int, dimensions: int, groups: int) -> np.ndarray:
    """Rows around ``groups`` centres; without groups just noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((rows, dimensions), dtype=np.float32)
    if not groups:
        return noise
    centres = rng.standard_normal((groups, dimensions), dtype=np.float32)
    return centres[rng.integers(groups, size=rows)] + noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clusterer", choices=CLUSTERERS, nargs="?", default="minibatch-kmeans")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=32)
    parser.add_argument("--groups", type=int, default=0, help="centres that the rows lie around; 0: no structure")
    args = parser.parse_args()
    rows = make_rows(args.rows, args.dimensions, args.groups)
    started = time.perf_counter()
    labels = CLUSTERERS[args.clusterer].cluster(rows, [()] * len(rows), np.random.default_rng(0))
    seconds = time.perf_counter() - started
    sizes = np.bincount(labels)
    peak = own_peak() / 2**30
    print(f"{args.clusterer}, {args.rows:,} x {args.dimensions}, {args.groups} groups: {seconds:.1f} s, {peak:.2f} GiB")
    print(f"{len(sizes)} clusters, the smallest {sizes.min():,}, the largest {sizes.max():,}")


if __name__ == "__main__":
    main()
