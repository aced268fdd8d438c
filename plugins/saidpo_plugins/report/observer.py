"""Writes ``report.html`` into the run directory when a run has come to its end."""

from __future__ import annotations

from pathlib import Path

from saidpo_core import hookimpl


@hookimpl
def saidpo_after_run(run_dir: Path, problem: str) -> None:
    if not problem:
        from saidpo_plugins.report.build import write_report

        write_report(run_dir, run_dir / "report.html")
