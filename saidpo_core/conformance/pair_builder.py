"""Checks of pair builders."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

from saidpo_core.codecs import pair_to_json
from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import Subject, check, must
from saidpo_core.contracts import blame, check_pairs
from saidpo_core.records import Attempts
from saidpo_core.seeds import keyed_rng


def inputs(subject: Subject) -> dict[str, Any]:
    """Attempts at one problem each, with at least one right and one wrong response."""
    ordinary = samples.attempts()[1]
    right, wrong = ordinary.right[0], ordinary.wrong[0]
    same = dataclasses.replace(
        ordinary, responses=tuple(right if v.outcome == "right" else wrong for v in ordinary.verdicts)
    )
    rng = Random("pairs")
    return {
        "ordinary": ordinary,
        "one": samples.attempts_at("one", "rw", rng),
        "duplicates": same,
        "extremes": samples.attempts_at("extremes", "wtutuuur", rng),
        "huge": samples.attempts_at("huge", "rw" * 64, rng, lines=60),
    }


def work(subject: Subject, component: Any, given: Attempts, seed: int) -> Any:
    """The pairs, as they would be written down."""
    with blame(subject.offer, "build"):
        pairs = component.build(given, keyed_rng(seed, "pair", given.problem_id))
    check_pairs(pairs, given, subject.offer)
    return [pair_to_json(pair) for pair in pairs]


@check("pair-builder")
def a_usable_problem_gives_a_pair(subject: Subject) -> None:
    """At least one pair of a problem that has a right and a wrong response."""
    for name in ("ordinary", "one", "duplicates", "huge"):
        must(bool(subject.result(name)), f"no pair of the {name} attempts")


@check("pair-builder")
def no_pair_comes_twice(subject: Subject) -> None:
    """The pairs of a problem whose responses differ are different ones."""
    pairs = [repr(pair) for pair in subject.result()]
    must(len(set(pairs)) == len(pairs), f"{len(pairs)} pairs, {len(set(pairs))} of them different")
