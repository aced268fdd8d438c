"""Flags of what plans a run: ``saidpo --dry-run`` and ``saidpo doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from saidpo_core.errors import UsageError

if TYPE_CHECKING:
    from saidpo_core.registry import Registry
    from saidpo_core.settings import Settings

PLANNING = ("plan_for", "plan_from", "model_config")
"""Parameters that only planning reads."""
_PATH = click.Path(path_type=Path)
_MACHINE = "plan for another machine: devices and their memory or name, such as 8x80GB or 8xH100"
_RUN = "plan with the lengths, yield and (on this machine) speeds of a finished run"
_CONFIG = "plan for the model of this config.json, which need not be here"
_DRY_RUN = "start nothing: print the plan, its memory and hours; exit code 2 if it does not fit"


def planning_options(command: Any) -> Any:
    for flag in (
        click.option("--model-config", type=_PATH, metavar="FILE", help=_CONFIG),
        click.option("--plan-from", type=_PATH, metavar="RUN", help=_RUN),
        click.option("--plan-for", metavar="MACHINE", help=_MACHINE),
    ):
        command = flag(command)
    return command


def dry_run_options(command: Any) -> Any:
    return click.option("--dry-run", is_flag=True, help=_DRY_RUN)(planning_options(command))


def doctor_options(command: Any) -> Any:
    command = planning_options(command)
    for flag in (
        click.option("--full", is_flag=True, help="import every package that is installed; may take a minute"),
        click.option("--json", "as_json", is_flag=True, help="print JSON"),
        click.option("--run-dir", type=_PATH, metavar="DIR", help="where runs are kept  [default: runs]"),
        click.option("--config", type=_PATH, metavar="FILE", help="settings of the run to estimate"),
    ):
        command = flag(command)
    return command


def planned(
    dry_run: bool, registry: Registry, settings: Settings, config: Path | None, path: Path, flags: dict[str, Any]
) -> bool:
    """Whether this was a dry run. A run does not plan: who says for which machine means ``--dry-run``."""
    if dry_run:
        from saidpo_core.planning import command

        command.dry_run(registry, settings, config, path, flags)
        return True
    for name in PLANNING:
        if flags.get(name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for planning; add --dry-run")
    return False
