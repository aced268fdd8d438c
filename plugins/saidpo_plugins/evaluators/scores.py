"""What the evaluators share: groups of problems and means over them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from saidpo_core import GroupScore, Problem


def group_of(problem: Problem) -> str:
    return problem.group or problem.domain


def mean_accuracy(groups: Mapping[str, GroupScore], shares: Mapping[str, float]) -> float:
    """Mean accuracy weighted by ``shares``, renormalised over ``groups``; NaN if they have no share at all."""
    weights = [shares.get(name, 0.0) for name in groups]
    if not sum(weights) > 0:
        return math.nan
    return math.fsum(w * g.accuracy for w, g in zip(weights, groups.values(), strict=True)) / math.fsum(weights)
