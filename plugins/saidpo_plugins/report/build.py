"""The report of a run, from its folder to one HTML file."""

from __future__ import annotations

from pathlib import Path

from saidpo_core import __version__
from saidpo_core.run_dir import write_atomically
from saidpo_plugins.report.page import Section, render
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.sections import (
    cluster_map,
    clusters,
    cost,
    groups,
    headline,
    lengths,
    levels,
    logprobs,
    pairs,
    reproduce,
    rounds,
    warnings,
)
from saidpo_plugins.report.text import visible

_ORDER = (headline, warnings, rounds, clusters, groups, cluster_map, levels, cost, lengths, logprobs, pairs, reproduce)


def report_of(path: Path) -> str:
    """The page. Raises ``UsageError`` if there is no round to report."""
    run = RunData(path)
    sections = sections_of(run)
    settings = run.settings
    parts = [
        f"{kind} {settings[kind]['name']}"
        for kind in ("sampler", "difficulty", "clusterer", "trainer")
        if kind in settings
    ]
    facts = [
        f"policy {settings.get('model', '?')}",
        f"pool {settings.get('pool', {}).get('name', '?')}, {run.record['pool']['problems']:,} problems",
        f"{len(run.trained)} of {settings.get('rounds', '?')} rounds, seed {settings.get('seed', '?')}",
        *parts,
    ]
    return render(
        f"SAI-DPO run {visible(path.resolve().name)}",
        sections,
        pairs.data(run),
        facts=[visible(fact) for fact in facts],
        finished=bool(run.record.get("finished")),
        version=__version__,
    )


def sections_of(run: RunData) -> list[Section]:
    """Those that this run has something to say for."""
    made: list[Section | None] = [module.section(run) for module in _ORDER]
    return [section for section in made if section is not None]


def write_report(path: Path, out: Path) -> None:
    write_atomically(out, report_of(path))
