"""Pair builder ``all``: every right response of a problem with every wrong one (**ours**; the paper takes one pair).

Responses of the same tokens count once, so no pair comes twice. The pairs come in a random order, and with ``most``
only the first ones of it, so what is left out, here or by the run's budget, is left out at random.

The budget (``--max-pairs``) keeps the pairs of the hardest problems: by default it is one pair for four explored
problems, which these builders of many pairs use up on few problems. Say ``--max-pairs=0`` to train on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Pair, PairBuilder, hookimpl, option
from saidpo_plugins.pair_builders.pairs import pair_of, right_and_wrong

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class AllOptions:
    most: int = option(0, "pairs that a problem may give, chosen at random; 0: all", low=0)


class AllPairBuilder:
    def __init__(self, options: AllOptions) -> None:
        self.options = options

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        different = {(right.token_ids, wrong.token_ids): (right, wrong) for right, wrong in right_and_wrong(attempts)}
        combinations = list(different.values())
        order = rng.permutation(len(combinations))[: self.options.most or None].tolist()
        return [pair_of(attempts, *combinations[index]) for index in order]


@hookimpl
def saidpo_pair_builders() -> list[Component[PairBuilder]]:
    return [
        Component(
            name="all",
            summary="every right response with every wrong one, or so many of them; mind --max-pairs",
            options=AllOptions,
            build=AllPairBuilder,
        )
    ]
