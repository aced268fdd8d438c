"""Time of one selection (weights + draw) for a pool of 1,000,000 problems in 150 clusters, 3,000 drawn.

    python tests/bench/bench_selection.py

Runs on one core; loading and clustering are not part of it. The pool, the probes of three rounds and the error
rates of the clusters are made up with a fixed seed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from saidpo_core import Evidence, RoundEvidence
from saidpo_core.draw import draw, draw_new
from saidpo_plugins.samplers.error_weighted import ErrorWeightedOptions, ErrorWeightedSampler

SAMPLES = 8


def make_evidence(problems: int, clusters: int, rounds: int = 3) -> Evidence:
    """Clusters of unequal size, error rates of 2-90%, a probe of 1% a round."""
    rng = np.random.default_rng(0)
    sizes = rng.dirichlet(np.full(clusters, 3.0))
    of_problem = rng.choice(clusters, size=problems, p=sizes)
    error_rates = rng.uniform(0.02, 0.9, clusters)
    past = []
    for index in range(rounds):
        rows = rng.choice(problems, size=max(1, problems // 100), replace=False)
        right = rng.binomial(SAMPLES, 1 - error_rates[of_problem[rows]])
        past.append(
            RoundEvidence(
                round=index + 1,
                rows=rows,
                right=right,
                counted=np.full(len(rows), SAMPLES),
                probed=np.ones(len(rows), dtype=bool),
            )
        )
    return Evidence(clusters=of_problem, n_clusters=clusters, rounds=tuple(past), samples=SAMPLES)


def time_selection(problems: int, clusters: int, drawn: int, repeats: int, *, new_only: bool = False) -> list[float]:
    """Milliseconds of each repeat; ``new_only``: draw on until ``drawn`` problems outside the probe have come up."""
    evidence = make_evidence(problems, clusters)
    sampler = ErrorWeightedSampler(ErrorWeightedOptions())
    already = np.zeros(problems, dtype=bool)
    already[evidence.rounds[-1].rows] = True
    times = []
    for repeat in range(repeats):
        rng = np.random.default_rng(repeat)
        started = time.perf_counter()
        weights = sampler.weights(evidence, rng)
        rows = draw_new(weights, drawn, already, rng) if new_only else draw(weights, drawn, rng)
        times.append(1000 * (time.perf_counter() - started))
        if len(rows) < drawn:
            raise RuntimeError(f"expected {drawn} rows, got {len(rows)}")
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1_000_000)
    parser.add_argument("--clusters", type=int, default=150)
    parser.add_argument("--drawn", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    print(f"{args.problems:,} problems, {args.clusters} clusters, {args.drawn:,} drawn, {args.repeats} repeats")
    for label, new_only in (("weights + draw", False), ("weights + draw_new", True)):
        times = time_selection(args.problems, args.clusters, args.drawn, args.repeats, new_only=new_only)
        print(f"{label:20} median {statistics.median(times):.1f} ms  min {min(times):.1f}  max {max(times):.1f}")


if __name__ == "__main__":
    main()
