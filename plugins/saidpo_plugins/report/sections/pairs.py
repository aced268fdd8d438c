"""Preference pairs to read, with the first difference marked."""

from __future__ import annotations

from typing import Any

from saidpo_plugins.report.page import Section
from saidpo_plugins.report.reading import TEXT, RunData
from saidpo_plugins.report.text import visible


def section(run: RunData) -> Section | None:
    pairs, total = run.pairs
    if not pairs:
        return None
    notes = [] if len(pairs) == total else [
        f"Here are {len(pairs):,} of {total:,} pairs, evenly spread over each round; all are in the pairs.jsonl of the "
        f"rounds. Texts are cut at {TEXT:,} characters."
    ]  # fmt: skip
    content = {"rounds": sorted({pair.round for pair in pairs}), "total": total}
    return Section(id="pairs", title="Pairs", short="Pairs", template="pairs", content=content, notes=notes)


def data(run: RunData) -> dict[str, Any]:
    """What the script of the page shows; problems once, however many pairs they gave."""
    pairs, _ = run.pairs
    problems: dict[int, dict[str, Any]] = {}
    for pair in pairs:
        if pair.row not in problems:
            tags = [visible(tag) for tag in run.tags[pair.row]] if run.tags else []
            cluster = run.names[int(run.cluster_of[pair.row])] if run.cluster_of is not None else "not known"
            problems[pair.row] = {**run.problem(pair.row), "tags": tags, "cluster": cluster}
    shown = [{"round": p.round, "problem": p.row, "chosen": p.chosen, "rejected": p.rejected} for p in pairs]
    return {"pairs": shown, "problems": problems}
