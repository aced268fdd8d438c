"""Writes ``report.html`` when a run has come to its end, and ``study.html`` when a study has."""

from __future__ import annotations

from pathlib import Path

from saidpo_core import hookimpl


@hookimpl
def saidpo_after_run(run_dir: Path, problem: str) -> None:
    if not problem:
        from saidpo_plugins.report.build import write_report

        write_report(run_dir, run_dir / "report.html")


@hookimpl
def saidpo_after_study(study_dir: Path) -> None:
    from saidpo_plugins.report.study.build import write_page

    write_page(study_dir, study_dir / "study.html")
