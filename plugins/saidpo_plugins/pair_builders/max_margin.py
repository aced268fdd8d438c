"""Pair builder ``max-margin``: the right response that the policy finds least likely against its likeliest wrong one.

**Ours.** The margin of a pair is how much the policy that sampled both prefers the wrong response: its mean
log-probability a token (nats) less that of the right one. The pair with the largest margin is where the policy and the
verifier disagree most: the most confident mistake, and a right way that it rarely takes. The other direction, a likely
right response against an unlikely wrong one, teaches an order that the policy has already, and pushes down what is
hardly ever sampled, which takes probability from everything but the likeliest response (Ren and Sutherland, "Learning
dynamics of LLM finetuning", 2024). It is a mean and not a sum, because a sum chooses by length.

Of equally likely responses the one sampled first is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, NoOptions, Pair, PairBuilder, Response, hookimpl
from saidpo_plugins.pair_builders.pairs import pair_of

if TYPE_CHECKING:
    import numpy as np


class MaxMarginPairBuilder:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        if not attempts.usable:
            return []
        # The margin is a difference of two terms, so each end is chosen on its own.
        return [pair_of(attempts, min(attempts.right, key=_likelihood), max(attempts.wrong, key=_likelihood))]


def _likelihood(response: Response) -> float:
    """Mean log-probability a token under the policy that sampled it."""
    from statistics import fmean

    return fmean(response.logprobs)


@hookimpl
def saidpo_pair_builders() -> list[Component[PairBuilder]]:
    return [
        Component(
            name="max-margin",
            summary="one pair a problem, the least likely right response against the likeliest wrong one",
            build=MaxMarginPairBuilder,
        )
    ]
