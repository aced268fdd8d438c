"""What a person sees of a run: progress with time left, one row a round, and where the gain came from.

An observer like any other. On a terminal it draws with rich; piped, it prints plain lines.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from saidpo_core.events import StageEvent
from saidpo_core.hookspecs import hookimpl
from saidpo_core.settings import Settings
from saidpo_core.summary import cluster_gains, gains, spent

_COLUMNS = ("round", "balanced", "pool", "yield", "explored", "pairs", "tokens", "seconds")


def make_screen(quiet: bool) -> Screen:
    return Screen(Console(soft_wrap=not sys.stdout.isatty(), highlight=False), quiet)


class _Rate(ProgressColumn):
    """Items a second, with their unit."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "")
        return Text(f"{speed:,.0f} {unit}/s" if speed else "", style="dim")


class Screen:
    """Observer and end report of one run."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self.console = console
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Screen:
        if self.live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self._progress.stop()

    def begin(self, settings: Settings, path: Path) -> None:
        if self.quiet:
            return
        parts = settings.parts
        names = ", ".join(
            f"{kind} {parts[kind].offer.component.name}" for kind in ("sampler", "difficulty", "clusterer", "trainer")
        )
        self.console.print(f"[bold]SAI-DPO[/bold] {settings.run.rounds} rounds, seed {settings.run.seed}: {names}")
        self.console.print(
            f"policy {settings.run.model}, pool {parts['pool'].offer.component.name} -> {path}", markup=False
        )

    # Observer hooks

    @hookimpl
    def saidpo_before_stage(self, event: StageEvent) -> None:
        if self.live and not event.reused:
            where = f"round {event.round}" if event.round else "start"
            self._task = self._progress.add_task(f"{where}  {event.stage}", total=None, unit=event.unit)

    @hookimpl
    def saidpo_stage_progress(self, event: StageEvent, done: int, total: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    @hookimpl
    def saidpo_stage_note(self, event: StageEvent, text: str) -> None:
        if not self.quiet:
            self.console.print(f"{event.stage}: {text}", markup=False)

    @hookimpl
    def saidpo_after_stage(self, event: StageEvent) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        if self.quiet:
            return
        if event.stage == "pool":
            self._say_pool(event)
        elif not self.live or event.stage == "cluster":
            self._say_stage(event)
        self._say_warnings(event.result.get("warnings", ()))

    @hookimpl
    def saidpo_after_round(self, row: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        if self.quiet:
            return
        if row["round"] == 0:
            self.console.print(_plain_row(_COLUMNS))
        self.console.print(_plain_row(_cells(row)))
        self._say_findings(record["findings"], row["round"])

    def _say_pool(self, event: StageEvent) -> None:
        result = event.result
        self.console.print(f"{result['problems']:,} problems, {result['held_out']:,} held out for measuring")
        for note in result["notes"]:
            self.console.print(f"[yellow]note:[/yellow] {escape(note)}")

    def _say_stage(self, event: StageEvent) -> None:
        where = f"round {event.round}" if event.round else "start"
        state = "reused" if event.reused else f"{event.seconds:.1f} s"
        result = {key: value for key, value in event.result.items() if value is not None and key != "warnings"}
        numbers = ", ".join(f"{key} {_number(value)}" for key, value in result.items())
        self.console.print(f"{where} {event.stage}: {state}{'; ' + numbers if numbers else ''}", markup=False)

    def _say_findings(self, findings: Sequence[Mapping[str, Any]], t: int) -> None:
        """Those of round t; one that an earlier round had already is told in short."""
        before = {finding["name"] for finding in findings if finding["round"] < t}
        for finding in findings:
            if finding["round"] == t:
                again = "as before, " if finding["name"] in before else ""
                advice = "" if again else f" [dim]->[/dim] {escape(finding['advice'])}"
                head = f"[yellow]warning {escape(finding['name'])}:[/yellow]"
                self.console.print(f"{head} {again}{escape(finding['message'])}{advice}")

    def _say_warnings(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self.console.print(f"[bold yellow]warning:[/bold yellow] {escape(warning)}")

    # The end report

    def end(self, tree: Mapping[str, Any], path: Path) -> None:
        rounds = tree["rounds"]
        self.console.print()
        self.console.print(self._round_table(rounds))
        first, last = rounds[0]["accuracy_balanced"], rounds[-1]["accuracy_balanced"]
        if first is not None and last is not None:
            tokens = spent(tree, "tokens")
            gain = f"{100 * first:.1f}% -> {100 * last:.1f}% ({100 * (last - first):+.1f} points)"
            self.console.print(f"[bold]balanced held-out accuracy {gain} for {tokens:,} generated tokens[/bold]")
        self._say_spared(tree)
        self._say_gains(tree)
        self._say_time(tree["time"])
        self._say_warnings(tree["warnings"])
        stopped = tree.get("stopped", {}).get("round", 0)
        if stopped and not self.quiet:
            self._say_findings(tree["findings"], stopped)
        for note in tree["notes"]:
            self.console.print(f"note: {note}", markup=False)
        self._say_places(path, len(rounds) - 1)

    def _round_table(self, rounds: list[dict[str, Any]]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in _COLUMNS:
            table.add_column(name, justify="right")
        for row in rounds:
            table.add_row(*_cells(row))
        return table

    def _say_spared(self, tree: Mapping[str, Any]) -> None:
        rows = [row for row in tree["rounds"] if row.get("responses_per_drawn")]
        if rows:
            drawn = [row["explored"] - row["probed"] for row in rows]
            mean = sum(row["responses_per_drawn"] * n for row, n in zip(rows, drawn, strict=True)) / sum(drawn)
            spared, made = sum(row["tokens_spared"] for row in rows), sum(row["tokens"] for row in rows)
            self.console.print(
                f"early stop: {mean:.1f} responses a drawn problem instead of {tree['settings']['samples']}, "
                f"about {spared:,} tokens spared ({100 * spared / (spared + made):.0f}%)",
                markup=False,
            )

    def _say_gains(self, tree: Mapping[str, Any]) -> None:
        rows = gains(tree["groups"])
        if len(rows) > 1:
            self.console.print("\nheld-out groups that gained most, and least (before -> after):")
            shown = rows if len(rows) <= 6 else [*rows[:4], *rows[-2:]]
            for name, before, after in shown:
                tier = tree["groups"][name]["tier"]
                label = f"{name} ({tier})" if tier else name
                self.console.print(
                    f"  {label:<34} {100 * before:5.1f}% -> {100 * after:5.1f}%  {100 * (after - before):+6.1f}",
                    markup=False,
                )
        found = cluster_gains(tree["clusters"])
        if len(found) > 1:
            self.console.print("\nclusters that gained most (pass rate of sampled responses, first -> last round):")
            for name, before, after, n in found[:4]:
                self.console.print(
                    f"  {name[:44]:<44} {100 * before:5.1f}% -> {100 * after:5.1f}%  ({n} responses)", markup=False
                )

    def _say_time(self, spent: Mapping[str, float]) -> None:
        total = sum(spent.values())
        if total:
            shown = ", ".join(
                f"{name} {seconds:.1f} s ({100 * seconds / total:.0f}%)" for name, seconds in spent.items()
            )
            self.console.print(f"\ntime {total:.0f} s: {shown}", markup=False)

    def _say_places(self, path: Path, last: int) -> None:
        if last > 0:
            self.console.print(f"model:   {path}/round-{last}/05-train/model", markup=False)
        self.console.print(f"summary: {path}/summary.json", markup=False)
        if (path / "report.html").is_file():
            self.console.print(f"report:  {path}/report.html", markup=False)
        self.console.print(f"again:   saidpo --config {path}/run.toml --run-dir ANOTHER", markup=False)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(row["round"]),
        _percent(row["accuracy_balanced"]),
        _percent(row["accuracy_pool"]),
        "-" if row["yield"] is None else f"{row['yield']:.2f}",
        f"{row['explored']:,}",
        f"{row['pairs']:,}",
        f"{row['tokens']:,}",
        f"{row['seconds']:.1f}",
    )


def _plain_row(cells: tuple[str, ...]) -> str:
    return " ".join(cell.rjust(9) for cell in cells)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
