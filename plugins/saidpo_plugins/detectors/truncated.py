"""Many responses were cut off at the token limit.

They do not count (``--truncated=drop``) or count as wrong (``reject``); either way it is the longest that are hit, so
hard problems look other than they are.
"""

from __future__ import annotations

from saidpo_core import Finding, hookimpl
from saidpo_plugins.common.record_statistics import Record

SHARE = 0.05
"""One in twenty. Of 8 responses to a problem every third problem then loses one."""


@hookimpl
def saidpo_diagnose(record: Record) -> list[Finding]:
    row = record["rounds"][-1]
    if not row.get("responses") or row["truncated"] / row["responses"] < SHARE:
        return []
    settings = record["settings"]
    now = settings["generator"].get("max_new_tokens")
    fate = "dropped" if settings["truncated"] == "drop" else "called wrong"
    message = f"{row['truncated']:,} of {row['responses']:,} responses were cut off at the token limit and {fate}"
    advice = "raise --generator.max_new_tokens" + (f" (now {now})" if now else "")
    return [Finding(name="truncated", message=message, advice=advice)]
