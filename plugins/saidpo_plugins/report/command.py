"""``saidpo report RUN``."""

from __future__ import annotations

from pathlib import Path

import click

from saidpo_core.errors import UsageError
from saidpo_core.run_dir import disk_errors


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="where to write it  [default: RUN/report.html]"
)
def report(run: Path, out: Path | None) -> None:
    """Write the report of a run as one HTML file that needs no network: what it did, and whether to trust it.

    RUN is a run directory with at least one finished round. Every run that comes to its end has written it already.
    """
    if not (run / "summary.json").is_file():
        what = "has not finished its first measurement yet" if (run / "run.toml").is_file() else "is no run of saidpo"
        raise UsageError(f"{run} {what}: there is no {run / 'summary.json'}")
    from saidpo_plugins.report.build import write_report

    file = out or run / "report.html"
    with disk_errors(file):
        write_report(run, file)
    click.echo(f"{file}")
