"""What the record of a run (``summary.json``) says with which certainty; for detectors and for the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
Z = 1.96
"""Normal quantile of a two-sided 95% interval."""


def balanced_error(record: Record, t: int) -> float | None:
    """Standard error of round t's balanced held-out accuracy, from the number of problems alone; None without any.

    Groups are strata: var = sum of p(1-p)/n over G^2, with p = (right + 2) / (n + 4) so that a group that is all right
    is not taken to be certain (Agresti and Coull, The American Statistician 52, 1998). Another seed differs by more.
    """
    scores = [(g["accuracy"][t], g["held_out"]) for g in record["groups"].values() if g["held_out"]]
    scores = [(accuracy, n) for accuracy, n in scores if accuracy is not None]
    if not scores:
        return None
    shares = [((accuracy * n + 2) / (n + 4), n) for accuracy, n in scores]
    return math.sqrt(sum(p * (1 - p) / n for p, n in shares)) / len(scores)


def wilson(right: float, n: float) -> tuple[float, float]:
    """95% interval of a share (Wilson, 1927); (0, 1) if there is nothing."""
    if not n:
        return 0.0, 1.0
    p, z2 = right / n, Z * Z
    middle, half = p + z2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))


def weighs(record: Record) -> bool:
    """Whether this run means to draw more from some clusters than from others."""
    sampler = record["settings"]["sampler"]
    off = _sampler_name(record) == "uniform" or sampler.get("alpha") == 0 or sampler.get("eps") == 1
    return not off and len(record["clusters"]) > 1


def _sampler_name(record: Record) -> str:
    """Without the package that it may be qualified by."""
    return str(record["settings"]["sampler"]["name"]).rpartition("/")[2]


def number_of_clusters(record: Record) -> str:
    """How many there are, and the option for it if the clusterer has one."""
    option = "--clusterer.k, " if "k" in record["settings"].get("clusterer", {}) else ""
    return f"{option}now {len(record['clusters'])}"


def moved(record: Record, t: int) -> float:
    """Share of round t's intended draw that lies elsewhere than in a uniform one (total variation), in [0, 1]."""
    n = sum(cluster["size"] for cluster in record["clusters"])
    intended = [(cluster["rounds"][t - 1]["intended_share"], cluster["size"] / n) for cluster in record["clusters"]]
    return float(0.5 * sum(abs(share - even) for share, even in intended))


@dataclass(frozen=True)
class Signal:
    """How well a probe tells clusters apart."""

    reliability: float
    """Share of the spread of the clusters' error rates that is not sampling noise: 1 - 1/F, in [0, 1]."""
    clusters: int
    """Those with any probed problem."""
    overlapping: int
    """Those of them whose 95% interval holds the mean of the pool."""
    problems: float
    """Probed, older ones counted as the sampler counts them."""


def probe_signal(record: Record, t: int) -> Signal | None:
    """Of the evidence that round t's weights rest on: probes of rounds 1 to t, aged by the sampler's ``decay``; with
    ``static`` the first probe.

    A one-way layout with problems as units, since the K responses to one problem are alike: F is the mean square
    between clusters over that within them, 1 - 1/F the reliability of the clusters' means (ICC(1,k), Shrout and
    Fleiss, Psychological Bulletin 86, 1979). With weights, sums of squares are divided by what they expect of noise
    alone, which with weights of 1 are the degrees of freedom (**ours**). None where there is too little to tell.
    """
    decay, last = record["settings"]["sampler"].get("decay", 0.5), 1 if _sampler_name(record) == "static" else t
    clusters = [_aged([row.get("probe_errors") for row in c["rounds"][:last]], decay) for c in record["clusters"]]
    clusters = [found for found in clusters if found.n > 0]
    n, total = sum(c.n for c in clusters), sum(c.total for c in clusters)
    if len(clusters) < 2:
        return None
    noise = sum(c.weights_squared / c.n for c in clusters)
    if n - noise < 1e-9:
        return None
    explained = sum(c.total**2 / c.n for c in clusters)
    within = max(0.0, sum(c.squares for c in clusters) - explained) / (n - noise)
    between = max(0.0, explained - total**2 / n) / (noise - sum(c.weights_squared for c in clusters) / n)
    if between == 0:
        return Signal(0.0, len(clusters), len(clusters), n) if total else None  # nobody errs: nothing to tell apart
    overlapping = sum(
        abs(c.total / c.n - total / n) <= Z * math.sqrt(within * c.weights_squared) / c.n for c in clusters
    )
    return Signal(max(0.0, 1 - within / between), len(clusters), overlapping, n)


@dataclass(frozen=True)
class _Sums:
    """Of a cluster's probed problems, each with its weight."""

    n: float
    """Sum of the weights."""
    weights_squared: float
    total: float
    """Of error rates."""
    squares: float
    """Of error rates."""


def _aged(rounds: Sequence[Sequence[float] | None], decay: float) -> _Sums:
    found = _Sums(0.0, 0.0, 0.0, 0.0)
    for row in rounds:
        n, total, squares = row or (0, 0, 0)
        found = _Sums(
            decay * found.n + n,
            decay**2 * found.weights_squared + n,
            decay * found.total + total,
            decay * found.squares + squares,
        )
    return found
