"""Checks of pools."""

from __future__ import annotations

from typing import Any

from saidpo_core.codecs import problem_to_json
from saidpo_core.conformance.kit import Subject, check, must
from saidpo_core.contracts import blame, check_problems
from saidpo_core.errors import UsageError
from saidpo_core.planning.checks import check_pool_size
from saidpo_core.seeds import keyed_rng


def inputs(subject: Subject) -> dict[str, Any]:
    """A pool has no input but its options; ``ordinary`` stands for asking it."""
    return {"ordinary": None}


def work(subject: Subject, component: Any, given: None, seed: int) -> Any:
    """The problems, as they would be written down."""
    with blame(subject.offer, "load"):
        sets = component.load(keyed_rng(seed, "pool"))
    check_problems(sets, subject.offer)
    return {
        "problems": [problem_to_json(problem) for problem in sets.problems],
        "held out": [problem_to_json(problem) for problem in sets.held_out],
        "notes": list(sets.notes),
    }


@check("pool")
def works_with_any_seed(subject: Subject) -> None:
    """With any other seed it keeps the contract too."""
    for seed in (1, 2):
        subject.work(subject.fresh(), "ordinary", seed)


@check("pool")
def domains_are_named(subject: Subject) -> None:
    """Every problem names the domain that decides which verifier judges it."""
    for row in subject.result()["problems"]:
        must(bool(row["domain"]), f"problem {row['id']} names no domain")


@check("pool")
def its_plan_is_a_size(subject: Subject) -> None:
    """If it says how large it is without being loaded, that is a ``PoolSize``."""
    plan: Any = subject.offer.component.plan
    if plan is None:
        return
    try:
        with blame(subject.offer, "plan"):
            size = plan(subject.options)
    except UsageError:  # it has to be loaded to be counted
        return
    check_pool_size(size, subject.offer)
