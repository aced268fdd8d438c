"""Sampler ``uniform``: every problem has the same chance in every round. This is IDPO, the paper's baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saidpo_core import Component, Evidence, NoOptions, Sampler, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class UniformSampler:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def weights(self, evidence: Evidence, rng: np.random.Generator) -> NDArray[np.float64]:
        import numpy as np

        return np.ones(len(evidence.clusters))


@hookimpl
def saidpo_samplers() -> list[Component[Sampler]]:
    return [
        Component(
            name="uniform",
            summary="the same chance for every problem (IDPO, the paper's baseline)",
            build=UniformSampler,
            source="paper, baseline IDPO",
        )
    ]
