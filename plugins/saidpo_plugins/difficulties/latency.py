"""Difficulty ``latency``: pass rate, then mean seconds of generation a response (**ours**).

A problem is harder if fewer of the policy's responses to it are right; among equals, if they took longer to generate.
The seconds are ``Response.seconds``: the time of a batch, shared by its tokens. So they say how long a response is and
how slow its batch was. What truncated and unverifiable responses count for is in ``chain.py``.

**Measured seconds differ between equal runs.** A run under this difficulty can keep other pairs the next time; it is
repeatable from its own stored timings only (``timing-*.jsonl`` beside the attempts). So a killed run goes on to the
same pairs only if its responses were all stored when it was killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Difficulty, NoOptions, hookimpl
from saidpo_plugins.difficulties.chain import chain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LatencyDifficulty:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        return chain(attempts, lambda response: response.seconds)


@hookimpl
def saidpo_difficulties() -> list[Component[Difficulty]]:
    return [
        Component(
            name="latency",
            summary="pass rate, then measured seconds a response; they differ between equal runs, and so may the pairs",
            build=LatencyDifficulty,
        )
    ]
