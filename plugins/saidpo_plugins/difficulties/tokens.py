"""Difficulty ``tokens``: pass rate, then mean length in tokens; the paper's chain without reasoning steps.

A problem is harder if fewer of the policy's responses to it are right; among equals, if they are longer. **Ours**: the
second key in the place of steps, for policies whose steps cannot be told apart; what truncated and unverifiable
responses count for is in ``chain.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Difficulty, NoOptions, hookimpl
from saidpo_plugins.difficulties.chain import chain, tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TokensDifficulty:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        return chain(attempts, tokens)


@hookimpl
def saidpo_difficulties() -> list[Component[Difficulty]]:
    return [
        Component(
            name="tokens",
            summary="pass rate, then length in tokens: fewer right and longer are harder",
            build=TokensDifficulty,
            source="paper, first and third key of self-aware difficulty",
        )
    ]
