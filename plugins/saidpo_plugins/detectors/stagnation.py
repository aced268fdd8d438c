"""Stagnation: the weights are nearly uniform and the draw finds no more usable problems than before.

The clusters then do not separate what the policy can do from what it cannot, mostly because tags are too broad. Judged
over two rounds, since one may be chance; not where uniform draws were asked for.
"""

from __future__ import annotations

import math

from saidpo_core import Finding, hookimpl
from saidpo_plugins.common.record_statistics import Record, Z, moved, number_of_clusters, weighs

MOVED = 0.05
"""Less than a twentieth of the draw lies elsewhere than a uniform one's: of 300 problems fewer than 15."""


@hookimpl
def saidpo_diagnose(record: Record) -> list[Finding]:
    rounds = record["rounds"]
    t = len(rounds) - 1
    if t < 2 or not weighs(record):
        return []
    shifts = [moved(record, t - 1), moved(record, t)]
    if max(shifts) >= MOVED or not _flat(rounds[-2], rounds[-1]):
        return []
    message = (
        f"the draw is nearly uniform (only {100 * shifts[0]:.1f}% and {100 * shifts[1]:.1f}% of it moved in the last "
        f"two rounds) and finds no more usable problems ({100 * _usable(rounds[-1]):.0f}% of the explored ones): "
        "the clusters do not tell what the policy can do from what it cannot"
    )
    advice = f"use finer tags (--tagger=llm) or more clusters ({number_of_clusters(record)})" + (
        "; or weigh more sharply: --sampler.alpha=2" if "alpha" in record["settings"]["sampler"] else ""
    )
    return [Finding(name="stagnation", message=message, advice=advice)]


def _usable(row: Record) -> float:
    return float(row["usable"] / row["explored"])


def _flat(before: Record, now: Record) -> bool:
    """No rise beyond what chance brings."""
    variances = [_usable(row) * (1 - _usable(row)) / row["explored"] for row in (before, now)]
    return _usable(now) - _usable(before) <= Z * math.sqrt(sum(variances))
