"""Checks of taggers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import NotApplicable, Subject, check, first_difference, must
from saidpo_core.contracts import blame, check_tags
from saidpo_core.records import Problem


def inputs(subject: Subject) -> dict[str, Any]:
    ordinary = tuple(subject.trial.problems) or samples.problems()
    strange = Problem(
        id="strange", question="What is \U0001d465\u00b2 \u2014 \u0007?", answer="x" * 100_000, tags=("a",)
    )
    again = [Problem(id=f"again-{i}", question="What is 1 + 1?", answer="2", tags=("sums",)) for i in range(5)]
    return {
        "ordinary": ordinary,
        "one": ordinary[:1],
        "duplicates": tuple(again),
        "extremes": (*ordinary[:2], strange),
        "huge": samples.problems(2000),
    }


def work(subject: Subject, component: Any, given: Sequence[Problem], seed: int) -> Any:
    """The tags of each problem."""
    with blame(subject.offer, "tag"):
        tags = component.tag(given, samples.no_progress)
    check_tags(tags, len(given), subject.offer)
    return [list(item) for item in tags]


@check("tagger")
def order_of_problems_does_not_matter(subject: Subject) -> None:
    """A problem's tags are the same wherever it stands."""
    if subject.offer.component.order_matters:
        raise NotApplicable("says that order matters")
    given = subject.input("ordinary")
    turned = work(subject, subject.fresh(), given[::-1], 0)
    found = first_difference(subject.result(), turned[::-1])
    must(not found, found)
