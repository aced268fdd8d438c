"""One look at a run, drawn with rich."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from saidpo_plugins.watch.reading import Seen

_STYLES = {"running": "green", "finished": "bold green", "failed": "bold red", "killed": "bold red"}
WARNINGS = 3


def view(seen: Seen) -> RenderableType:
    parts: list[RenderableType] = [_head(seen)]
    if seen.state == "running":
        parts.append(_stage(seen))
    if seen.rounds:
        parts += [Text(), _rounds(seen)]
    parts += _warnings(seen)
    return Group(*parts)


def _head(seen: Seen) -> Text:
    head = Text.assemble((str(seen.path), "bold"), "  ", (seen.state, _STYLES.get(seen.state, "yellow")))
    if seen.state == "killed":
        where = f" in round {seen.status['round']}, {seen.status['stage']}" if "stage" in seen.status else ""
        head.append(f"{where}: its process is gone; the same command goes on where it was")
    if seen.state == "failed":
        head.append(f": {seen.status['problem']}; the same command goes on where it was")
    if seen.state == "not started":
        head.append(": waiting for a run of saidpo here")
    if seen.state == "finished":
        head.append(f": {len(seen.rounds) - 1} rounds")
    return head


def _stage(seen: Seen) -> RenderableType:
    status = seen.status
    if "stage" not in status:
        return Text("starting")
    of = f" of {seen.of}" if seen.of else ""
    where = f"round {status['round']}{of}" if status["round"] else "start"
    grid = Table.grid(padding=(0, 2))
    cells: list[RenderableType] = [Text(where), Text(status["stage"], style="bold")]
    if seen.share is not None:
        cells += [ProgressBar(total=status["total"], completed=status["done"], width=28)]
        cells += [Text(f"{status['done']:,}/{status['total']:,} {status['unit']}")]
    if seen.rate:
        cells.append(Text(f"{seen.rate:,.1f} {status['unit']}/s", style="dim"))
    if seen.stage_left is not None:
        cells.append(Text(f"{duration(seen.stage_left)} left", style="cyan"))
    else:
        cells.append(Text(f"for {duration(time.time() - status['since'])}", style="dim"))
    grid.add_row(*cells)
    if seen.rounds_left:
        return Group(grid, Text(f"then about {duration(seen.rounds_left)} for the rounds to come", style="dim"))
    return grid


def _rounds(seen: Seen) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("round", "balanced", "pool", "usable", "pairs", "tokens", "seconds"):
        table.add_column(name, justify="right")
    for row in seen.rounds:
        table.add_row(*_cells(row))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    explored = row["explored"]
    usable = f"{100 * row['usable'] / explored:.0f}%" if explored else "-"
    accuracy = [_percent(row[key]) for key in ("accuracy_balanced", "accuracy_pool")]
    return [str(row["round"]), *accuracy, usable, f"{row['pairs']:,}", f"{row['tokens']:,}", f"{row['seconds']:.0f}"]


def _warnings(seen: Seen) -> list[RenderableType]:
    """The last ones, each kind once, in full."""
    last = {warning["name"]: warning for warning in seen.record.get("findings", [])}
    lines: list[RenderableType] = [
        Text.assemble(("warning: ", "yellow"), text) for text in seen.record.get("warnings", [])[-WARNINGS:]
    ]
    for warning in list(last.values())[-WARNINGS:]:
        name = (f"warning {warning['name']} (round {warning['round']}): ", "yellow")
        lines.append(Text.assemble(name, warning["message"], (f" -> {warning['advice']}", "dim")))
    return [Text(), *lines] if lines else []


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"
