"""Difficulty ``random``: no difficulty at all, the ablation of the paper's Table 3.

Every problem gets one uniform number of [0, 1), the i-th problem the generator's i-th. So the order is a uniformly
random one whatever the order of the input, but the same problem in another place gets another number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Difficulty, NoOptions, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RandomDifficulty:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.random((len(attempts), 1))


@hookimpl
def saidpo_difficulties() -> list[Component[Difficulty]]:
    return [
        Component(
            name="random",
            summary="a random order in place of difficulty, for ablations",
            build=RandomDifficulty,
            source="paper, Table 3 (ablation)",
            order_matters=True,
        )
    ]
