"""Verifier ``math``: is the final answer of a response the gold answer, mathematically?

    from saidpo_plugins.verifiers.math import MathVerifier
    MathVerifier().judge("1/2", "Half of it: \\\\boxed{0.5}").outcome   # "right"

Three stages: find the final answer (``extraction``), compare it with the gold answer without a computer algebra system
(``answers``), and hand what is left to math-verify in a worker process (``workers``, ``symbolic``), the extracted
answer only. A response without a final answer is wrong. What cannot be judged is unverifiable: out of time or memory,
a crashed worker, a gold answer that cannot be read. ``docs/verifying.md`` is the policy.

The paper names no verifier: all of this is **ours**.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saidpo_core import Component, Outcome, Problem, SaidpoError, Trial, Verdict, Verifier, hookimpl, option
from saidpo_plugins.common.texts import writable

if TYPE_CHECKING:
    from saidpo_plugins.verifiers.workers.nursery import Reply

_PATIENCE = 10
_SELF_TEST: tuple[tuple[str, str, Outcome], ...] = (
    ("42", "6 * 7 = 42, so the answer is \\boxed{42}.", "right"),
    ("\\frac{1}{2}", "Half of it.\n#### 0.5", "right"),
    ("x^2-1", "\\boxed{(x-1)(x+1)}", "right"),
    ("2:3:5", "\\boxed{2:5:3}", "wrong"),
    ("1e-7", "\\boxed{2e-7}", "wrong"),
    ("5", "Both of them have \\boxed{5", "wrong"),
    ("7", "3 + 4 is\n7", "wrong"),
    ("9", "<think>The answer is 9</think>I am not sure.", "wrong"),
    ("\\frac{1", "\\boxed{1}", "unverifiable"),
    ("\\frac{1}{3}", "\\boxed{\\int_0^1 x^2 dx}", "right"),  # this and the next one are for the workers
    ("\\frac{1}{2}", "\\boxed{\\int_0^1 x^2 dx}", "wrong"),
)
_MEMO_SIZE, _MEMO_TEXT = 20_000, 500
_SHOWN = 1000
_BETWEEN = 8
"""Quick cases between two looks at the workers."""


@dataclass(frozen=True, kw_only=True)
class MathOptions:
    timeout: float = option(2.0, "seconds for one comparison by math-verify; then it is unverifiable", low=0.1)
    workers: int | Literal["auto"] = option(
        "auto", "worker processes for math-verify; auto: one a core and one more, as some get stuck", low=1
    )
    memory_mb: int = option(1024, "memory limit of a worker process, in MiB", low=256)


class MathVerifier:
    def __init__(self, options: MathOptions | None = None) -> None:
        from saidpo_plugins.verifiers import symbolic
        from saidpo_plugins.verifiers.workers.pool import WorkerPool

        options = options or MathOptions()
        size = 1 + (os.cpu_count() or 1) if options.workers == "auto" else options.workers
        self._pool = WorkerPool(
            symbolic.__name__,
            "judge",
            size=size,
            timeout=options.timeout,
            memory_mb=options.memory_mb,
            checks=symbolic.CHECKS,
        )
        self._memo: dict[tuple[str, str], Verdict] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what it remembers, and without processes: a copy starts its own."""
        return self.__dict__ | {"_memo": {}}

    def judge(self, gold: str, response: str) -> Verdict:
        """The verdict on one response."""
        [verdict] = self.verify([(Problem(id="1", question="?", answer=gold), response)])
        return verdict

    def self_test(self) -> None:
        """Judges known cases, in this process and in a worker, which are those that the run will use."""
        self._pool.start()
        for gold, response, due in _SELF_TEST:
            verdict = self._patiently(gold, response)
            if verdict.outcome != due:
                raise SaidpoError(
                    f"--verifier=math fails its self-test: gold answer {gold!r}, response {response!r}: "
                    f"expected {due}, got {verdict.outcome} {verdict.reason}"
                )

    def _patiently(self, gold: str, response: str) -> Verdict:
        """Asked again if there was no time: a machine that is busy just now is no reason to refuse a run."""
        for _ in range(_PATIENCE):
            verdict = self.judge(gold, response)
            if verdict.reason != "timeout":
                break
            self._memo.clear()  # it remembers the timeout
        return verdict

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        from saidpo_plugins.verifiers.extraction import extract

        verdicts: list[Verdict | None] = []
        hard: dict[tuple[str, str], list[int]] = {}
        with self._pool.session() as session:
            for row, (problem, response) in enumerate(cases):
                started = time.perf_counter()
                gold, answer = _gold(problem.answer), extract(response)
                verdict = self._quick_verdict(gold, answer)
                verdicts.append(verdict and _timed(verdict, time.perf_counter() - started))
                if verdict is None:
                    pair = (gold, answer or "")
                    if pair not in hard:
                        session.submit(list(pair))
                    hard.setdefault(pair, []).append(row)
                elif row % _BETWEEN == 0:
                    session.advance()
            replies = session.finish()
        for (pair, rows), reply in zip(hard.items(), replies, strict=True):
            verdict = _symbolic_verdict(pair[1], reply)
            if reply.problem != "worker crashed":  # that may not have been the answer's fault
                self._remember(pair, verdict)
            for row in rows:
                verdicts[row] = verdict
        return [verdict for verdict in verdicts if verdict is not None]

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> MathVerifier:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _quick_verdict(self, gold: str, answer: str | None) -> Verdict | None:
        """The verdict without math-verify, or the one that is remembered; None if it takes math-verify."""
        if answer is None:
            return _no_answer(gold)
        pair = (gold, answer)
        verdict = self._memo.get(pair)
        if verdict is None:
            verdict = _exact_verdict(gold, answer)
            if verdict is not None:
                self._remember(pair, verdict)
        return verdict

    def _remember(self, pair: tuple[str, str], verdict: Verdict) -> None:
        if len(pair[0]) + len(pair[1]) > _MEMO_TEXT:
            return
        if len(self._memo) >= _MEMO_SIZE:
            self._memo.clear()
        self._memo[pair] = verdict


