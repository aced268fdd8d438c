"""Difficulty ``surprisal``: pass rate, then mean surprisal of the policy by its own responses (**ours**).

A problem is harder if fewer of the policy's responses to it are right; among equals, if the policy was less sure of
what it wrote. Surprisal is the mean negative log-probability of a response's tokens, in nats a token, never negative:
0 means that there was no other way to go on, and larger is harder, since a policy that would go on in many ways does
not know the one. It is a mean over the tokens, so length does not come in; every response counts the same. What
truncated and unverifiable responses count for is in ``chain.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Difficulty, NoOptions, Response, hookimpl
from saidpo_plugins.difficulties.chain import chain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SurprisalDifficulty:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        return chain(attempts, surprisal)


def surprisal(response: Response) -> float:
    """Nats a token."""
    from statistics import fmean

    return -fmean(response.logprobs) if response.logprobs else 0.0


@hookimpl
def saidpo_difficulties() -> list[Component[Difficulty]]:
    return [
        Component(
            name="surprisal",
            summary="pass rate, then mean negative log-probability a token: fewer right and less sure are harder",
            build=SurprisalDifficulty,
        )
    ]
