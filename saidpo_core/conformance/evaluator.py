"""Checks of evaluators, with a policy that answers as it is told and a verifier that takes its word."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from saidpo_core.codecs import evaluation_to_json, problem_to_json
from saidpo_core.components import BringsProblems
from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import Subject, check, first_difference, must
from saidpo_core.conformance.trainer import SumsVerifier
from saidpo_core.contracts import blame, check_evaluation, check_own_problems
from saidpo_core.errors import UsageError
from saidpo_core.records import Generation, Problem, Request, Response
from saidpo_core.values import is_count


@dataclasses.dataclass(frozen=True)
class ToldEngine:
    """Answers rightly where ``right`` says so; ``truncated`` cuts every response off at its limit."""

    right: Sequence[str]
    truncated: bool = False

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        return [
            Generation(prompt_ids=(1,), responses=tuple(self._response(item.problem) for _ in item.seeds))
            for item in requests
        ]

    def _response(self, problem: Problem) -> Response:
        text = f"#### {problem.answer}" if problem.id in self.right else "#### no idea"
        return Response(
            text=text,
            token_ids=tuple(map(ord, text)),
            logprobs=(-0.1,) * len(text),
            finish_reason="length" if self.truncated else "stop",
        )


def inputs(subject: Subject) -> dict[str, Any]:
    """(held-out problems, ids of those that the policy answers rightly)"""
    held_out = samples.problems(24)
    right = [problem.id for problem in held_out[::3]]
    return {
        "ordinary": (held_out, right),
        "one": (held_out[:1], right[:1]),
        "duplicates": (tuple(dataclasses.replace(p, question="What is 1 + 1?") for p in held_out[:4]), right),
        "extremes": (tuple(dataclasses.replace(p, group="") for p in held_out[:4]), []),
        "huge": (samples.problems(2000), right),
        "nothing": ((), []),
    }


def work(subject: Subject, component: Any, given: tuple[Sequence[Problem], Sequence[str]], seed: int) -> Any:
    held_out, right = given
    return evaluate(subject, component, held_out, ToldEngine(right))


def evaluate(subject: Subject, component: Any, held_out: Sequence[Problem], engine: ToldEngine) -> Any:
    """The evaluation, as it would be written down."""
    groups = {problem.group or problem.domain for problem in held_out}
    shares = {group: 1 / len(groups) for group in sorted(groups)}
    with blame(subject.offer, "evaluate"):
        evaluation = component.evaluate(held_out, shares, engine, SumsVerifier(), samples.no_progress)
    check_evaluation(evaluation, held_out, subject.offer)
    return evaluation_to_json(evaluation)


@check("evaluator")
def all_right_is_one_and_all_wrong_is_zero(subject: Subject) -> None:
    """A policy that is always right has the accuracy 1, one that is always wrong the accuracy 0."""
    held_out, _ = subject.input("ordinary")
    ids = [problem.id for problem in held_out]
    for right, due in ((ids, 1.0), ([], 0.0)):
        found = evaluate(subject, subject.fresh(), held_out, ToldEngine(right))
        for name in ("accuracy_balanced", "accuracy_pool"):
            must(found[name] == due, f"{name} is {found[name]}, due is {due:g}")


@check("evaluator")
def a_truncated_response_is_not_right(subject: Subject) -> None:
    """A response that was cut off does not count as right, whatever it says, and is counted."""
    held_out, _ = subject.input("ordinary")
    ids = [problem.id for problem in held_out]
    found = evaluate(subject, subject.fresh(), held_out, ToldEngine(ids, truncated=True))
    must(found["accuracy_balanced"] == 0, f"accuracy_balanced is {found['accuracy_balanced']}")
    must(found["truncated"] > 0, "no truncated response is reported")


@check("evaluator")
def brings_the_same_problems_again(subject: Subject) -> None:
    """An evaluator with problems of its own brings the same ones each time, with unique ids; there is at least one."""
    component = subject.fresh()
    if not isinstance(component, BringsProblems):
        return  # it measures with the pool's held-out ones
    found: list[Any] = []
    for each in (component, subject.fresh()):
        with blame(subject.offer, "problems"):
            problems = each.problems(samples.problems(4))
        check_own_problems(problems, subject.offer)
        found.append([problem_to_json(problem) for problem in problems])
    difference = first_difference(found[0], found[1])
    must(not difference, f"asked again, it brings others: {difference}")
    must(isinstance(component.engine_options(), Mapping), "engine_options is no mapping of options")


@check("evaluator")
def its_plan_is_a_number(subject: Subject) -> None:
    """If it says how many responses it asks for, that is a whole number, not below zero."""
    plan: Any = subject.offer.component.plan
    if plan is None:
        return
    try:
        with blame(subject.offer, "plan"):
            count = plan(subject.options, 200)
    except UsageError:  # it has to be loaded to be counted
        return
    must(is_count(count), f"expected a number of responses, got {count!r:.40}")
