"""Difficulty ``pass-rate``: the share of wrong responses alone, the first key of the paper's chain.

**Ours**: a problem of which nothing could be judged comes out as easiest (see ``chain.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Difficulty, NoOptions, hookimpl
from saidpo_plugins.difficulties.chain import chain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PassRateDifficulty:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        return chain(attempts)


@hookimpl
def saidpo_difficulties() -> list[Component[Difficulty]]:
    return [
        Component(
            name="pass-rate",
            summary="the share of wrong responses alone: fewer right is harder",
            build=PassRateDifficulty,
            source="paper, first key of self-aware difficulty",
        )
    ]
