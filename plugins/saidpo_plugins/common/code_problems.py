"""What pools of code problems share: how a problem is put and how its tests are written down as its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from saidpo_core import Problem

_PROGRAM = (
    "Write a Python program that does this; it reads standard input and prints to standard output. "
    "Put the whole program into one ```python block."
)
_FUNCTION = "Use Python, and put all of it into one ```python block."


def code_problem(
    id: str,
    question: str,
    tests: Sequence[dict[str, str]],
    *,
    tags: tuple[str, ...] = (),
    group: str = "",
    **extra: Any,
) -> Problem:
    """A problem for the verifier ``code``. ``answer`` is for people: its tests as JSON."""
    script = any(test["type"] == "stdio" for test in tests)
    return Problem(
        id=id,
        question=f"{question.strip()}\n\n{_PROGRAM if script else _FUNCTION}",
        answer=json.dumps(list(tests), ensure_ascii=False),
        tags=tags,
        domain="code",
        group=group,
        extra={"tests": list(tests), **extra},
    )
