"""Tests of programs: what is run in which sandbox, and how the outcome is judged (**ours**).

``stdio``: the program runs as a script on the test's input, one sandbox a test. Its output is compared here, outside:
the lines have to be the same, white space at their ends and empty lines at the end of the output aside. There is no
tolerance for numbers: a problem says how many digits it wants. A program that ends with an error is wrong, whatever it
printed before.

``assert``: all of these tests of a problem run one after another in one sandbox, the judge's, which the program never
enters. The program is loaded in a second sandbox, as a module, and where a test calls one of its functions the call is
handed over: arguments go in as plain data, the result comes back as plain data (``inside/wire.py``). No line of a test
and no expected value is in the program's reach, and there is no message that says "passed": what it can forge is an
answer, and an answer is what it was asked for. One sandbox for several of these tests is safe for the same reason, and
what a program remembers from one call to the next it would remember in a test suite.

A program that takes too long is wrong, and so is one that crashes, that uses too much memory or that exits early: it
was given what it needed, and its limits. Unverifiable is what is no fault of the program: tests that cannot be read or
that never call it, a judge that ran out of its own time, a sandbox that could not be set up.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from saidpo_core import Outcome
from saidpo_plugins.verifiers.sandbox.box import Box, Limits
from saidpo_plugins.verifiers.sandbox.runs import Task

Judgement = tuple[Outcome, str]
"""Outcome and reason."""

_SIGXCPU = 128 + signal.SIGXCPU
_REASON_LIMIT = 300


@dataclass(frozen=True)
class Test:
    """One test of a problem, by its number from 1."""

    number: int
    code: str | None
    """An ``assert`` test; None for one on standard input and output."""
    input: str = ""
    output: str = ""


def read_tests(value: Any) -> list[Test] | str:
    """The tests of ``Problem.extra["tests"]``, or why they cannot be used."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return "the problem has no list of tests (extra.tests)"
    tests: list[Test] = []
    for number, item in enumerate(value, 1):
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "stdio" and isinstance(item.get("input", ""), str) and isinstance(item.get("output"), str):
            tests.append(Test(number, None, item.get("input", ""), item["output"]))
        elif kind == "assert" and isinstance(item.get("code"), str):
            tests.append(Test(number, item["code"]))
        else:
            return (
                f"test {number} cannot be read: expected "
                '{"type": "stdio", "input": TEXT, "output": TEXT} or {"type": "assert", "code": TEXT}'
            )
    return tests


def judge(program: str, tests: Sequence[Test], limits: Limits) -> Task[Judgement]:
    """Run the tests until one fails."""
    source = program.encode("utf-8", "replace")
    asserts = [test for test in tests if test.code is not None]
    if asserts:
        judgement = yield from _judge_asserts(source, asserts, limits)
        if judgement[0] != "right":
            return judgement
    for test in tests:
        if test.code is None:
            judgement = yield from _judge_stdio(source, test, limits)
            if judgement[0] != "right":
                return judgement
    return "right", ""


def _judge_stdio(source: bytes, test: Test, limits: Limits) -> Task[Judgement]:
    room = max(limits.output, 2 * len(test.output.encode("utf-8", "replace")) + 2**16)
    box = Box("run", source, replace(limits, output=room), stdin=test.input.encode("utf-8", "replace"))
    yield [box]
    where = f"test {test.number}"
    if not box.complete:
        return _no_sandbox(box)
    fault = _fault(box)
    if fault:
        return "wrong", f"{where}: {fault}"
    difference = _difference(test.output, box.output.decode("utf-8", "replace"))
    return ("wrong", f"{where}: {difference}") if difference else ("right", "")


def _judge_asserts(source: bytes, tests: Sequence[Test], limits: Limits) -> Task[Judgement]:
    questions, ask = os.pipe()
    answers, answer = os.pipe()
    codes = json.dumps([[test.number, test.code] for test in tests]).encode()
    program = Box("serve", source, limits, stdin=questions, stdout=answer)
    court = Box("judge", codes, limits, stdin=answers, more=(ask,))
    yield [program, court]
    if not program.complete:
        return _no_sandbox(program)
    if not court.complete and not program.stopped:
        return _no_sandbox(court)
    said = [json.loads(line) for line in court.output.splitlines()]
    begun = next((item for item in reversed(said) if isinstance(item, int)), None)
    where = "as the program is loaded" if begun is None else f"test {begun}"
    if said and isinstance(said[-1], list):
        outcome, reason = said[-1]
        if outcome == "wrong" and program.code == _SIGXCPU:
            return "wrong", f"{where}: out of time"
        return outcome, reason[:_REASON_LIMIT]
    if court.code == _SIGXCPU:
        return "unverifiable", f"{where}: the test itself takes too long"
    if "time" in (program.stopped, court.stopped):
        return "wrong", f"{where}: out of time"
    if program.stopped:
        return "wrong", f"{where}: {_fault(program)}"
    return "unverifiable", f"{where}: the test ended its judge ({_last_line(court) or f'exit status {court.code}'})"


def _no_sandbox(box: Box) -> Judgement:
    return "unverifiable", f"no isolation: {_last_line(box) or 'the sandbox did not start'}"


def _fault(box: Box) -> str:
    """How a program failed, whatever it printed; empty if it ended well."""
    if box.stopped == "time" or box.code == _SIGXCPU:
        return "out of time"
    if box.stopped == "output":
        return "prints too much"
    if box.stopped == "memory":
        return "out of memory"
    if box.code > 128 and box.code - 128 in set(signal.Signals):
        return f"ended by {signal.Signals(box.code - 128).name}"
    if box.code:
        return _last_line(box) or f"exit status {box.code}"
    return ""


def _last_line(box: Box) -> str:
    lines = box.errors.decode("utf-8", "replace").strip().splitlines()
    return _short(lines[-1]) if lines else ""


def _difference(expected: str, output: str) -> str:
    """The first line that differs; empty if none does."""
    if _lines(expected) == _lines(output):
        return ""
    due, got = _lines(expected), _lines(output)
    for number, (one, other) in enumerate(zip(due, got, strict=False), 1):
        if one != other:
            return f"line {number}: expected {_short(one)!r}, got {_short(other)!r}"
    if len(got) < len(due):
        return f"line {len(got) + 1}: expected {_short(due[len(got)])!r}, got no more output"
    return f"line {len(due) + 1}: expected no more output, got {_short(got[len(due)])!r}"


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
