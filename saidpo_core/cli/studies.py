"""The commands that look at several runs, or at one again: compare, study, diff, replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from saidpo_core.registry import load_registry


@click.command()
@click.option("--samplers", metavar="NAMES", help="arms by their samplers  [default: uniform,error-weighted]")
@click.option("--arm", "arms", multiple=True, metavar="'NAME: FLAGS'", help="an arm of any flags; may be repeated")
@click.option("--arm-options", multiple=True, metavar="ARM:FLAG", help="one more flag for one arm")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(min=2), help="runs of each arm")
@click.option("--first-seed", default=0, show_default=True, type=click.IntRange(min=0), help="seeds count up from here")
@click.option("--jobs", default=0, type=click.IntRange(min=0), help="runs side by side, one thread each; 0: all cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/compare"), show_default=True, metavar="DIR")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="settings of all arms")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def compare(**options: Any) -> None:
    """Run arms against each other at equal budgets and test the difference, paired by seed. The first is the reference.

    Flags after -- go to every run: saidpo compare --seeds 5 -- --rounds 3 --clusterer=kmeans
    """
    from saidpo_core.study.compare import compare

    compare(load_registry(), **options)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--on", metavar="NAME", help="where: a table [on.NAME] of the file  [default: its first]")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="where to keep runs  [default: runs/FILE]")
@click.option("--jobs", default=0, type=click.IntRange(min=0), help="runs side by side, one thread each; 0: all cores")
@click.option("--plan", is_flag=True, help="say what would run, and run nothing")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def study(file: Path, **options: Any) -> None:
    """Run a study: arms, seeds and first policies of a file, at equal budgets; then what may be said of them.

    Killed at any moment, the same command goes on; finished runs are used as they are.
    """
    from saidpo_core.study.command import study_file

    study_file(load_registry(), file, **options)


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--exit-code", is_flag=True, help="exit with 1 if they differ")
def diff(run_a: Path, run_b: Path, as_json: bool, exit_code: bool) -> int:
    """Say how two runs differ: settings, versions, the stage and the problem at which their data parted."""
    import json

    from saidpo_core.diff import as_text, diff_runs

    found = diff_runs(run_a, run_b)
    click.echo(json.dumps(vars(found), indent=1) if as_json else as_text(found, run_a, run_b))
    return int(exit_code and not found.equal)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[FLAGS]...")
def replay(run: Path, as_json: bool, flags: tuple[str, ...]) -> None:
    """Select once more from the stored responses of RUN, under other hooks; nothing is generated or trained.

    saidpo replay runs/x --sampler=uniform; FLAGS are those of the clusterer, difficulty, sampler and pair builder,
    --max-pairs and --draw.
    """
    import json
    from dataclasses import asdict

    from saidpo_core.codecs import without_nan
    from saidpo_core.replay import as_text, replay_run
    from saidpo_core.study.compare import values_of

    found = replay_run(load_registry(), run, values_of(flags))
    click.echo(json.dumps(without_nan(asdict(found)), indent=1) if as_json else as_text(found))


COMMANDS = (compare, study, diff, replay)
