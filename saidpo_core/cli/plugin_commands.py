"""Commands that a plug-in brings: the entry points of the group ``saidpo.commands``, each a click command.

    [project.entry-points."saidpo.commands"]
    report = "my_package.command:report"

Only the one that is called is imported; a command of saidpo's own goes before a stranger's of the same name.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import click

from saidpo_core.discovery import left_out, owned
from saidpo_core.errors import PluginError, first_line

GROUP = "saidpo.commands"


def command_names() -> list[str]:
    return sorted(_found())


def load_command(name: str) -> click.Command | None:
    """The command ``name``, None if no plug-in brings it."""
    entry = _found().get(name)
    if entry is None:
        return None
    (owner, _), *_ = owned([entry])
    try:
        command = entry.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"saidpo {name} of {owner} cannot be imported: {first_line(error)}") from error
    if not isinstance(command, click.Command):
        raise PluginError(f"saidpo {name} of {owner}: expected a click command, got {type(command).__name__}")
    return command


def _found() -> dict[str, EntryPoint]:
    """By name; the bundled ones before those of others."""
    entries = [(owner, entry) for owner, entry in owned(entry_points(group=GROUP)) if not left_out(owner)]
    return {entry.name: entry for _, entry in reversed(entries)}
