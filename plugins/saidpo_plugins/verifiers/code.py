"""Verifier ``code``: does the Python program in a response pass the problem's tests? In a sandbox, or not at all.

``Problem.extra["tests"]`` is a list of ``{"type": "stdio", "input": TEXT, "output": TEXT}`` (the program is a script)
and ``{"type": "assert", "code": TEXT}`` (its functions are called). ``code_program`` says which part of a response is
the program, ``code_tests`` how tests are run and judged and why the program cannot get at what is expected of it,
``sandbox.box`` how it is kept in, ``sandbox.isolation`` how that is proved on this machine before anything runs.

Two more keys help problems that show code, as HumanEval's do: ``extra["preamble"]`` is put before the program (the
imports and the functions that the question gives), and ``extra["entry_point"]`` is the function to be written. A
response that neither has a fence nor defines that function goes on with the preamble, as a base model does.

The paper names no verifier for code: all of this is **ours**.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saidpo_core import Component, Outcome, Problem, SaidpoError, Trial, Verdict, Verifier, hookimpl, option
from saidpo_plugins.common.texts import writable

if TYPE_CHECKING:
    from saidpo_plugins.verifiers.sandbox.layout import Layout

_DOUBLE = ({"type": "stdio", "input": "21\n", "output": "42\n"}, {"type": "stdio", "input": "-1\n", "output": "-2\n"})
_SORTED = ({"type": "assert", "code": "assert largest([3, 9, 4]) == 9"},)
_KNOWN: tuple[tuple[tuple[dict[str, str], ...], str, Outcome], ...] = (
    (_DOUBLE, "It is twice that.\n```python\nprint(2 * int(input()))\n```", "right"),
    (_DOUBLE, "```python\nprint(42)\n```", "wrong"),
    (_SORTED, "```python\ndef largest(items):\n    return max(items)\n```", "right"),
    (_SORTED, "```python\ndef largest(items):\n    return items[-1]\n```", "wrong"),
    (_SORTED, "```python\nprint('passed')\nraise SystemExit(0)\n```", "wrong"),
    (({"type": "assert", "code": "assert 1 =="},), "```python\npass\n```", "unverifiable"),
)


@dataclass(frozen=True, kw_only=True)
class CodeOptions:
    timeout: int = option(5, "processor seconds for a run of a program; by the clock twice that, and one more", low=1)
    workers: int | Literal["auto"] = option("auto", "sandboxes side by side; auto: as many as processors", low=1)
    memory_mb: int = option(512, "memory that a program may use, in MiB", low=64)


class CodeVerifier:
    def __init__(self, options: CodeOptions) -> None:
        self.options = options
        self._layout: Layout | None = None

    def self_test(self) -> None:
        """Proves the isolation, then judges known cases."""
        from saidpo_plugins.verifiers.sandbox.isolation import working_layout

        self._layout = working_layout()
        cases = [(_problem(f"self-test-{n}", tests), response) for n, (tests, response, _) in enumerate(_KNOWN)]
        for (problem, response), (_, _, due), verdict in zip(cases, _KNOWN, self.verify(cases), strict=True):
            if verdict.outcome != due:
                raise SaidpoError(
                    f"--verifier=code fails its self-test: {problem.answer}, {response!r}: expected {due}, got "
                    f"{verdict.outcome} {verdict.reason}"
                )

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """One verdict a case, in order. The same program is run once for the same tests."""
        from saidpo_plugins.verifiers.code_tests import judge, read_tests
        from saidpo_plugins.verifiers.sandbox.box import Limits
        from saidpo_plugins.verifiers.sandbox.isolation import working_layout
        from saidpo_plugins.verifiers.sandbox.runs import run

        if self._layout is None:
            self._layout = working_layout()
        programs = [_program(problem, response) for problem, response in cases]
        tests = [read_tests(problem.extra.get("tests")) for problem, _ in cases]
        keys = [(program, repr(found)) for (program, _), found in zip(programs, tests, strict=True)]
        limits = Limits(seconds=self.options.timeout, memory=self.options.memory_mb * 2**20)
        tasks = {
            key: judge(program, found, limits)
            for key, (program, _), found in zip(keys, programs, tests, strict=True)
            if program is not None and isinstance(found, list)
        }
        slots = len(os.sched_getaffinity(0)) if self.options.workers == "auto" else self.options.workers
        judged = dict(zip(tasks, run(tasks.values(), self._layout, slots), strict=True))
        return [
            _verdict(program, reason, found, judged.get(key))
            for key, (program, reason), found in zip(keys, programs, tests, strict=True)
        ]

    def close(self) -> None:
        """Nothing to end: no sandbox outlives the call that started it."""

    def __getstate__(self) -> dict[str, Any]:
        """Without the layout: in another process, perhaps on another machine, it is to be proved again."""
        return {"options": self.options, "_layout": None}


def _program(problem: Problem, response: str) -> tuple[str | None, str]:
    """What to run, or None and the reason."""
    from saidpo_plugins.verifiers.code_program import find_program
    from saidpo_plugins.verifiers.thinking import outside_thinking

    program, reason = find_program(response)
    preamble, entry_point = (problem.extra.get(name) for name in ("preamble", "entry_point"))
    if program is None or not isinstance(preamble, str):
        return program, reason
    text = outside_thinking(response)
    defines = isinstance(entry_point, str) and re.search(rf"\bdef {re.escape(entry_point)}\b", text)
    continues = program == text and entry_point is not None and not defines
    return preamble + ("" if continues else "\n\n") + program, ""


def _verdict(program: str | None, reason: str, tests: object, judged: tuple[Outcome, str] | None) -> Verdict:
    if isinstance(tests, str):
        return Verdict(outcome="unverifiable", extracted=program, reason=tests)
    if judged is None:
        return Verdict(outcome="wrong", reason=reason)
    outcome, why = judged
    return Verdict(outcome=outcome, extracted=program, reason=writable(why))


def _problem(name: str, tests: Sequence[dict[str, str]]) -> Problem:
    return Problem(id=name, question="?", answer=json.dumps(list(tests)), domain="code", extra={"tests": list(tests)})


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """The known cases of the self-test."""
    cases = [(_problem(f"known-{n}", tests), response, due) for n, (tests, response, due) in enumerate(_KNOWN)]
    yield Trial(problems=[problem for problem, _, _ in cases], cases=cases)


def _diagnose() -> str:
    """Proves the isolation."""
    from saidpo_plugins.verifiers.sandbox.isolation import working_layout

    return f"programs are kept in ({working_layout().mode} bubblewrap); a probe tried to get out and could not"


@hookimpl
def saidpo_verifiers() -> list[Component[Verifier]]:
    return [
        Component(
            name="code",
            summary="Python programs against tests, in a sandbox made by bubblewrap",
            options=CodeOptions,
            build=CodeVerifier,
            domains=("code",),
            trial=_trial,
            diagnose=_diagnose,
        )
    ]
