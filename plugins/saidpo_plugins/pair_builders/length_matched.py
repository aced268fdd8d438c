"""Pair builder ``length-matched``: the right and the wrong response that are nearest in length (**ours**).

If right responses are longer than wrong ones on the whole, DPO learns to be long, and answers lengthen into repetition
(eric-mitchell/dpo issue 35). Here the lengths in tokens, end token included, differ as little as the responses allow.
Of equally near pairs the one sampled first is taken: the first such right response, with the first such wrong one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, NoOptions, Pair, PairBuilder, Response, hookimpl
from saidpo_plugins.pair_builders.pairs import pair_of, right_and_wrong

if TYPE_CHECKING:
    import numpy as np


class LengthMatchedPairBuilder:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        if not attempts.usable:
            return []
        return [pair_of(attempts, *min(right_and_wrong(attempts), key=_difference))]


def _difference(pair: tuple[Response, Response]) -> int:
    right, wrong = pair
    return abs(len(right.token_ids) - len(wrong.token_ids))


@hookimpl
def saidpo_pair_builders() -> list[Component[PairBuilder]]:
    return [
        Component(
            name="length-matched",
            summary="one pair a problem, the right and wrong response nearest in length, so that length is not learnt",
            build=LengthMatchedPairBuilder,
        )
    ]
