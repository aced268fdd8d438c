"""Pair builder ``random``, as in the paper: one right and one wrong response of a problem, each picked at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, NoOptions, Pair, PairBuilder, hookimpl

if TYPE_CHECKING:
    import numpy as np


class RandomPairBuilder:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        if not attempts.usable:
            return []
        chosen = attempts.right[int(rng.integers(len(attempts.right)))]
        rejected = attempts.wrong[int(rng.integers(len(attempts.wrong)))]
        return [Pair(problem_id=attempts.problem_id, prompt_ids=attempts.prompt_ids, chosen=chosen, rejected=rejected)]


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
