"""Keeps ``RUN/observers/watch/status.json``, by which ``saidpo watch`` follows a run from another process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from saidpo_core import hookimpl
from saidpo_core.events import OBSERVERS_FOLDER, StageEvent

EVERY = 0.5
"""Seconds between two writes during a stage: often enough for an eye, and of no weight beside the work."""


def status_file(run: Path) -> Path:
    return run / OBSERVERS_FOLDER / "watch" / "status.json"


class Status:
    """What the run does now, written at most twice a second while a stage goes on."""

    def __init__(self) -> None:
        self._stage: dict[str, Any] = {}
        self._written = 0.0

    def before_stage(self, event: StageEvent) -> None:
        stage = {"round": event.round, "stage": event.stage, "unit": event.unit, "since": time.time()}
        self._stage = {**stage, "reused": event.reused, "done": 0, "total": 0}
        if not event.reused:
            self._write(event.run_dir, self._stage)

    def progress(self, event: StageEvent, done: int, total: int) -> None:
        if time.monotonic() - self._written >= EVERY:
            self._stage.setdefault("first", [time.time(), done])  # where this process began: a rate from there is true
            self._write(event.run_dir, {**self._stage, "done": done, "total": total})

    def after_run(self, run_dir: Path, problem: str) -> None:
        self._write(run_dir, {"ended": time.time(), "problem": problem})

    def _write(self, run: Path, state: dict[str, Any]) -> None:
        """Whole or not at all, but not flushed to disk: after a crash of the machine it is of no use anyway."""
        file = status_file(run)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps({"pid": os.getpid(), "at": time.time(), **state}))
        temporary.replace(file)
        self._written = time.monotonic()


_status = Status()


@hookimpl
def saidpo_before_stage(event: StageEvent) -> None:
    _status.before_stage(event)


@hookimpl
def saidpo_stage_progress(event: StageEvent, done: int, total: int) -> None:
    _status.progress(event, done, total)


@hookimpl
def saidpo_after_run(run_dir: Path, problem: str) -> None:
    _status.after_run(run_dir, problem)
