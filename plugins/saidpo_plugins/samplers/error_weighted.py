"""Sampler ``error-weighted``: problems of the clusters on which this policy errs come up more often (SAI-DPO).

The paper draws more from knowledge areas with more errors in the probe; its exact weights W(i) could not be found.
**Ours**, with p the pass rate of a probed problem, e_c the sum of 1 - p over the n_c probed problems of cluster c
and ebar the mean of 1 - p over all of them:

    ê_c = (e_c + kappa * ebar) / (n_c + kappa)          W(c) = (1 - eps) * (ê_c / ebar)^alpha + eps

A problem's weight is W of its cluster. Shrinkage by kappa is there because a probe of 1% leaves a cluster about three
problems. ``alpha=0`` or ``eps=1`` is exactly ``uniform`` (IDPO), draw for draw. Without evidence, or without any
error, every weight is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from saidpo_core import Component, Evidence, Sampler, hookimpl, option
from saidpo_plugins.samplers.evidence import WeightOptions, errors, sum_probes, weights_by_rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ErrorWeightedOptions(WeightOptions):
    decay: float = option(0.5, "evidence counts this much less with every round of age", low=0, high=1)
    solvable: bool = option(False, "errors on problems that no response solved do not count")


class ErrorWeightedSampler:
    def __init__(self, options: ErrorWeightedOptions) -> None:
        self.options = options

    def weights(self, evidence: Evidence, rng: np.random.Generator) -> NDArray[np.float64]:
        sums = sum_probes(evidence, self.options.decay, partial(errors, solvable=self.options.solvable))
        return weights_by_rate(evidence, sums, self.options)


@hookimpl
def saidpo_samplers() -> list[Component[Sampler]]:
    return [
        Component(
            name="error-weighted",
            summary="draw more from the clusters on which the policy errs (SAI-DPO)",
            options=ErrorWeightedOptions,
            build=ErrorWeightedSampler,
            source="paper, sampling by the errors of knowledge clusters; weights ours",
            default=True,
        )
    ]
