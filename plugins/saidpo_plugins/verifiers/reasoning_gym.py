"""Verifier ``reasoning-gym``: judges responses to Reasoning Gym problems with the task's own scorer (**ours**).

Right is a score of exactly 1.0: partial credit is wrong, since preference pairs need right and wrong. How strict that
is, is the scorer's affair: some tasks tolerate small errors. The answer that is scored is the marked final answer
(``\\boxed{...}``, ``####``, ...). Without one it is the whole response, but only if it has no more lines than the gold
answer has: some scorers take the first number that they find, and would judge the working.

Scorers run in a killable worker process with a deadline, as some raise, and some can be kept busy for very long by a
short answer; then the response is unverifiable. Tasks whose scorer runs the answer as Python code are never scored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saidpo_core import Component, MissingExtra, Outcome, Problem, Trial, Verdict, Verifier, hookimpl, option
from saidpo_plugins.common.reasoning_gym import RUNS_ANSWERS

if TYPE_CHECKING:
    from saidpo_plugins.verifiers.workers.nursery import Reply

_ENTRY = {"question": "State the final answer to: 2 + 3 =", "answer": "5", "metadata": {"source_dataset": "chain_sum"}}
_CHECKS = ((["chain_sum", "+5.0", _ENTRY], 1.0), (["chain_sum", "6", _ENTRY], 0.0))


@dataclass(frozen=True, kw_only=True)
class ReasoningGymOptions:
    timeout: float = option(5.0, "seconds for scoring one answer; then it is unverifiable", low=0.1)
    workers: int | Literal["auto"] = option("auto", "worker processes; auto: 2, 1 on one core", low=1)
    memory_mb: int = option(4096, "memory limit of a worker process, in MiB", low=512)


class ReasoningGymVerifier:
    def __init__(self, options: ReasoningGymOptions) -> None:
        from saidpo_plugins.verifiers.workers.pool import WorkerPool

        size = min(2, os.cpu_count() or 1) if options.workers == "auto" else options.workers
        self._pool = WorkerPool(
            __name__, "score", size=size, timeout=options.timeout, memory_mb=options.memory_mb, checks=_CHECKS
        )

    def self_test(self) -> None:
        """Starts a worker, which is checked on known cases as every worker is."""
        if find_spec("reasoning_gym") is None:
            raise MissingExtra("--verifier=reasoning-gym", "reasoning-gym", "reasoning-gym")
        self._pool.start()

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        if find_spec("reasoning_gym") is None:
            raise MissingExtra("--verifier=reasoning-gym", "reasoning-gym", "reasoning-gym")
        answers = [_answer(problem, response) for problem, response in cases]
        verdicts = [_without_scorer(problem, answer) for (problem, _), answer in zip(cases, answers, strict=True)]
        rows = [row for row, verdict in enumerate(verdicts) if verdict is None]
        requests = [[cases[row][0].extra["dataset"], answers[row], cases[row][0].extra["entry"]] for row in rows]
        replies = dict(zip(rows, self._pool.run(requests), strict=True))
        return [verdict or _verdict(answers[row], replies[row]) for row, verdict in enumerate(verdicts)]

    def close(self) -> None:
        self._pool.close()


def _answer(problem: Problem, response: str) -> str | None:
    """The answer to score. A gold answer that is a sentence has its full stop, which extraction takes away."""
    from saidpo_plugins.verifiers.extraction import marked
    from saidpo_plugins.verifiers.thinking import outside_thinking

    text = outside_thinking(response).strip()
    gold = problem.answer.strip()
    found, answer = marked(text, lines=gold.count("\n") + 1)
    if not found:
        return text if text and text.count("\n") <= gold.count("\n") else None
    missing_stop = answer is not None and gold.endswith(".") and not answer.endswith(".")
    return f"{answer}." if missing_stop else answer


def _without_scorer(problem: Problem, answer: str | None) -> Verdict | None:
    dataset = problem.extra.get("dataset")
    if not isinstance(dataset, str) or "entry" not in problem.extra:
        reason = "the problem carries no Reasoning Gym entry (extra.dataset, extra.entry)"
        return Verdict(outcome="unverifiable", extracted=answer, reason=reason)
    if dataset in RUNS_ANSWERS:
        reason = f"the scorer of {dataset} would run the answer as Python code"
        return Verdict(outcome="unverifiable", extracted=answer, reason=reason)
    return Verdict(outcome="wrong", reason="no final answer") if answer is None else None


def _verdict(answer: str | None, reply: Reply) -> Verdict:
    if reply.problem:
        return Verdict(outcome="unverifiable", extracted=answer, reason=reply.problem, seconds=reply.seconds)
    right = reply.value == 1.0
    return Verdict(
        outcome="right" if right else "wrong",
        extracted=answer,
        reason="" if right else f"score {reply.value:g}",
        seconds=reply.seconds,
    )


def score(request: list[Any]) -> float:
    """In the worker process: the scorer's judgement of an answer to an entry of a dataset."""
    dataset, answer, entry = request
    return float(_scorer(dataset)(answer, entry))


@cache
def _scorer(dataset: str) -> Callable[[str, Any], float]:
    import reasoning_gym

    scorer: Callable[[str, Any], float] = reasoning_gym.get_score_answer_fn(dataset)
    return scorer


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    problem = Problem(
        id="1",
        question=str(_ENTRY["question"]),
        answer="5",
        domain="reasoning-gym",
        extra={"dataset": "chain_sum", "entry": _ENTRY},
    )
    due: tuple[tuple[str, Outcome], ...] = (
        ("2 + 3 = 5\n#### 5", "right"),
        ("#### 6", "wrong"),
        ("I give up.", "wrong"),
    )
    yield Trial(problems=(problem,), cases=[(problem, response, outcome) for response, outcome in due])


@hookimpl
def saidpo_verifiers() -> list[Component[Verifier]]:
    return [
        Component(
            name="reasoning-gym",
            summary="the Reasoning Gym task's own scorer; right is a score of 1",
            options=ReasoningGymOptions,
            build=ReasoningGymVerifier,
            domains=("reasoning-gym",),
            needs="reasoning_gym",
            extra="reasoning-gym",
            trial=_trial,
        )
    ]
