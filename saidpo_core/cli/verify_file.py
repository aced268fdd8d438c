"""``saidpo verify``: judge a file of gold answers and responses, line by line, with any verifier.

Reads one JSON object a line, ``{"gold", "response"}``, for code ``{"tests", "response"}`` or ``{"tests", "program"}``,
with an optional ``id``, ``question`` and ``extra`` (whatever else the verifier needs of a problem). Writes one a line,
in order: ``{"verdict", "extracted", "reason", "seconds"}``, with ``id`` if there was one. A line that cannot be read
is ``unverifiable``, with its number in the reason: every line gets a verdict. Memory is bounded whatever the file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from saidpo_core import read_ahead
from saidpo_core.components import Verifier
from saidpo_core.contracts import blame, check_verdicts
from saidpo_core.errors import SaidpoError, UsageError
from saidpo_core.records import Problem, Verdict
from saidpo_core.registry import Offer


@dataclass(frozen=True)
class Case:
    """One line: what is to be judged, or why it cannot be."""

    problem: Problem | None = None
    response: str = ""
    id: Any = None
    fault: str = ""


def verify_file(offer: Offer, options: Any, source: str, target: str) -> Counter[str]:
    """Judge every line of ``source`` (``-``: standard input) into ``target`` (``-``: standard output)."""
    domain = offer.component.domains[0] if offer.component.domains else "math"
    with ExitStack() as stack:
        lines = stack.enter_context(_opened(source))
        out = stack.enter_context(_created(target, source))
        with blame(offer, "build"):
            verifier: Verifier = offer.component.build(options)
        stack.callback(verifier.close)
        with blame(offer, "self_test"):
            verifier.self_test()
        show = _Progress()
        try:
            for batch in read_ahead.batches(lines):
                cases = [_case(number, line, domain) for number, line in batch]
                verdicts = list(_judged(offer, verifier, cases))
                rows = b"".join(_line(case, verdict) for case, verdict in zip(cases, verdicts, strict=True))
                _write(out, rows, target)
                show.add(verdicts)
        except KeyboardInterrupt:
            click.echo(f"saidpo: interrupted; {show.counts.total():,} verdicts are in {target}", err=True)
            raise click.exceptions.Exit(130) from None
        show.end()
    return show.counts


# ---- Judging ---------------------------------------------------------------------------------------------------------


def _judged(offer: Offer, verifier: Verifier, cases: Sequence[Case]) -> Iterator[Verdict]:
    good = [(case.problem, case.response) for case in cases if case.problem is not None]
    verdicts = iter(_verdicts(offer, verifier, good))
    for case in cases:
        yield Verdict(outcome="unverifiable", reason=case.fault) if case.fault else next(verdicts)


def _verdicts(offer: Offer, verifier: Verifier, pairs: list[tuple[Problem, str]]) -> list[Verdict]:
    """The verifier's verdicts; one that takes no time to say how long it took gets its share of the whole."""
    if not pairs:
        return []
    started = time.perf_counter()
    try:
        with blame(offer, "verify"):
            verdicts = verifier.verify(tuple(pairs))
        check_verdicts(verdicts, len(pairs), offer)
    except SaidpoError as error:
        if error.__cause__ is None:  # the verifier itself says that it cannot go on
            raise
        if len(pairs) == 1:
            return [Verdict(outcome="unverifiable", reason=f"the verifier failed: {error}")]
        return [verdict for pair in pairs for verdict in _verdicts(offer, verifier, [pair])]
    if not any(verdict.seconds for verdict in verdicts):
        share = (time.perf_counter() - started) / len(pairs)
        return [replace(verdict, seconds=share) for verdict in verdicts]
    return verdicts


# ---- Lines -----------------------------------------------------------------------------------------------------------


def _case(number: int, line: bytes | None, domain: str) -> Case:
    """What a line says; never raises, whatever its bytes."""
    if line is None:
        return Case(fault=f"line {number}: longer than {read_ahead.LINE_LIMIT:,} bytes")
    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
    except UnicodeDecodeError:
        return Case(fault=f"line {number}: not UTF-8")
    except (ValueError, RecursionError) as error:
        what = "empty" if not line.strip() else f"broken JSON ({str(error)[:80]})"
        return Case(fault=f"line {number}: {what}")
    if not isinstance(row, dict):
        return Case(fault=f"line {number}: expected a JSON object, got {_kind(row)}")
    try:
        return _read(number, row, domain)
    except ValueError as error:
        return Case(id=row.get("id"), fault=f"line {number}: {error}")


