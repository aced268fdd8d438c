"""Small records for tests: say only what the test is about, the rest is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from saidpo_core import Attempts, Problem, Response, Verdict

_OUTCOMES: dict[str, Literal["right", "wrong", "unverifiable"]] = {"r": "right", "w": "wrong", "u": "unverifiable"}


def make_problem(id: str = "p0", question: str = "What is 1 + 1?", answer: str = "2", **fields: Any) -> Problem:
    return Problem(id=id, question=question, answer=answer, **fields)


def make_response(
    text: str = "1+1=2\n#### 2", *, tokens: int | None = None, truncated: bool = False, logprob: float = -0.5
) -> Response:
    """``tokens`` token ids (one a word if None), each with ``logprob``."""
    count = len(text.split()) if tokens is None else tokens
    return Response(
        text=text,
        token_ids=tuple(range(count)),
        logprobs=(logprob,) * count,
        finish_reason="length" if truncated else "stop",
    )


def make_attempts(
    outcomes: str = "rw", responses: Sequence[Response] | None = None, *, problem_id: str = "p0"
) -> Attempts:
    """One response a letter of ``outcomes``: r right, w wrong, u unverifiable. Their texts differ unless given."""
    if responses is None:
        responses = [make_response(f"step {index}\n#### {index}") for index in range(len(outcomes))]
    return Attempts(
        problem_id=problem_id,
        prompt_ids=(1, 2, 3),
        responses=tuple(responses),
        verdicts=tuple(Verdict(outcome=_OUTCOMES[letter]) for letter in outcomes),
    )
