"""Many whole responses could not be judged: gold answers that the verifier cannot read, time-outs, crashes.

Truncated responses are another matter (``truncated``).
"""

from __future__ import annotations

from saidpo_core import Finding, hookimpl
from saidpo_plugins.common.record_statistics import Record

SHARE = 0.02
"""One in fifty. Unlike truncation it has no harmless cause: a gold answer that cannot be read silences its problem for
ever, and a verifier at its limits errs on the rest too."""


@hookimpl
def saidpo_diagnose(record: Record) -> list[Finding]:
    row = record["rounds"][-1]
    dropped = row.get("truncated", 0) if record["settings"]["truncated"] == "drop" else 0
    count = row.get("unverifiable", 0) - dropped
    if not row.get("responses") or count / row["responses"] < SHARE:
        return []
    message = f"{count:,} of {row['responses']:,} responses could not be judged, besides those cut off"
    advice = (
        "the reasons stand beside the verdicts in the attempts' files of the round; try single cases with saidpo "
        "verify; for time-outs raise --verifier.timeout"
    )
    return [Finding(name="unverifiable", message=message, advice=advice)]
