"""Pair builder ``random``, as in the paper: one right and one wrong response of a problem, each picked at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, NoOptions, Pair, PairBuilder, hookimpl
from saidpo_plugins.pair_builders.pairs import random_pair

if TYPE_CHECKING:
    import numpy as np


class RandomPairBuilder:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        return [random_pair(attempts, rng)] if attempts.usable else []


@hookimpl
def saidpo_pair_builders() -> list[Component[PairBuilder]]:
    return [
        Component(
            name="random",
            summary="one pair a problem, the right and the wrong response picked at random",
            build=RandomPairBuilder,
            source="paper, one pair a problem",
            default=True,
        )
    ]
