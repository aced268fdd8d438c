"""Checks of measures of difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import NotApplicable, Subject, check, first_difference, must
from saidpo_core.contracts import blame, check_keys
from saidpo_core.records import Attempts
from saidpo_core.seeds import keyed_rng


def inputs(subject: Subject) -> dict[str, Any]:
    ordinary = samples.attempts()
    return {
        "ordinary": ordinary,
        "one": ordinary[:1],
        "duplicates": ordinary[:1] * 6,
        "extremes": samples.extreme_attempts(),
        "huge": samples.attempts(2000),
    }


def work(subject: Subject, component: Any, given: Sequence[Attempts], seed: int) -> Any:
    """The chain of keys of each problem."""
    import numpy as np

    with blame(subject.offer, "keys"):
        keys = np.asarray(component.keys(given, keyed_rng(seed, "difficulty")), dtype=np.float64)
    check_keys(keys, len(given), subject.offer)
    return keys.tolist()


@check("difficulty")
def order_of_problems_does_not_matter(subject: Subject) -> None:
    """A problem's keys are the same wherever it stands, and whoever stands beside it."""
    if subject.offer.component.order_matters:
        raise NotApplicable("says that order matters")
    given = subject.input("ordinary")
    turned = work(subject, subject.fresh(), given[::-1], 0)
    found = first_difference(subject.result(), turned[::-1])
    must(not found, found)
    found = first_difference(subject.result()[:1], work(subject, subject.fresh(), given[:1], 0))
    must(not found, f"alone, the first problem has other keys: {found}")


@check("difficulty")
def problems_differ(subject: Subject) -> None:
    """Problems that the policy finds easy and hard do not all get the same keys."""
    keys = subject.result()
    must(any(row != keys[0] for row in keys), "every problem gets the same keys")
