"""Difficulty ``steps``, the paper's default: pass rate, then reasoning steps, then length.

A problem is harder if fewer of the policy's responses to it are right; among equals, if they take more reasoning
steps; among those, if they are longer in tokens. **Ours**: what a step is (see ``count_steps``), and what truncated
and unverifiable responses count for (see ``chain.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Difficulty, NoOptions, hookimpl
from saidpo_plugins.common.steps import count_steps
from saidpo_plugins.difficulties.chain import chain, tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class StepsDifficulty:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        return chain(attempts, lambda response: count_steps(response.text), tokens)


@hookimpl
def saidpo_difficulties() -> list[Component[Difficulty]]:
    return [
        Component(
            name="steps",
            summary="pass rate, then reasoning steps, then length in tokens: fewer right and more steps are harder",
            build=StepsDifficulty,
            source="paper, self-aware difficulty",
            default=True,
        )
    ]
