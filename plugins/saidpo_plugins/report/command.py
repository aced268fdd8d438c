"""``saidpo report RUN_OR_STUDY``."""

from __future__ import annotations

from pathlib import Path

import click

from saidpo_core.errors import UsageError
from saidpo_core.run_dir import disk_errors


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN_OR_STUDY")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="where to write it  [default: report.html or study.html in the folder]",
)
def report(folder: Path, out: Path | None) -> None:
    """Write the report of a run or a study as one HTML file that needs no network.

    A run has to have at least one finished round; a study, or the folder of saidpo compare, its study.json. Every run
    and every study that comes to its end has written it already.
    """
    if (folder / "summary.json").is_file():
        from saidpo_plugins.report.build import write_report

        name, write = "report.html", write_report
    elif (folder / "study.json").is_file():
        from saidpo_plugins.report.study.build import write_page

        name, write = "study.html", write_page
    else:
        raise UsageError(_neither(folder))
    file = out or folder / name
    if file.is_dir():
        raise UsageError(f"--out={file} is a folder; name a file, such as --out={file / name}")
    if not file.parent.is_dir():
        raise UsageError(f"--out={file}: there is no folder {file.parent}; make it, or choose another place")
    with disk_errors(file):
        write(folder, file)
    click.echo(f"{file}")


def _neither(folder: Path) -> str:
    if (folder / "run.toml").is_file():
        return f"{folder} has not finished its first measurement yet: there is no {folder / 'summary.json'}"
    files = f"there is no {folder / 'summary.json'} and no {folder / 'study.json'}"
    return f"{folder} is neither a run nor a study of saidpo: {files}"
