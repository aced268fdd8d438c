"""What samplers share: sums of the clusters from the probes, their shrinkage, weights. **Ours**, not the paper's.

Only probed problems count: they are drawn uniformly, so they say how the policy does on a cluster without bias.
What the sampler itself chose to explore does not. No component lives here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saidpo_core import Evidence, option

if TYPE_CHECKING:
    from saidpo_core.records import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class WeightOptions:
    """Options of every sampler that weighs clusters by a rate; each says in its docstring which rate."""

    alpha: float = option(1.0, "how sharply weights follow the clusters' rates; 0 is uniform", low=0, high=10)
    eps: float = option(0.1, "share of the weight that is the same for all; 1 is uniform", low=0, high=1)
    kappa: float = option(4.0, "pull a cluster's rate to the mean as this many problems would", low=0, high=1e6)


@dataclass(frozen=True, eq=False)
class ClusterSums:
    """Sums over probed problems, a cluster each [C]; evidence of older rounds counts less, so neither is whole."""

    probed: FloatArray
    """n_c: problems."""
    values: FloatArray
    """v_c: sum of what a problem is worth, each in [0, 1]; so between 0 and n_c."""

    @property
    def mean_rate(self) -> float:
        """vbar: the rate over all clusters; 0 if nothing was probed."""
        total = float(self.probed.sum())
        return float(self.values.sum()) / total if total else 0.0

    def shrunk_rates(self, kappa: float) -> FloatArray:
        """v̂_c = (v_c + kappa * vbar) / (n_c + kappa) [C]: kappa imagined problems of the mean rate in each.

        With kappa = 0 a cluster without evidence has the mean rate.
        """
        import numpy as np

        weight = self.probed + kappa
        shrunk = self.values + kappa * self.mean_rate
        rates = np.full(len(weight), self.mean_rate)
        np.divide(shrunk, weight, out=rates, where=weight > 0)
        return rates


def sum_probes(evidence: Evidence, decay: float, value: Callable[[IntArray, IntArray], FloatArray]) -> ClusterSums:
    """Sum ``value(right, counted)`` over the probes of all rounds; one that is k rounds old counts ``decay ** k``."""
    import numpy as np

    probed, values = np.zeros(evidence.n_clusters), np.zeros(evidence.n_clusters)
    for past in evidence.rounds:
        weight = decay ** (evidence.rounds[-1].round - past.round)
        clusters = evidence.clusters[past.rows[past.probed]]
        worth = value(past.right[past.probed], past.counted[past.probed])
        probed += weight * np.bincount(clusters, minlength=evidence.n_clusters)
        values += weight * np.bincount(clusters, weights=worth, minlength=evidence.n_clusters)
    return ClusterSums(probed, values)


def errors(right: IntArray, counted: IntArray, *, solvable: bool) -> FloatArray:
    """1 - p of each problem; ``solvable``: 0 for problems that no response solved (they still count in n_c)."""
    import numpy as np

    rate: FloatArray = 1 - right / counted
    return np.where(right > 0, rate, 0.0) if solvable else rate


def weights_by_rate(evidence: Evidence, sums: ClusterSums, options: WeightOptions) -> FloatArray:
    """W(c) = (1 - eps) * (v̂_c / vbar)^alpha + eps of each problem's cluster [N]; all 1 if vbar is 0."""
    import numpy as np

    if not sums.mean_rate:
        return np.ones(len(evidence.clusters))
    relative = sums.shrunk_rates(options.kappa) / sums.mean_rate
    of_cluster = (1 - options.eps) * relative**options.alpha + options.eps
    return np.asarray(of_cluster[evidence.clusters])
