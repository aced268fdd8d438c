"""Everything filtered: next to no explored problem has both a right and a wrong response, so there is little to learn.

Nothing at all in the first round is an error, which says the same; in a later one the run ends there.
"""

from __future__ import annotations

from saidpo_core import Finding, hookimpl
from saidpo_plugins.common.record_statistics import Record

USABLE = 0.05
"""Below it nineteen of twenty generated tokens teach nothing; of 420 problems fewer than 21 pairs, not one batch."""
_ADVICE = {
    "too_easy": "bring harder problems (--pool), or end here: this pool is learned",
    "too_hard": "bring easier problems (--pool), raise --samples, or see in the pairs' and attempts' files whether the "
    "verifier understands the answers; --sampler=signal-yield draws what can be solved",
    "unknown": "raise --generator.max_new_tokens; see the reasons of the verdicts in the attempts' files",
}


@hookimpl
def saidpo_diagnose(record: Record) -> list[Finding]:
    row = record.get("stopped") or record["rounds"][-1]
    explored = row["explored"]
    if not explored or row["usable"] / explored >= USABLE:
        return []
    cause = max(_ADVICE, key=lambda name: row[name])
    counts = ", ".join(f"{row[name]} {name.replace('_', ' ')}" for name in _ADVICE if row[name])
    message = f"{row['usable']} of {explored} explored problems had both a right and a wrong response ({counts})"
    return [Finding(name="filtered", message=message, advice=_ADVICE[cause])]
