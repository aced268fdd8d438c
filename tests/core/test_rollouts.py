"""Rollouts: judged while the next are generated, in order, in chunks that a kill cannot lose."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saidpo_core import Attempts, Generation, Problem, Request, SaidpoError, Verdict
from saidpo_core.kind_options import RolloutOptions
from saidpo_core.rollouts import Rollouts, read_attempts
from saidpo_core.run_dir import Clock
from saidpo_core.settings import RunOptions
from tests.builders import make_problem, make_response

PAUSE = 0.03


class Worker:
    """Generator and verifier at once; both take their time, and note when they were at it."""

    def __init__(self, chances: Sequence[int] = ()) -> None:
        """``chances``: percent of right responses, problem by problem, over and over; without it all are right."""
        self.chances = chances
        self.asked: list[list[tuple[str, int]]] = []
        self.spans: dict[str, list[tuple[float, float]]] = {"generate": [], "verify": []}
        self.fail_after = 10**9
        self.engines = 0

    def engine(self, policy: Path) -> Worker:
        self.engines += 1
        return self

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        with self._span("generate"):
            self.asked.append([(item.problem.id, len(item.seeds)) for item in requests])
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
            return [Verdict(outcome="right" if self._is_right(p, text) else "wrong") for p, text in cases]

    def _is_right(self, problem: Problem, text: str) -> bool:
        """By the seed that the text ends with, if there is to be a mixture."""
        if not self.chances:
            return problem.id in text
        return int(text.split()[1]) % 100 < self.chances[int(problem.id[1:]) % len(self.chances)]

    @contextmanager
    def _span(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        time.sleep(PAUSE)
        yield
        self.spans[name].append((started, time.perf_counter()))


def explore(
    worker: Worker, folder: Path, n: int = 40, samples: int = 3, waves: tuple[int, ...] = (), **options: Any
) -> list[Attempts]:
    parts: Any = SimpleNamespace(engine=worker.engine, verifier=worker)
    folder.mkdir(exist_ok=True)
    problems = [make_problem(f"p{i}") for i in range(n)]
    run = Rollouts(parts, RunOptions(samples=samples), Clock(), folder, 1, 8, waves)
    usable = run.explore(problems, folder, lambda done, total: None, **options)
    attempts = read_attempts(folder)
    assert usable == any(item.usable for item in attempts)
    return attempts


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
    assert third.engines == 0


def test_a_limit_of_tokens_cuts_alike_whether_chunks_are_new_or_read(tmp_path: Path) -> None:
    first = explore(Worker(), tmp_path / "a", limit=100)
    tokens = sum(item.tokens for item in first)
    assert 100 <= tokens <= 100 + max(item.tokens for item in first)
    assert explore(Worker(), tmp_path / "a", limit=100) == first


class Text(str):
    """One to which there can be weak references."""


def test_what_is_saved_is_let_go(tmp_path: Path) -> None:
    """Of a hundred problems, only what is generated, what is judged and what is handed over is held."""
    texts: list[weakref.ref[Text]] = []
    held: list[int] = []

    class Counted(Worker):
        def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
            held.append(sum(text() is not None for text in texts))
            generations = []
            for item in super().generate(requests, greedy=greedy):
                marked = [Text(response.text) for response in item.responses]
                texts.extend(map(weakref.ref, marked))
                generations.append(replace(item, responses=tuple(map(make_response, marked))))
            return generations

    explore(Counted(), tmp_path / "a", n=100)
    assert len(texts) == 300
    assert 0 < max(held) <= 3 * 8 * 3


CHANCES = (50, 98, 100, 90, 0, 20, 3)
WAVES = RolloutOptions(early_stop="pair").waves(8)


def in_waves(worker: Worker, folder: Path, **options: Any) -> list[Attempts]:
    return explore(worker, folder, samples=8, waves=WAVES, **options)


@given(samples=st.integers(2, 300), give_up=st.integers(0, 300).filter(lambda n: n != 1))
def test_waves_double_what_was_asked_and_end_at_k(samples: int, give_up: int) -> None:
    waves = RolloutOptions(early_stop="pair", give_up=give_up).waves(samples)
    most = min(samples, give_up or samples)
    assert sum(waves) == most
    asked = list(accumulate(waves))
    assert asked[:-1] == [2**k for k in range(1, len(asked))]
    assert len(waves) <= math.ceil(math.log2(most)) + 1
    assert RolloutOptions().waves(samples) == (samples,)


def test_a_problem_is_asked_until_it_has_a_right_and_a_wrong_response_and_gets_those_of_a_fixed_k(
    tmp_path: Path,
) -> None:
    fixed = explore(Worker(CHANCES), tmp_path / "fixed", samples=8)
    adaptive = in_waves(Worker(CHANCES), tmp_path / "waves")
    assert [item.problem_id for item in adaptive] == [f"p{i}" for i in range(40)]
    counts = set()
    for mine, whole in zip(adaptive, fixed, strict=True):
        n = len(mine.responses)
        counts.add(n)
        assert mine == whole.first(n), "the first responses and verdicts of a fixed K"
        assert mine.usable == whole.usable, "a pair is missed by no problem"
        before = [2, 4, 8].index(n)
        assert not before or not whole.first([2, 4][before - 1]).usable, "it was asked although it had a pair"
        assert n == 8 or mine.usable, "it was left without a pair"
    assert counts == {2, 4, 8}


def test_giving_up_leaves_problems_without_a_pair(tmp_path: Path) -> None:
    waves = RolloutOptions(early_stop="pair", give_up=3).waves(8)
    found = explore(Worker(CHANCES), tmp_path / "a", samples=8, waves=waves)
    fixed = explore(Worker(CHANCES), tmp_path / "b", samples=8)
    assert {len(item.responses) for item in found} == {2, 3}
    assert [item.usable for item in found] == [item.first(3).usable for item in fixed]


def test_a_wave_of_one_chunk_is_judged_while_one_of_another_is_generated(tmp_path: Path) -> None:
    worker = Worker(CHANCES)
    in_waves(worker, tmp_path / "a", n=64)
    generated, judged = worker.spans["generate"], worker.spans["verify"]
    assert len(generated) == len(judged) == 12, "four chunks of 16, three waves each"
    first = [{id for id, _ in call} for call in worker.asked]
    changes = sum(a.isdisjoint(b) for a, b in pairwise(first))
    assert changes == 11, "the chunks take turns"
    overlapping = sum(judged[k][0] < generated[k + 1][1] for k in range(11))
    assert overlapping == 11, "a wave waited for its judgement"
    assert all(judged[k][1] <= generated[k + 2][1] for k in range(10)), "a problem was asked before it was judged"


@pytest.mark.parametrize("limit", [0, 400])
@pytest.mark.parametrize("fail_after", [0, 1, 4, 7, 11])
def test_waves_that_are_killed_anywhere_end_in_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, fail_after: int
) -> None:
    monkeypatch.setattr("tests.core.test_rollouts.PAUSE", 0)
    whole = in_waves(Worker(CHANCES), tmp_path / "whole", n=100, limit=limit)
    worker = Worker(CHANCES)
    worker.fail_after = fail_after
    with suppress(SaidpoError):
        in_waves(worker, tmp_path / "again", n=100, limit=limit)
    assert in_waves(Worker(CHANCES), tmp_path / "again", n=100, limit=limit) == whole
    names = sorted(path.name for path in (tmp_path / "whole").glob("attempts-*"))
    assert names == sorted(path.name for path in (tmp_path / "again").glob("attempts-*"))
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@given(limit=st.integers(1, 1500), data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_limit_of_tokens_holds_in_waves_whatever_was_kept(limit: int, data: st.DataObject) -> None:
    """Also when a later chunk was saved and an earlier one was not."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.core.test_rollouts.PAUSE", 0)
        whole = in_waves(Worker(CHANCES), Path(name), n=200, limit=limit)
        tokens = sum(item.tokens for item in whole)
        assert tokens >= limit or len(whole) == 200
        # Two tokens a response: sixteen a problem at most; chunks shrink to the estimate of what is left.
        assert tokens <= limit + 16 * 8
        for path in sorted(Path(name).glob("attempts-*")):
            if data.draw(st.booleans()):
                path.unlink()
        assert in_waves(Worker(CHANCES), Path(name), n=200, limit=limit) == whole
