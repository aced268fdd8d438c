"""Pair builder ``step-aligned``: two responses that part ways after the same first steps, trained from there on.

After Step-DPO (Lai and others, arXiv 2406.18629). Of a problem's right and wrong responses it takes the two that share
most leading steps, moves the shared steps into the prompt, and leaves what comes after as chosen and rejected: the
loss falls on where they differ. **Ours**, departures from that paper:

* It finds the first wrong step with a large model or by hand and has the right step rewritten. Here both responses
  were sampled anyway, and the first difference stands for the first wrong step. The shared steps were followed by a
  right answer once at least; whether the step after them is the wrong one is not known.
* It trains on that one step alone. Here all that comes after the shared steps counts, up to the end token.
* If no two responses share a step, the pair is an ordinary random one.

The cut falls between two tokens: after the longest run of token ids that both share, cut back to where in both texts
one step has ended and the next has not begun. What a step is: see ``common/steps.py``; the steps counted are those of
the right response. Of pairs that share equally many steps the one with more shared tokens is taken, then the one
sampled first. Where in the text a token ends is known from ``Response.widths``; where a generator does not give them,
all pairs are ordinary ones.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Component, NoOptions, Pair, PairBuilder, Response, hookimpl
from saidpo_plugins.common.steps import step_spans
from saidpo_plugins.pair_builders.pairs import pair_of, random_pair, right_and_wrong

if TYPE_CHECKING:
    import numpy as np


class StepAlignedPairBuilder:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        if not attempts.usable:
            return []
        spans = {text: step_spans(text) for text in {r.text for r in (*attempts.right, *attempts.wrong)}}
        found = [
            (*shared_steps(right, spans[right.text], wrong, spans[wrong.text]), right, wrong)
            for right, wrong in right_and_wrong(attempts)
        ]
        steps, cut, right, wrong = max(found, key=lambda item: item[:2])
        if not steps:
            return [random_pair(attempts, rng)]
        pair = pair_of(attempts, _after(right, cut), _after(wrong, cut))
        return [replace(pair, prompt_ids=attempts.prompt_ids + right.token_ids[:cut])]


def shared_steps(
    right: Response, right_spans: Sequence[tuple[int, int]], wrong: Response, wrong_spans: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """How many leading steps both share, and how many tokens these are; (0, 0) if none."""
    tokens = zip(right.token_ids, right.widths, wrong.token_ids, wrong.widths, strict=False)
    widths = [width for _, width, _, _ in takewhile(lambda item: item[:2] == item[2:], tokens)]
    ends = list(accumulate(widths))
    for cut in range(len(widths), 0, -1):
        # A token without width may be the first part of a character, which belongs to what follows.
        if widths[cut - 1]:
            steps = _steps_ended(right_spans, ends[cut - 1])
            if steps and _steps_ended(wrong_spans, ends[cut - 1]):
                return steps, cut
    return 0, 0


def _steps_ended(spans: Sequence[tuple[int, int]], place: int) -> int:
    """How many steps have ended at ``place``, if it lies between two steps; 0 within a step and after the last."""
    ended = bisect_right(spans, place, key=lambda span: span[1])
    return ended if ended < len(spans) and place <= spans[ended][0] else 0


def _after(response: Response, cut: int) -> Response:
    """What the response holds after its first ``cut`` tokens; time and reason to finish are the whole one's."""
    return replace(
        response,
        text=response.text[sum(response.widths[:cut]) :],
        token_ids=response.token_ids[cut:],
        logprobs=response.logprobs[cut:],
        widths=response.widths[cut:],
    )


@hookimpl
def saidpo_pair_builders() -> list[Component[PairBuilder]]:
    return [
        Component(
            name="step-aligned",
            summary="one pair a problem, of responses that share most first steps; these go into the prompt",
            build=StepAlignedPairBuilder,
            source="Step-DPO, arXiv 2406.18629, without its models that find and mend the wrong step",
        )
    ]
