"""Evaluator ``greedy``: what counts as right, how groups are weighed. The engine recites prepared responses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Evaluation, Generation, GroupScore, Problem, Request, Response, Verdict
from saidpo_plugins.evaluators.greedy import GreedyEvaluator, GreedyOptions
from tests.builders import make_problem, make_response

LETTERS = {
    "r": make_response("2"),
    "w": make_response("3"),
    "u": make_response("what?"),
    "t": make_response("2", truncated=True),
}


class Reciter:
    """Responds with the response that a problem's ``extra`` names; keeps the requests."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Request]] = []

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        assert greedy
        self.calls.append(requests)
        return [Generation(prompt_ids=(1,), responses=(self._response(request),)) for request in requests]

    def _response(self, request: Request) -> Response:
        assert len(request.seeds) == 1
        return LETTERS[request.problem.extra["letter"]]


class Equality:
    """Right if the text is the answer, unverifiable if it is no number."""

    def self_test(self) -> None:
        pass

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        return [self._verdict(problem, text) for problem, text in cases]

    def _verdict(self, problem: Problem, text: str) -> Verdict:
        if not text.isdigit():
            return Verdict(outcome="unverifiable")
        return Verdict(outcome="right" if text == problem.answer else "wrong")

    def close(self) -> None:
        pass


def problems_of(groups: dict[str, str], **fields: str) -> list[Problem]:
    """One problem a letter: ``{"algebra": "rrw"}``."""
    named = [(group, letter) for group, letters in groups.items() for letter in letters]
    return [
        make_problem(f"p{i}", group=group, extra={"letter": letter}, **fields)
        for i, (group, letter) in enumerate(named)
    ]


def evaluate(problems: Sequence[Problem], shares: dict[str, float] | None = None, per_batch: int = 512) -> Evaluation:
    evaluator = GreedyEvaluator(GreedyOptions(per_batch=per_batch))
    return evaluator.evaluate(problems, shares or {}, Reciter(), Equality(), lambda done, total: None)


def test_accuracy_is_balanced_over_groups_and_weighted_by_pool_share() -> None:
    result = evaluate(problems_of({"a": "rrrw", "b": "w", "c": "rw"}), {"a": 0.6, "b": 0.3, "c": 0.1})
    assert result.groups == {
        "a": GroupScore(right=3, total=4),
        "b": GroupScore(right=0, total=1),
        "c": GroupScore(right=1, total=2),
    }
    assert result.accuracy_balanced == pytest.approx((0.75 + 0 + 0.5) / 3)
    assert result.accuracy_pool == pytest.approx(0.6 * 0.75 + 0.1 * 0.5)


def test_pool_shares_are_renormalised_over_the_groups_that_are_held_out() -> None:
    result = evaluate(problems_of({"a": "r", "b": "w"}), {"a": 0.1, "b": 0.3, "not held out": 0.6})
    assert result.accuracy_pool == pytest.approx(0.25)


def test_held_out_groups_that_the_pool_lacks_weigh_nothing_there() -> None:
    result = evaluate(problems_of({"a": "r", "new": "w"}), {"a": 1.0})
    assert result.accuracy_pool == 1.0
    assert result.accuracy_balanced == 0.5
    assert math.isnan(evaluate(problems_of({"new": "r"}), {"a": 1.0}).accuracy_pool)


def test_truncated_and_unverifiable_responses_are_not_right_but_reported() -> None:
    result = evaluate(problems_of({"a": "rtuw", "b": "tt"}), {"a": 0.5, "b": 0.5})
    assert result.groups == {"a": GroupScore(right=1, total=4), "b": GroupScore(right=0, total=2)}
    assert (result.truncated, result.unverifiable) == (3, 1)


def test_problems_without_group_are_grouped_by_domain() -> None:
    assert set(evaluate(problems_of({"": "rw"}, domain="logic")).groups) == {"logic"}


def test_nothing_held_out_gives_no_groups_and_no_number() -> None:
    result = evaluate([], {"a": 1.0})
    assert dict(result.groups) == {}
    assert math.isnan(result.accuracy_balanced)
    assert math.isnan(result.accuracy_pool)


@given(st.text("rwut", min_size=1, max_size=12), st.integers(1, 13))
def test_batches_cover_every_problem_once_and_do_not_change_the_result(letters: str, per_batch: int) -> None:
    problems = problems_of({"a": letters})
    engine, seen = Reciter(), []
    evaluator = GreedyEvaluator(GreedyOptions(per_batch=per_batch))
    result = evaluator.evaluate(
        problems, {"a": 1.0}, engine, Equality(), lambda done, total: seen.append((done, total))
    )
    assert [request.problem for call in engine.calls for request in call] == problems
    assert max(map(len, engine.calls)) <= per_batch
    assert seen[-1] == (len(problems), len(problems))
    assert seen == sorted(seen)
    assert result == evaluate(problems, {"a": 1.0})
    assert result.groups["a"].right == letters.count("r")
