"""The page of a study, from ``study.json`` to one HTML file."""

from __future__ import annotations

from pathlib import Path

from saidpo_core import __version__
from saidpo_core.run_dir import write_atomically
from saidpo_plugins.report.page import Section, render
from saidpo_plugins.report.study.look import score_of
from saidpo_plugins.report.study.reading import StudyData, read_study
from saidpo_plugins.report.study.sections import bases, cost, curves, differences, headline, reproduce, warnings
from saidpo_plugins.report.text import visible

_ORDER = (headline, warnings, differences, curves, bases, cost, reproduce)


def page_of(folder: Path) -> str:
    """The page. Raises ``UsageError`` if ``study.json`` is not whole."""
    study = read_study(folder)
    facts = [
        _counted(len(study.arms), "arm"),
        f"{_counted(len(study.bases), 'base')}: {', '.join(study.bases)}",
        _counted(len(study.seeds), "seed"),
        f"{study.finished} of {study.planned} runs ended",
        f"tested: accuracy {score_of(study)}",
        f"tokens a round: {study.tokens}",
        f"steps a round: {study.steps}",
    ]
    return render(
        f"Study: {visible(study.title)}",
        sections_of(study),
        {},
        facts=[visible(fact) for fact in facts],
        finished=study.finished >= study.planned,
        version=__version__,
    )


def sections_of(study: StudyData) -> list[Section]:
    """Those that this study has something to say for."""
    made: list[Section | None] = [module.section(study) for module in _ORDER]
    return [section for section in made if section is not None]


def write_page(path: Path, out: Path) -> None:
    write_atomically(out, page_of(path))


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
