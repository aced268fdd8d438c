"""Difficulty ``steps``, the paper's default: pass rate, then reasoning steps, then length.

A problem is harder if fewer of the policy's responses to it are right; among equals, if they take more reasoning
steps; among those, if they are longer in tokens. **Ours**: what a step is (see ``count_steps``), that truncated
responses do not count for steps and length (they are as long as the limit, not as the reasoning; if all are
truncated, all count), and that a problem of which nothing could be judged comes out as easiest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, Difficulty, NoOptions, Response, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLANK_LINES = re.compile(r"\n[ \t\r]*\n")
# A sentence ends with . ! or ? before white space, so neither 3.5 nor x! = 6 ends one in its middle.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def count_steps(text: str) -> int:
    """Blocks between blank lines; if there is only one, its lines that are not empty; if only one, its sentences."""
    for pieces in (_BLANK_LINES.split(text), text.splitlines(), _SENTENCE_END.split(text)):
        count = sum(1 for piece in pieces if piece.strip())
        if count > 1:
            return count
    return count


class StepsDifficulty:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        import numpy as np

        return np.array([_keys_of(item) for item in attempts], dtype=np.float64).reshape(len(attempts), 3)


def _keys_of(attempts: Attempts) -> tuple[float, float, float]:
    """(error rate, mean steps, mean tokens)."""
    error_rate = 1 - attempts.pass_rate if attempts.counted else 0.0
    responses = _finished(attempts.responses)
    if not responses:
        return error_rate, 0.0, 0.0
    steps = fmean(count_steps(response.text) for response in responses)
    return error_rate, steps, fmean(len(response.token_ids) for response in responses)


def _finished(responses: Sequence[Response]) -> Sequence[Response]:
    """Responses that were not truncated; all of them if there is none."""
    return [response for response in responses if not response.truncated] or responses


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
