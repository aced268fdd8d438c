"""Rollouts: judged while the next are generated, in order, in chunks that a kill cannot lose."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from saidpo_core import Attempts, Generation, Problem, Request, SaidpoError, Verdict, rollouts
from saidpo_core.rollouts import Rollouts
from saidpo_core.run_dir import Clock
from saidpo_core.settings import RunOptions
from tests.builders import make_problem, make_response

PAUSE = 0.03


class Worker:
    """Generator and verifier at once; both take their time, and note when they were at it."""

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[float, float]]] = {"generate": [], "verify": []}
        self.fail_after = 10**9
        self.loads = 0

    @contextmanager
    def load(self, policy: Path) -> Iterator[Worker]:
        self.loads += 1
        yield self

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        with self._span("generate"):
            return [
                Generation(
                    prompt_ids=(1,), responses=tuple(make_response(f"{item.problem.id} {s}") for s in item.seeds)
                )
                for item in requests
            ]

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        with self._span("verify"):
            if len(self.spans["verify"]) >= self.fail_after:
                raise SaidpoError("the verifier is gone")
            assert threading.current_thread() is not threading.main_thread()
            return [Verdict(outcome="right" if p.id in text else "wrong") for p, text in cases]

    @contextmanager
    def _span(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        time.sleep(PAUSE)
        yield
        self.spans[name].append((started, time.perf_counter()))


def explore(worker: Worker, folder: Path, n: int = 40, **options: Any) -> list[Attempts]:
    parts: Any = SimpleNamespace(load=worker.load, verifier=worker)
    folder.mkdir(exist_ok=True)
    problems = [make_problem(f"p{i}") for i in range(n)]
    run = Rollouts(parts, RunOptions(samples=3), Clock(), folder, 1)
    return run.explore(problems, folder, lambda done, total: None, **options)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "CHUNK", 8)


def test_a_chunk_is_judged_while_the_next_one_is_generated(tmp_path: Path) -> None:
    worker = Worker()
    attempts = explore(worker, tmp_path / "a")
    assert [item.problem_id for item in attempts] == [f"p{i}" for i in range(40)]
    assert all(len(item.right) == 3 for item in attempts)
    generated, judged = worker.spans["generate"], worker.spans["verify"]
    assert len(generated) == len(judged) == 5
    for k in range(4):
        assert judged[k][0] < generated[k + 1][1], "it waited for the next generation to end"
        assert judged[k][1] > generated[k][1], "it was judged before it was generated"
    for k in range(3):
        assert judged[k][1] <= generated[k + 2][1] + PAUSE, "more than one chunk waits to be judged"


def test_what_was_judged_before_a_failure_is_kept_and_the_rest_is_the_same_afterwards(tmp_path: Path) -> None:
    whole = explore(Worker(), tmp_path / "whole")
    worker = Worker()
    worker.fail_after = 2
    with pytest.raises(SaidpoError, match="the verifier is gone"):
        explore(worker, tmp_path / "again")
    assert len(list((tmp_path / "again").glob("attempts-*"))) == 2
    second = Worker()
    assert explore(second, tmp_path / "again") == whole
    assert len(second.spans["generate"]) == 3
    third = Worker()
    assert explore(third, tmp_path / "again") == whole
    assert third.loads == 0


def test_a_limit_of_tokens_cuts_alike_whether_chunks_are_new_or_read(tmp_path: Path) -> None:
    first = explore(Worker(), tmp_path / "a", limit=100)
    tokens = sum(item.tokens for item in first)
    assert 100 <= tokens <= 100 + max(item.tokens for item in first)
    assert explore(Worker(), tmp_path / "a", limit=100) == first
