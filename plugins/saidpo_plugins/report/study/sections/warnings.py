"""What keeps a reader from trusting the result: budgets that were not equal, runs that did not end."""

from __future__ import annotations

from saidpo_plugins.report.page import Section
from saidpo_plugins.report.study.reading import StudyData
from saidpo_plugins.report.text import listed, visible


def section(study: StudyData) -> Section | None:
    said = [f"Budget: {visible(text)}." for text in study.warnings]
    missing = study.planned - study.finished
    if missing > 0:
        arms = [f"{visible(a.name)} {a.planned - a.runs} of {a.planned}" for a in study.arms if a.runs < a.planned]
        said.insert(
            0,
            f"Incomplete: {missing} of {study.planned} runs did not end ({listed(arms)}). They and their partners are "
            "left out, so the result may change when they end: the same command goes on with them.",
        )
    if not said:
        return None
    return Section(
        id="warnings",
        title="Warnings",
        short="Warnings",
        template="warnings",
        content={"warnings": [], "said": said, "notes": []},
    )
