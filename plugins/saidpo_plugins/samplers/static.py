"""Sampler ``static``: the weights of ``error-weighted`` in round 1, for ever (**ours**, for ablations).

Problems are drawn by where the first policy erred, whatever was learnt since: what adaptive drawing gains over it is
the worth of looking again. Only the probe of round 1 is looked at, so there is nothing to remember and nothing to
decay; in round 1 both samplers give the same weights, to the bit. Later rounds probe all the same, as every arm of a
comparison does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from saidpo_core import Component, Evidence, Sampler, hookimpl, option
from saidpo_plugins.samplers.evidence import WeightOptions, errors, sum_probes, weights_by_rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class StaticOptions(WeightOptions):
    solvable: bool = option(False, "errors on problems that no response solved do not count")


class StaticSampler:
    def __init__(self, options: StaticOptions) -> None:
        self.options = options

    def weights(self, evidence: Evidence, rng: np.random.Generator) -> NDArray[np.float64]:
        first = replace(evidence, rounds=evidence.rounds[:1])
        sums = sum_probes(first, 1.0, partial(errors, solvable=self.options.solvable))
        return weights_by_rate(first, sums, self.options)


@hookimpl
def saidpo_samplers() -> list[Component[Sampler]]:
    return [
        Component(
            name="static",
            summary="the weights of error-weighted after the first probe, in all rounds",
            options=StaticOptions,
            build=StaticSampler,
        )
    ]
