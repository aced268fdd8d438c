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
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from saidpo_core.components import Verifier
from saidpo_core.contracts import blame, check_verdicts
from saidpo_core.errors import SaidpoError, UsageError
from saidpo_core.records import Problem, Verdict
from saidpo_core.registry import Offer

LINE_LIMIT = 64 * 2**20
BATCH_LINES, BATCH_BYTES = 2048, 16 * 2**20


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
        show = _Progress(lines)
        for batch in _batches(lines):
            cases = [_case(number, line, domain) for number, line in batch]
            verdicts = list(_judged(offer, verifier, cases))
            out.write(b"".join(_line(case, verdict) for case, verdict in zip(cases, verdicts, strict=True)))
            out.flush()
            show.add(verdicts)
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
        return Case(fault=f"line {number}: longer than {LINE_LIMIT // 2**20} MiB")
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
        yield sys.stdin.buffer
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
        file = open(target, "wb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"--out={target}: {_why(error)}") from error
    with file:
        yield file


def _why(error: OSError) -> str:
    return "no such file or folder" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))


def _batches(lines: BinaryIO) -> Iterator[list[tuple[int, bytes | None]]]:
    """What can be read without waiting, in pieces of bounded size: a file is read ahead while its lines are judged."""
    ready = _Ahead(_whole_lines(lines))
    number = 0
    while batch := ready.take():
        yield [(number + i, line) for i, line in enumerate(batch, 1)]
        number += len(batch)


def _whole_lines(lines: BinaryIO) -> Iterator[bytes | None]:
    """Each line, None for one that is too long to be held."""
    while line := lines.readline(LINE_LIMIT + 1):
        if len(line) > LINE_LIMIT and not line.endswith(b"\n"):
            while (rest := lines.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line.rstrip(b"\r\n")


class _Ahead:
    """Reads ahead in a thread, up to one batch; ``take`` gives what is there, and waits if that is nothing."""

    def __init__(self, lines: Iterable[bytes | None]) -> None:
        self._ready: deque[bytes | None] = deque()
        self._bytes = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def _read(self, lines: Iterable[bytes | None]) -> None:
        try:
            for line in lines:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._ready) < BATCH_LINES and self._bytes < BATCH_BYTES)
                    self._ready.append(line)
                    self._bytes += len(line or b"")
                    self._changed.notify_all()
        except BaseException as error:
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def take(self) -> list[bytes | None]:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            batch = list(self._ready)
            self._ready.clear()
            self._bytes = 0
            self._changed.notify_all()
        if not batch and self._failure is not None:
            raise SaidpoError(f"the input cannot be read further: {self._failure}") from self._failure
        return batch


class _Progress:
    """Lines, rate and what is left, on a terminal only."""

    def __init__(self, lines: BinaryIO) -> None:
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
