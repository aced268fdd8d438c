"""Checks of verifiers: of the trial's cases if there are some, else of sums that anyone can judge or refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import NotApplicable, Subject, check, first_difference, must
from saidpo_core.contracts import blame, check_verdicts
from saidpo_core.records import Problem

Cases = Sequence[tuple[Problem, str]]


def inputs(subject: Subject) -> dict[str, Any]:
    """Cases of (problem, response text)."""
    cases = [(problem, text) for problem, text, _ in subject.trial.cases] or _sums(subject)
    problem = cases[0][0]
    return {
        "ordinary": tuple(cases),
        "one": tuple(cases[:1]),
        "duplicates": tuple(cases[:1] * 20),
        "extremes": tuple((problem, text) for text in _strange_texts()),
        "huge": tuple(cases[i % len(cases)] for i in range(1000)),
        "nothing": (),
    }


def _sums(subject: Subject) -> list[tuple[Problem, str]]:
    domain = next(iter(subject.offer.component.domains), "math")
    problems = samples.problems(8, domain=domain)
    return [(p, f"so it is\n#### {p.answer if i % 2 else 'nothing'}") for i, p in enumerate(problems)]


def _strange_texts() -> list[str]:
    return [
        "", " \n\t", "\x00", "\ud800 lone", "\u202e#### 7", "\\boxed{" * 500, "{" * 5000 + "}" * 5000,
        "the answer is " * 20_000, "#### ", "#### " + "9" * 5000, "\\boxed{9^{9^{9^{9}}}}", "x" * 1_000_000,
        "__import__('os').system('exit 1')", "```python\nwhile True: pass\n```", "nan", "\\frac{1}{0}",
    ]  # fmt: skip


def work(subject: Subject, component: Any, given: Cases, seed: int) -> Any:
    """The verdict of each case."""
    with blame(subject.offer, "verify"):
        verdicts = component.verify(given)
    check_verdicts(verdicts, len(given), subject.offer)
    return [[verdict.outcome, verdict.extracted, verdict.reason] for verdict in verdicts]


@check("verifier")
def names_its_domains(subject: Subject) -> None:
    """It says which ``Problem.domain`` values it can judge."""
    must(bool(subject.offer.component.domains), "domains is empty: no problem would ever come to it")


@check("verifier")
def passes_its_own_test(subject: Subject) -> None:
    """``self_test`` passes here: it judges known cases in this very process."""
    with blame(subject.offer, "self_test"):
        subject.fresh().self_test()


@check("verifier")
def tells_right_from_wrong(subject: Subject) -> None:
    """The cases of its trial get the verdicts that are due."""
    if not subject.trial.cases:
        raise NotApplicable("its trial gives no cases; one right and one wrong would show that it can judge")
    due = [outcome for _, _, outcome in subject.trial.cases]
    must({"right", "wrong"} <= set(due), "the trial has to hold a right and a wrong case")
    for (problem, text, outcome), row in zip(subject.trial.cases, subject.result(), strict=True):
        must(row[0] == outcome, f"problem {problem.id}, response {text!r:.60}: {outcome} is due, it says {row[0]}")


@check("verifier")
def a_case_is_judged_on_its_own(subject: Subject) -> None:
    """A verdict depends on its case alone, whatever stands before and after it."""
    given = subject.input("ordinary")
    component = subject.fresh()
    turned = work(subject, component, given[::-1], 0)[::-1]
    found = first_difference(subject.result(), turned)
    must(not found, f"in another order: {found}")
    alone = [work(subject, component, [case], 0)[0] for case in given[:4]]
    found = first_difference(subject.result()[:4], alone)
    must(not found, f"alone: {found}")


@check("verifier")
def closes_twice(subject: Subject) -> None:
    """``close`` can be called before any work, and again."""
    component = subject.fresh()
    with blame(subject.offer, "close"):
        component.close()
        component.close()
