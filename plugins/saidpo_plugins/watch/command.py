"""``saidpo watch RUN``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--once", is_flag=True, help="print what can be seen now, and end")
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="seconds between two looks"
)
def watch(run: Path, once: bool, every: float) -> None:
    """Follow a run of another process: stage, progress, time left, accuracy so far, warnings.

    Ends with the run: exit code 0 if it came to its end, 1 if it failed or was killed. Waits for one that has not
    started. With --once the code says how it stands: 0 finished or running, 1 failed or killed, 3 not started.
    """
    import sys
    import time

    from rich.console import Console
    from rich.live import Live

    from saidpo_plugins.watch.reading import look
    from saidpo_plugins.watch.view import view

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    codes = {"finished": 0, "running": 0, "failed": 1, "killed": 1, "not started": 3}
    seen = look(run)
    if once or not console.is_terminal:
        while not once and seen.state in ("running", "not started"):  # piped: the end is what can be told
            time.sleep(every)
            seen = look(run)
        console.print(view(seen))
        raise SystemExit(codes[seen.state])
    with Live(view(seen), console=console, auto_refresh=False) as live:
        while seen.state in ("running", "not started"):
            time.sleep(every)
            seen = look(run)
            live.update(view(seen), refresh=True)
    raise SystemExit(codes[seen.state])
