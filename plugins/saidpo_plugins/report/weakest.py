"""The weakest fifth of the pool: where the policy erred at first, and whether the draw and the learning went there.

Which clusters are the weakest is judged by the first probe alone, and how they did by the other problems: numbers that
choose a group flatter or slander it (regression to the mean).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saidpo_plugins.report.reading import RunData, Tried

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIFTH = 0.2
KAPPA = 4.0
"""Few probed problems pull a cluster's rate to the mean, as in the sampler of SAI-DPO."""


@dataclass(frozen=True)
class Weakest:
    """Clusters, the worst first, and what became of them."""

    clusters: list[int]
    pool_share: float
    intended: list[float]
    """Share of the draw, for each round."""
    achieved: list[float]
    here: list[tuple[float, float]]
    """(pass rate, standard error) of the drawn problems of these clusters, for each round; probed ones left out."""
    elsewhere: list[tuple[float, float]]


def find_weakest(run: RunData) -> Weakest | None:
    """None for a run without a finished round, with one cluster, or whose record does not tell the probe's errors."""
    if not run.trained or len(run.clusters) < 2 or "probe_errors" not in run.clusters[0]["rounds"][0]:
        return None
    total = sum(cluster["size"] for cluster in run.clusters)
    chosen: list[int] = []
    for c in by_error(run):
        if sum(run.clusters[i]["size"] for i in chosen) >= FIFTH * total:
            break
        chosen.append(c)
    shares = [
        [sum(run.clusters[c]["rounds"][t][key] for c in chosen) for t in range(len(run.trained))]
        for key in ("intended_share", "achieved_share")
    ]
    rates = [_rates(tried, run.cluster_of, chosen) for tried in run.tried] if run.cluster_of is not None else []
    return Weakest(
        clusters=chosen,
        pool_share=sum(run.clusters[c]["size"] for c in chosen) / total,
        intended=shares[0],
        achieved=shares[1],
        here=[inside for inside, _ in rates],
        elsewhere=[outside for _, outside in rates],
    )


def first_errors(run: RunData) -> list[float]:
    """[C], error rate of each cluster in the first probe, shrunk towards the mean."""
    sums = [cluster["rounds"][0]["probe_errors"] for cluster in run.clusters]
    mean = sum(s[1] for s in sums) / max(1e-9, sum(s[0] for s in sums))
    return [(errors + KAPPA * mean) / (n + KAPPA) for n, errors, _ in sums]


def by_error(run: RunData) -> list[int]:
    """Clusters, the weakest of the first probe first."""
    errors = first_errors(run)
    return sorted(range(len(errors)), key=lambda c: (-errors[c], c))


def _rates(
    tried: Tried, cluster_of: NDArray[np.int64], chosen: list[int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    import numpy as np

    fresh = ~tried.probed & ~np.isnan(tried.rate)
    inside = np.isin(cluster_of[tried.row], chosen)
    return _mean(tried.rate[fresh & inside]), _mean(tried.rate[fresh & ~inside])


def _mean(rates: NDArray[Any]) -> tuple[float, float]:
    """Mean over problems and its standard error; NaN without any."""
    if not len(rates):
        return float("nan"), float("nan")
    return float(rates.mean()), float(rates.std(ddof=1) / len(rates) ** 0.5) if len(rates) > 1 else float("nan")
