"""Pair builder ``longest-right``: the longest right response in tokens against a random wrong one (**ours**).

For who believes that more worked steps are better reasoning: the paper prefers problems that take more steps, this
prefers the right response that takes them. The wrong one is picked at random as in ``random``, not the shortest, which
would teach length alone. It teaches length all the same: watch the tokens a round, and see ``length-matched`` if
responses lengthen into repetition. Of equally long right responses the one sampled first is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, NoOptions, Pair, PairBuilder, hookimpl
from saidpo_plugins.pair_builders.pairs import pair_of, pick

if TYPE_CHECKING:
    import numpy as np


class LongestRightPairBuilder:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        if not attempts.usable:
            return []
        chosen = max(attempts.right, key=lambda response: len(response.token_ids))
        return [pair_of(attempts, chosen, pick(attempts.wrong, rng))]


@hookimpl
def saidpo_pair_builders() -> list[Component[PairBuilder]]:
    return [
        Component(
            name="longest-right",
            summary="one pair a problem, the longest right response against a random wrong one",
            build=LongestRightPairBuilder,
        )
    ]
