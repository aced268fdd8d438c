"""Checks of generators, with the small policy that ships with saidpo."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from saidpo_core.codecs import response_to_json
from saidpo_core.components import ChecksPrompts
from saidpo_core.conformance import plans, samples
from saidpo_core.conformance.kit import NotApplicable, Subject, check, expect_refusal, first_difference, must
from saidpo_core.contracts import blame, check_generations, check_warnings
from saidpo_core.errors import UsageError
from saidpo_core.planning.checks import check_generation_estimate
from saidpo_core.planning.records import GenerationWork
from saidpo_core.records import Problem, Request
from saidpo_core.seeds import keyed_seed


def inputs(subject: Subject) -> dict[str, Any]:
    """Requests for three responses to each problem."""
    problems = tuple(subject.trial.problems) or _problems()
    ordinary = tuple(
        Request(problem=problem, seeds=tuple(keyed_seed(0, problem.id, k) for k in range(3))) for problem in problems
    )
    strange = dataclasses.replace(problems[0], id="strange", question="\U0001d54f? \u202e \u0007")
    known = bool(subject.trial.problems)  # then it can answer those alone
    return {
        "ordinary": ordinary,
        "one": (dataclasses.replace(ordinary[0], seeds=ordinary[0].seeds[:1]),),
        "duplicates": (dataclasses.replace(ordinary[0], seeds=ordinary[0].seeds[:1] * 4),),
        **({} if known else {"extremes": (dataclasses.replace(ordinary[0], problem=strange),)}),
        "nothing": (),
    }


def _problems() -> tuple[Problem, ...]:
    """Sums, of which the policy is sure, and questions that it was never asked, of which it is not."""
    sums = samples.problems(5)
    return tuple(dataclasses.replace(p, question=f"Who has {p.answer}?") if i % 2 else p for i, p in enumerate(sums))


def work(subject: Subject, component: Any, given: Sequence[Request], seed: int, *, greedy: bool = False) -> Any:
    """Prompt and responses of each request; ``seed`` is one number more in the seeds of the requests."""
    asked = [
        dataclasses.replace(item, seeds=tuple(keyed_seed(seed, f"{s}") if seed else s for s in item.seeds))
        for item in given
    ]
    with blame(subject.offer, "load"), component.load(subject.policy) as engine:
        generations = engine.generate(asked, greedy=greedy)
    check_generations(generations, asked, subject.offer)
    return [[list(item.prompt_ids), [response_to_json(r) for r in item.responses]] for item in generations]


def _ids(result: Any) -> list[list[list[int]]]:
    return [[list(response["token_ids"]) for response in responses] for _, responses in result]


@check("generator")
def refuses_a_folder_that_is_no_model(subject: Subject) -> None:
    """A folder that it cannot load is refused in ``check`` with a UsageError, before anything starts."""
    component = subject.fresh()
    with expect_refusal("check of an empty folder", UsageError), blame(subject.offer, "check"):
        component.check(subject.new_folder())
    with blame(subject.offer, "check"):
        component.check(subject.policy)


@check("generator")
def a_seed_decides_its_own_response(subject: Subject) -> None:
    """Response k depends on seed k alone: not on how many others are asked for, nor on their order."""
    if subject.offer.component.order_matters:
        raise NotApplicable("says that order matters")
    given = subject.input("ordinary")
    alone = [dataclasses.replace(item, seeds=item.seeds[1:2]) for item in given]
    second = [[responses[1]] for responses in _ids(subject.result())]
    found = first_difference(second, _ids(work(subject, subject.fresh(), alone, 0)))
    must(not found, f"asked for alone, response 1 is another: {found}")
    turned = _ids(work(subject, subject.fresh(), given[::-1], 0))[::-1]
    found = first_difference(_ids(subject.result()), turned)
    must(not found, f"with the requests in another order: {found}")


@check("generator")
def other_seeds_give_other_responses(subject: Subject) -> None:
    """With other seeds not every response is the same as before."""
    if subject.trial.problems:
        raise NotApplicable("its trial gives it the responses")
    must(_ids(subject.result()) != _ids(subject.result("ordinary", 1)), "other seeds, and every response is the same")


@check("generator")
def greedy_uses_no_seed(subject: Subject) -> None:
    """``greedy=True`` gives the same response for every seed."""
    given = subject.input("ordinary")
    rows = _ids(work(subject, subject.fresh(), given, 0, greedy=True))
    again = _ids(work(subject, subject.fresh(), given, 1, greedy=True))
    must(rows == again, "other seeds, and another greedy response")
    for item, responses in zip(given, rows, strict=True):
        must(all(ids == responses[0] for ids in responses), f"problem {item.problem.id}: greedy responses differ")


@check("generator")
def warns_in_words_before_it_is_asked(subject: Subject) -> None:
    """If it checks prompts beforehand, it returns texts, and refuses a folder that is no model."""
    component = subject.fresh()
    if not isinstance(component, ChecksPrompts):
        return
    given = subject.input("ordinary")
    with blame(subject.offer, "preflight"):
        check_warnings(component.preflight(subject.policy, given), subject.offer)
    with expect_refusal("preflight of an empty folder", UsageError), blame(subject.offer, "preflight"):
        component.preflight(subject.new_folder(), given)


@check("generator")
def its_plan_is_an_estimate(subject: Subject) -> None:
    """If it says what it will need, it does so for any model and machine, and a larger model does not need less."""
    plan: Any = subject.offer.component.plan
    if plan is None:
        return
    work = GenerationWork(responses=1000, prompt_tokens=100.0, longest_prompt=400)
    for machine in plans.machines():
        found = []
        for model in (plans.SMALL, plans.LARGE):
            with blame(subject.offer, "plan"):
                found.append(plan(subject.options, model, machine, work))
            check_generation_estimate(found[-1], machine, subject.offer)
        must(found[0].bytes <= found[1].bytes, "a larger model needs less memory")
