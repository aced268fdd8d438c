"""Sampler ``thompson``: clusters are the arms of a bandit, a problem that gives a pair (0 < r < K) is the reward.

Every cluster has a Beta posterior of that chance. Each problem of the pool draws its own chance from the posterior of
its cluster, and its weight is that draw to the power of ``sharpness``: little-known clusters now and then draw high
and get explored, those that proved barren do not. Sources: Thompson sampling of pass rates with fading evidence (MoPPS,
arXiv 2507.04632) and bandits over clusters of problems (SPaRFT, arXiv 2508.05015).

Departures: the posterior is a cluster's, not a problem's (with 1% of the pool probed, hardly a problem is met twice),
and starts at the mean chance of all. Problems that the sampler chose itself count as well as the probed ones: within a
cluster all have the same chance to be drawn, so they tell no less about it. Nothing is kept between rounds; the
posterior is worked out anew from the evidence, so a run that is resumed goes on as if it had never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from saidpo_core import Component, Evidence, Sampler, hookimpl, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ThompsonOptions:
    sharpness: float = option(4.0, "how sharply weights follow the drawn chances; 0 is uniform", low=0, high=20)
    prior: float = option(4.0, "the mean chance counts as so many tried problems in each cluster", low=0.1, high=1e6)
    decay: float = option(0.5, "evidence counts this much less with every round of age", low=0, high=1)


class Thompson:
    def __init__(self, options: ThompsonOptions) -> None:
        self.options = options

    def weights(self, evidence: Evidence, rng: np.random.Generator) -> NDArray[np.float64]:
        import numpy as np

        gave, none = self._tried(evidence)
        mean = (gave.sum() + 1) / (gave.sum() + none.sum() + 2)  # never 0 or 1
        a = gave + self.options.prior * mean
        b = none + self.options.prior * (1 - mean)
        chance = rng.beta(a[evidence.clusters], b[evidence.clusters])
        return np.asarray(np.maximum(chance, 1e-6) ** self.options.sharpness)

    def _tried(self, evidence: Evidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[C] each: problems that gave a pair, and that did not; a round that is k rounds old counts ``decay ** k``."""
        import numpy as np

        gave, none = np.zeros(evidence.n_clusters), np.zeros(evidence.n_clusters)
        for past in evidence.rounds:
            age = evidence.rounds[-1].round - past.round
            mixed = (past.right > 0) & (past.right < past.counted)
            clusters = evidence.clusters[past.rows]
            for total, rows in ((gave, mixed), (none, ~mixed)):
                total += self.options.decay**age * np.bincount(clusters[rows], minlength=evidence.n_clusters)
        return gave, none


@hookimpl
def saidpo_samplers() -> list[Component[Sampler]]:
    return [
        Component(
            name="thompson",
            summary="Thompson sampling over clusters, a preference pair as the reward",
            options=ThompsonOptions,
            build=Thompson,
            source="MoPPS (arXiv 2507.04632), SPaRFT (arXiv 2508.05015); over clusters ours",
            order_matters=True,  # every problem draws a chance of its own, in the order of the pool
        )
    ]
