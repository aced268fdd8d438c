"""Sampler ``signal-yield``: clusters whose problems are likely to give a usable pair come up more often (**ours**).

A problem is of use if at least one of its K responses is right and one wrong. With p the pass rate of a probed
problem, the chance of that among K new responses is

    u = 1 - p^K - (1 - p)^K

Its sum u_c over the n_c probed problems of cluster c is shrunk and made a weight as in ``error-weighted``, with ubar
the mean of u over all of them:

    û_c = (u_c + kappa * ubar) / (n_c + kappa)          W(c) = (1 - eps) * (û_c / ubar)^alpha + eps

Unlike errors, u is near 0 for problems that the policy never solves as well as for those that it always does, so
hopeless clusters do not soak up the budget. ``alpha=0`` or ``eps=1`` is exactly ``uniform``, draw for draw. Without
evidence, or if no probed problem is of use, every weight is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from saidpo_core import Component, Evidence, Sampler, hookimpl, option
from saidpo_plugins.samplers.evidence import WeightOptions, sum_probes, weights_by_rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from saidpo_core.records import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class SignalYieldOptions(WeightOptions):
    decay: float = option(0.5, "evidence counts this much less with every round of age", low=0, high=1)


class SignalYieldSampler:
    def __init__(self, options: SignalYieldOptions) -> None:
        self.options = options

    def weights(self, evidence: Evidence, rng: np.random.Generator) -> NDArray[np.float64]:
        sums = sum_probes(evidence, self.options.decay, partial(pair_chance, samples=evidence.samples))
        return weights_by_rate(evidence, sums, self.options)


def pair_chance(right: IntArray, counted: IntArray, *, samples: int) -> FloatArray:
    """u of each problem, in [0, 1); exactly 0 for p = 0, p = 1 and a single response."""
    import numpy as np

    p = right / counted
    if samples < 2:
        return np.zeros(len(p))
    chance: FloatArray = 1 - p**samples - (1 - p) ** samples
    return chance


@hookimpl
def saidpo_samplers() -> list[Component[Sampler]]:
    return [
        Component(
            name="signal-yield",
            summary="draw more from the clusters whose problems are likely to give a right and a wrong response",
            options=SignalYieldOptions,
            build=SignalYieldSampler,
        )
    ]