def _read(number: int, row: dict[str, Any], domain: str) -> Case:
    if "program" in row:
        program = _text(row, "program")
        fence = "`" * max(3, 1 + max((len(run) for run in program.split() if not run.strip("`")), default=0))
        response = f"{fence}python\n{program}\n{fence}"
    else:
        response = _text(row, "response")
    extra = row.get("extra", {})
    if not isinstance(extra, dict):
        raise ValueError(f"extra: expected an object, got {_kind(extra)}")
    if "tests" in row:
        extra = extra | {"tests": row["tests"]}
    if "gold" not in row and "tests" not in row:
        raise ValueError("no gold")
    gold = _text(row, "gold") if "gold" in row else json.dumps(row["tests"])
    question = row.get("question")
    problem = Problem(
        id=str(number),
        question=question if isinstance(question, str) else "?",
        answer=gold,
        domain=domain,
        extra=extra,
    )
    return Case(problem=problem, response=response, id=row.get("id"))


def _text(row: dict[str, Any], key: str) -> str:
    """A text; a number is taken as it is written."""
    if key not in row:
        raise ValueError(f"no {key}")
    value = row[key]
    if isinstance(value, bool | int | float):
        return json.dumps(value) if isinstance(value, bool) else repr(value)
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected a text, got {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "a truth value"}
    return names.get(type(value), "a number")


def _line(case: Case, verdict: Verdict) -> bytes:
    row = {
        "verdict": verdict.outcome,
        "extracted": verdict.extracted,
        "reason": verdict.reason,
        "seconds": round(verdict.seconds, 6),
    }
    if case.id is not None:
        row["id"] = case.id
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(row).encode() + b"\n"


# ---- Input and output ------------------------------------------------------------------------------------------------


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        # A reader of our own: at its exit the interpreter wants the lock of sys.stdin's, which a thread may hold.
        yield open(0, "rb", closefd=False)  # noqa: SIM115
        return
    try:
        file = open(source, "rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"--in={source}: {_why(error)}") from error
    with file:
        yield file


@contextmanager
def _created(target: str, source: str) -> Iterator[BinaryIO]:
    if target == "-":
        yield sys.stdout.buffer
        return
    if source != "-" and Path(target).exists() and os.path.samefile(source, target):
        raise UsageError(f"--out={target}: is the input file too")
    try:
        file = open(target, "wb", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"--out={target}: {_why(error)}") from error
    with file:
        yield file


def _write(out: BinaryIO, rows: bytes, target: str) -> None:
    try:
        left = memoryview(rows)
        while left:
            left = left[out.write(left) :]
        out.flush()
    except BrokenPipeError:  # the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(1) from None
    except OSError as error:
        raise SaidpoError(f"--out={target}: cannot be written further: {_why(error)}") from error


def _why(error: OSError) -> str:
    return "no such file or folder" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))


class _Progress:
    """Counts and rate, shown on a terminal only."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._started = time.monotonic()
        self._live = sys.stderr.isatty()

    def add(self, verdicts: Sequence[Verdict]) -> None:
        self.counts.update(verdict.outcome for verdict in verdicts)
        unverifiable = (verdict.reason for verdict in verdicts if verdict.outcome == "unverifiable")
        self._reasons.update("lines that cannot be read" if r.startswith("line ") else r for r in unverifiable)
        if self._live:
            click.echo(f"\r\033[K{self._summary()}", nl=False, err=True)

    def end(self) -> None:
        if self._live:
            click.echo(f"\r\033[K{self._summary()}", err=True)
            for reason, count in self._reasons.most_common(5):
                click.echo(f"  {count:,} {reason}", err=True)

    def _summary(self) -> str:
        seconds = time.monotonic() - self._started
        total = sum(self.counts.values())
        parts = ", ".join(f"{self.counts[outcome]:,} {outcome}" for outcome in ("right", "wrong", "unverifiable"))
        return f"{total:,} lines: {parts}  ({total / max(seconds, 1e-3):,.0f}/s)"
