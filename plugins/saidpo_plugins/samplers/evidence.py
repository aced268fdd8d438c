"""What samplers share: error counts of the clusters from the probes, and their shrinkage. **Ours**, not the paper's.

Only probed problems count: they are drawn uniformly, so they say how the policy does on a cluster without bias.
What the sampler itself chose to explore does not. No component lives here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from saidpo_core import Evidence

if TYPE_CHECKING:
    from saidpo_core.records import FloatArray


@dataclass(frozen=True, eq=False)
class ClusterErrors:
    """Sums over probed problems, a cluster each [C]; evidence of older rounds counts less, so neither is whole."""

    probed: FloatArray
    """n_c: problems."""
    errors: FloatArray
    """e_c: sum of 1 - p, so between 0 and n_c."""

    @property
    def mean_rate(self) -> float:
        """ebar: the error rate over all clusters; 0 if nothing was probed."""
        total = float(self.probed.sum())
        return float(self.errors.sum()) / total if total else 0.0

    def shrunk_rates(self, kappa: float) -> FloatArray:
        """ê_c = (e_c + kappa * ebar) / (n_c + kappa) [C]: kappa imagined problems of the mean error rate in each.

        With kappa = 0 a cluster without evidence has the mean rate.
        """
        import numpy as np

        weight = self.probed + kappa
        shrunk = self.errors + kappa * self.mean_rate
        rates = np.full(len(weight), self.mean_rate)
        np.divide(shrunk, weight, out=rates, where=weight > 0)
        return rates


def cluster_errors(evidence: Evidence, decay: float, solvable: bool) -> ClusterErrors:
    """Sum the probes of all rounds; a round that is k rounds old counts ``decay ** k``.

    ``solvable``: problems that no response solved add nothing to e_c (they still count in n_c).
    """
    import numpy as np

    probed, errors = np.zeros(evidence.n_clusters), np.zeros(evidence.n_clusters)
    for past in evidence.rounds:
        weight = decay ** (evidence.rounds[-1].round - past.round)
        clusters = evidence.clusters[past.rows[past.probed]]
        right, counted = past.right[past.probed], past.counted[past.probed]
        rate = 1 - right / counted
        if solvable:
            rate = np.where(right > 0, rate, 0.0)
        probed += weight * np.bincount(clusters, minlength=evidence.n_clusters)
        errors += weight * np.bincount(clusters, weights=rate, minlength=evidence.n_clusters)
    return ClusterErrors(probed, errors)
