"""``--observers=tensorboard,wandb``: observers that are asked for, each with options (``--observers.wandb.project``).

They are no part of the settings, since they change nothing: a run may go on with others than it began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from saidpo_core.contracts import blame
from saidpo_core.errors import UsageError
from saidpo_core.options import build_options, shown, specs_of
from saidpo_core.registry import Registry

KEY = "observers"


def flat(value: Any, where: str) -> dict[str, Any]:
    """The ``observers`` of a TOML file: names, or a table with a table of options for each name."""
    if isinstance(value, dict):
        tables = {name: table for name, table in value.items() if isinstance(table, dict)}
        if len(tables) < len(value):
            raise UsageError(f"{where}: {KEY}: expected names, or a table [{KEY}.NAME] for each")
        options = {f"{KEY}.{name}.{key}": item for name, table in tables.items() for key, item in table.items()}
        return {KEY: list(tables), **options}
    return {KEY: value}


def names_in(value: Any, where: str) -> list[str]:
    """Names from a flag (``a,b``) or a list of a TOML file, each once."""
    items = value.split(",") if isinstance(value, str) else value
    if not (isinstance(items, list) and all(isinstance(item, str) for item in items)):
        raise UsageError(f"{where}: expected names with commas between them, got {value!r}")
    return list(dict.fromkeys(item.strip() for item in items if item.strip()))


def observer_options(registry: Registry, names: Sequence[str]) -> list[click.Option]:
    """``--observers`` itself, and the options of those that were chosen."""
    help = f"observers to add, with commas: {', '.join(registry.names('observer'))}"
    flags = [click.Option(["--observers", "observe"], metavar="NAMES", help=help)]
    for i, name in enumerate(names):
        offer = registry.find("observer", name, "--observers")
        for spec in specs_of(offer.component.options):
            default = f"  [default: {shown(spec.default)}]" if shown(spec.default) else ""
            declared = [f"--{KEY}.{name}.{spec.name}", f"observe__{i}__{spec.name}"]
            flags.append(click.Option(declared, metavar=spec.type_text, help=spec.help + default))
    return flags


def observers_from(
    registry: Registry, values: Mapping[str, Any], where: Mapping[str, str], flags: Mapping[str, Any]
) -> list[object]:
    """Build what flags or the file's ``values`` choose; flags win, and what they name replaces the file's names."""
    given = flags.get("observe")
    place = "--observers" if given is not None else where.get(KEY, KEY)
    names = names_in(given if given is not None else values.get(KEY, []), place)
    built: list[object] = []
    for i, name in enumerate(names):
        offer = registry.find("observer", name, place)
        offer.require_package()
        options = build_options(offer.component.options, *_options(i, name, values, where, flags))
        with blame(offer, "build"):
            built.append(offer.component.build(options))
    return built


def _options(
    i: int, name: str, values: Mapping[str, Any], where: Mapping[str, str], flags: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    prefix, flag_prefix = f"{KEY}.{name}.", f"observe__{i}__"
    options = {k.removeprefix(prefix).replace("-", "_"): v for k, v in values.items() if k.startswith(prefix)}
    places = {k.removeprefix(prefix).replace("-", "_"): where[k] for k in values if k.startswith(prefix)}
    given = {k.removeprefix(flag_prefix): v for k, v in flags.items() if k.startswith(flag_prefix) and v is not None}
    return {**options, **given}, {**places, **{key: f"--{prefix}{key}" for key in given}}