def _gold(answer: str) -> str:
    """The gold answer itself, if it comes as a worked solution (GSM8K: ``... #### 72``)."""
    from saidpo_plugins.verifiers.extraction import marked

    answer = writable(answer)
    found, final = marked(answer)
    return (final if found else answer.strip()) or ""


def _no_answer(gold: str) -> Verdict:
    from saidpo_plugins.verifiers.answers.compare import is_readable

    if not is_readable(gold):
        return Verdict(outcome="unverifiable", reason="gold answer cannot be read")
    return Verdict(outcome="wrong", reason="no final answer")


def _exact_verdict(gold: str, answer: str) -> Verdict | None:
    from saidpo_plugins.verifiers.answers.compare import LENGTH_LIMIT, compare, is_readable

    shown = answer if len(answer) <= _SHOWN else answer[:_SHOWN] + "..."
    try:
        equal = compare(gold, answer)
    except Exception as error:  # a fault of ours: shown and counted, but no response can stop a run
        reason = f"the comparison failed: {type(error).__name__}: {error}"
        return Verdict(outcome="unverifiable", extracted=shown, reason=writable(reason[:300]))
    if equal is True:
        return Verdict(outcome="right", extracted=shown)
    if not is_readable(gold):
        return Verdict(outcome="unverifiable", extracted=shown, reason="gold answer cannot be read")
    if equal is False:
        return Verdict(outcome="wrong", extracted=shown)
    if max(len(gold), len(answer)) > LENGTH_LIMIT:
        reason = f"answer longer than {LENGTH_LIMIT} characters"
        return Verdict(outcome="unverifiable", extracted=shown, reason=reason)
    return None


def _timed(verdict: Verdict, seconds: float) -> Verdict:
    return Verdict(outcome=verdict.outcome, extracted=verdict.extracted, reason=verdict.reason, seconds=seconds)


def _symbolic_verdict(answer: str, reply: Reply) -> Verdict:
    if reply.problem:
        return Verdict(outcome="unverifiable", extracted=answer, reason=writable(reply.problem), seconds=reply.seconds)
    if reply.value == "gold unreadable":
        reason = "gold answer cannot be read"
        return Verdict(outcome="unverifiable", extracted=answer, reason=reason, seconds=reply.seconds)
    return Verdict(outcome="right" if reply.value == "equal" else "wrong", extracted=answer, seconds=reply.seconds)


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    cases = [
        (Problem(id=str(number), question="?", answer=gold), response, due)
        for number, (gold, response, due) in enumerate(_SELF_TEST)
    ]
    yield Trial(problems=[problem for problem, _, _ in cases], cases=cases)


@hookimpl
def saidpo_verifiers() -> list[Component[Verifier]]:
    return [
        Component(
            name="math",
            summary="final answer against the gold answer: exactly, then by math-verify in killable processes",
            options=MathOptions,
            build=MathVerifier,
            default=True,
            domains=("math",),
            trial=_trial,
        )
    ]
