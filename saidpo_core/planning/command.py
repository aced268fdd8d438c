"""``saidpo --dry-run``: plan the run that these settings make, and refuse what does not fit. Nothing is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from saidpo_core.errors import UsageError
from saidpo_core.planning.machine import named_machine, this_machine
from saidpo_core.planning.measured import read_run
from saidpo_core.planning.plan import Plan, make_plan
from saidpo_core.planning.show import show_plan
from saidpo_core.registry import Registry
from saidpo_core.settings import Settings, load_toml


def dry_run(registry: Registry, settings: Settings, config: Path | None, path: Path, flags: dict[str, Any]) -> None:
    """Print the plan. Raises ``UsageError`` (exit code 2) if the run would not fit or lacks a package here."""
    plan = plan_of(registry, settings, config, path, flags)
    show_plan(plan)
    click.echo("")
    problems = [*plan.problems, *([] if plan.elsewhere else plan.missing)]
    if problems:
        raise UsageError("this would not run: " + "\n        ".join(problems))
    click.echo("nothing was started: this was --dry-run")


def plan_of(registry: Registry, settings: Settings, config: Path | None, path: Path, flags: dict[str, Any]) -> Plan:
    """The plan for ``--plan-for``, else for the machine that the settings file names, else for this one."""
    asked, where = flags.get("plan_for"), "--plan-for"
    if asked is None and config is not None:
        asked, where = load_toml(config, "--config=").get("plan_for"), f"{config}: plan_for"
    if asked is not None and not isinstance(asked, str):
        raise UsageError(f"{where}: expected a text such as '8x80GB', got {asked!r}")
    elsewhere = asked is not None
    return make_plan(
        settings,
        registry,
        named_machine(asked, where) if asked is not None else this_machine(),
        elsewhere=elsewhere,
        model_config=flags.get("model_config"),
        measured=read_run(flags["plan_from"]) if flags.get("plan_from") else None,
        disk=None if elsewhere else existing(path),
    )


def existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))
