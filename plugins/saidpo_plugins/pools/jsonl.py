"""Pool ``jsonl``: problems from a file of one's own, one JSON object a line (**ours**; the paper names no format).

Fields: ``id``, ``question`` and ``answer`` are required (a number is taken as text); ``tags`` (a list of texts),
``domain`` and ``group`` are optional. Other fields are kept in ``Problem.extra`` if JSON can hold them. A problem of
the domain ``code`` may have a list ``tests`` instead of an answer.
``FILE.jsonl.gz`` is unpacked while it is read, ``FILE.parquet`` is read through ``datasets``, one row a problem.

Problems to measure with come from a second file (``--pool.held_out_path``), or are set aside at random. A question
that is held out is never in the pool: copies of it are dropped there, and a note says how many.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import Component, Pool, Problem, ProblemSets, Trial, UsageError, hookimpl, option
from saidpo_plugins.common.rows import rows_of

if TYPE_CHECKING:
    import numpy as np

_FIELDS = ("id", "question", "answer", "tags", "domain", "group")


@dataclass(frozen=True, kw_only=True)
class JsonlOptions:
    path: Path | None = option(None, "the problems: .jsonl, .jsonl.gz or .parquet (required)")
    held_out_path: Path | None = option(None, "a second such file with the problems to measure with")
    held_out: int = option(200, "without held_out_path: set aside this many problems, at most 10% of the file", low=0)


@dataclass(frozen=True)
class _Entry:
    """A problem and where it was read, for errors."""

    where: str
    problem: Problem

    @property
    def text(self) -> str:
        """The question, white space aside: what makes two problems the same."""
        return " ".join(self.problem.question.split())


class Jsonl:
    def __init__(self, options: JsonlOptions) -> None:
        self.options = options

    def load(self, rng: np.random.Generator) -> ProblemSets:
        if self.options.path is None:
            raise UsageError("--pool=jsonl needs a file: --pool.path=FILE (.jsonl, .jsonl.gz or .parquet)")
        entries = _read(self.options.path)
        notes: tuple[str, ...] = ()
        if self.options.held_out_path is not None:
            held_out = _read(self.options.held_out_path)
        else:
            held_out = _draw(entries, self.options.held_out, rng)
            notes = (f"{len(held_out):,} of {len(entries):,} problems were set aside at random to measure with",)
        texts = {entry.text for entry in held_out}
        pool = [entry for entry in entries if entry.text not in texts]
        copies = len(entries) - len(pool) - (0 if self.options.held_out_path else len(held_out))
        if copies:
            notes += (f"{copies:,} problems were dropped from the pool because their question is held out",)
        if not pool:
            raise UsageError(f"{self.options.path}: every question is held out as well, so none is left to train on")
        _check_ids([*pool, *held_out])
        return ProblemSets(
            problems=tuple(entry.problem for entry in pool),
            held_out=tuple(entry.problem for entry in held_out),
            notes=notes,
        )


def _draw(entries: list[_Entry], wanted: int, rng: np.random.Generator) -> list[_Entry]:
    """The first problem of each of ``wanted`` questions drawn at random, at most a tenth of all questions."""
    first = {entry.text: entry for entry in reversed(entries)}
    questions = list(dict.fromkeys(entry.text for entry in entries))
    rows = rng.choice(len(questions), size=min(wanted, len(questions) // 10), replace=False)
    return [first[questions[row]] for row in sorted(rows)]


def _check_ids(entries: list[_Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        earlier = seen.setdefault(entry.problem.id, entry.where)
        if earlier != entry.where:
            raise UsageError(
                f"{entry.where}: the id {entry.problem.id!r} is already that of {earlier}; "
                "ids have to be unique, over the pool and the held-out file together"
            )


def _read(path: Path) -> list[_Entry]:
    path = Path(os.path.expanduser(path))
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file: .jsonl, .jsonl.gz or .parquet")
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    if not path.is_file():
        raise UsageError(f"{path}: not a regular file; problems are read again when a run goes on")
    entries = [_Entry(where, _problem(row, where)) for where, row in rows_of(path)]
    if not entries:
        raise UsageError(f"{path}: holds no problem; expected one JSON object a line with id, question and answer")
    _check_ids(entries)
    return entries


def _problem(row: Any, where: str) -> Problem:
    if not isinstance(row, dict):
        advice = "; write a JSON array's items on a line each" if isinstance(row, list) else ""
        raise UsageError(f"{where}: expected a JSON object with id, question and answer, got {_kind(row)}{advice}")
    extra = {key: value for key, value in row.items() if key not in _FIELDS and _storable(key) and _keepable(value)}
    if row.get("domain") == "code" and row.get("answer") is None and extra.get("tests"):
        row = row | {"answer": json.dumps(extra["tests"], ensure_ascii=False)}
    return Problem(
        id=_required(row, "id", where),
        question=_required(row, "question", where),
        answer=_required(row, "answer", where),
        tags=_tags(row.get("tags"), where),
        domain=_optional(row, "domain", "math", where),
        group=_optional(row, "group", "", where),
        extra=extra,
    )


def _required(row: dict[str, Any], field: str, where: str) -> str:
    value = row.get(field)
    if value is None:
        raise UsageError(f"{where}: the field {field!r} is missing; every problem needs id, question and answer")
    if field != "question" and isinstance(value, int | float) and not isinstance(value, bool) and _storable(value):
        value = str(value)
    return _filled(_text(value, field, where), field, where)


def _optional(row: dict[str, Any], field: str, default: str, where: str) -> str:
    value = row.get(field)
    return default if value is None else _text(value, field, where) or default


def _tags(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise UsageError(f"{where}: the field 'tags' has to be a list of texts, got {_kind(value)}")
    return tuple(_filled(_text(tag, "tags", where), "tags", where) for tag in value)


def _text(value: Any, field: str, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where}: the field {field!r} has to hold text, got {_kind(value)}")
    if not _storable(value):
        raise UsageError(f"{where}: the field {field!r} holds half a surrogate pair, which is no character")
    return value.strip()


def _filled(text: str, field: str, where: str) -> str:
    if not text:
        raise UsageError(f"{where}: the field {field!r} is empty")
    return text


def _storable(value: Any) -> bool:
    """A scalar that can be written as JSON in UTF-8."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int)


def _keepable(value: Any) -> bool:
    """The same, or lists and objects of such."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _storable(key) and _keepable(item) for key, item in value.items())
    if isinstance(value, list):
        return all(item is None or _keepable(item) for item in value)
    return _storable(value)


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", dict: "an object", list: "a list", str: "text"}
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    return names.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """A file of two dozen problems."""
    rows = ({"id": i, "question": f"What is {i} + 1?", "answer": i + 1, "tags": ["sums"]} for i in range(24))
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield Trial(options={"path": str(path)})


@hookimpl
def saidpo_pools() -> list[Component[Pool]]:
    return [
        Component(
            name="jsonl",
            summary="problems from your own .jsonl, .jsonl.gz or .parquet file",
            options=JsonlOptions,
            build=Jsonl,
            trial=_trial,
        )
    ]
