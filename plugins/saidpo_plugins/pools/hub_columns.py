"""Which columns of a dataset are what, for five published ones and for any other (**ours**).

NuminaMath-1.5, OpenR1-Math-220k (AI-MO, open-r1), MATH (Hendrycks et al., arXiv 2103.03874), GSM8K (Cobbe et al.,
arXiv 2110.14168), DeepScaleR-Preview-Dataset (agentica-org). No component lives here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saidpo_core import Problem
from saidpo_plugins.common.gold import lacks_choices, marked_answer

_NO_ANSWER = {"", "proof", "notfound", "not found", "n/a", "none", "null", "-"}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How the rows of a dataset become problems. Of several columns the first that holds something is taken."""

    name: str = ""
    repo: str = ""
    configs: tuple[str, ...] = ()
    question: tuple[str, ...] = ("question", "problem", "prompt")
    answer: tuple[str, ...] = ("answer", "final_answer", "ground_truth")
    """The gold answer; if ``####`` or a box stands in it, what that marks."""
    solution: tuple[str, ...] = ("solution",)
    """Where a marked answer is looked for if there is no other."""
    tags: tuple[str, ...] = ("tags",)
    group: str = ""
    domain: str = "math"
    extra: tuple[str, ...] = ()
    only: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    """Column -> the values that a row may have there, and what else it is called."""


_VALID = {
    "problem_is_valid": (("Yes",), "marked as not valid"),
    "solution_is_valid": (("Yes",), "marked as not valid"),
}
_SUBJECTS = ("algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory")

READY = {
    columns.name: columns
    for columns in (
        Columns(
            name="numina-math-1.5",
            repo="AI-MO/NuminaMath-1.5",
            question=("problem",),
            tags=("problem_type", "source"),
            group="source",
            only=_VALID,
        ),
        Columns(
            name="math",
            repo="EleutherAI/hendrycks_math",
            configs=(*_SUBJECTS, "prealgebra", "precalculus"),
            question=("problem",),
            answer=(),
            tags=("type", "level"),
            group="type",
        ),
        Columns(name="gsm8k", repo="openai/gsm8k", configs=("main",), question=("question",)),
        Columns(name="deepscaler", repo="agentica-org/DeepScaleR-Preview-Dataset", question=("problem",)),
        Columns(
            name="openr1-math",
            repo="open-r1/OpenR1-Math-220k",
            configs=("default",),
            question=("problem",),
            tags=("problem_type", "source"),
            group="source",
        ),
    )
}
"""The ready maps, by name."""


def problem_of(row: Mapping[str, Any], columns: Columns, id: str) -> Problem | str:
    """The problem of a row; or, in a few words, why it is of no use."""
    for column, (values, called) in columns.only.items():
        if column in row and _text(row[column]) not in values:
            return called
    question = _first(row, columns.question)
    if not question:
        return "without a question"
    if _text(row.get("question_type")).lower() == "proof" or _first(row, columns.answer).lower() == "proof":
        return "proofs"
    answer = _gold(row, columns)
    if answer.lower() in _NO_ANSWER:
        return "without an answer"
    if lacks_choices(question, answer):
        return "a choice without its choices"
    return Problem(
        id=id,
        question=question,
        answer=answer,
        tags=tuple(dict.fromkeys(tag for column in columns.tags for tag in _tags(row.get(column)))),
        domain=columns.domain,
        group=_text(row.get(columns.group)) or columns.name,
        extra={name: row[name] for name in columns.extra if _keepable(row.get(name))},
    )


def _gold(row: Mapping[str, Any], columns: Columns) -> str:
    answer = _first(row, columns.answer)
    if answer.lower() in _NO_ANSWER:
        return next(filter(None, (marked_answer(_text(row.get(name))) for name in columns.solution)), "")
    return marked_answer(answer) or answer


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next(filter(None, (_text(row.get(name)) for name in names)), "")


def _tags(cell: Any) -> list[str]:
    return [text for text in map(_text, cell if isinstance(cell, list) else [cell]) if text]


def _text(cell: Any) -> str:
    """A cell as text that a file can hold; lists, tables and nothing are none."""
    if isinstance(cell, str):
        return cell.encode("utf-8", "replace").decode().strip()
    good = isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell)
    return str(cell) if good else ""


def _keepable(cell: Any) -> bool:
    try:
        json.dumps(cell, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return cell is not None
