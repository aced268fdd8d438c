"""What detectors found, with advice; and what a reader has to know of pool and policy."""

from __future__ import annotations

from dataclasses import dataclass

from saidpo_plugins.report.page import Section
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import visible


@dataclass(frozen=True)
class Told:
    name: str
    rounds: str
    message: str
    """Of the last round in which it was found."""
    advice: str


def section(run: RunData) -> Section | None:
    warnings = run.record["findings"]
    said = [visible(text) for text in run.record["warnings"]]
    told = []
    for name in dict.fromkeys(warning["name"] for warning in warnings):
        mine = [warning for warning in warnings if warning["name"] == name]
        rounds = list(dict.fromkeys(str(warning["round"]) for warning in mine))
        where = f"round{'s' if len(rounds) > 1 else ''} {', '.join(rounds)}"
        last = [warning for warning in mine if warning["round"] == mine[-1]["round"]]
        told += [Told(visible(name), where, visible(w["message"]), visible(w["advice"])) for w in last]
    notes = [visible(note) for note in run.record.get("notes", [])]
    if not told and not said and not notes:
        return None
    title = "Warnings" if told or said else "Notes"
    return Section(
        id="warnings",
        title=title,
        short=title,
        template="warnings",
        content={"warnings": told, "said": said, "notes": notes},
    )
