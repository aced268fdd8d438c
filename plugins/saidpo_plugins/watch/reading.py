"""What can be seen of a run from outside: its folder, and whether a process holds it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from saidpo_core.run_dir import is_running
from saidpo_plugins.watch.status import status_file

State = Literal["not started", "running", "finished", "failed", "killed"]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One look at a run."""

    path: Path
    state: State
    record: dict[str, Any] = field(default_factory=dict)
    """``summary.json`` so far, empty before the first measurement."""
    status: dict[str, Any] = field(default_factory=dict)
    """What the run said last of what it does; empty if it never said anything."""

    @property
    def rounds(self) -> list[dict[str, Any]]:
        return list(self.record.get("rounds", []))

    @property
    def of(self) -> int:
        """Rounds that the run is to have, 0 if that is not known yet."""
        return int(self.record.get("settings", {}).get("rounds", 0))

    @property
    def share(self) -> float | None:
        """Of the stage that is being made, in [0, 1]; None if it does not say."""
        total = self.status.get("total", 0)
        return self.status["done"] / total if total else None

    @property
    def rate(self) -> float | None:
        """Items a second since this process began with the stage; None until there are two points in time."""
        began, done_then = self.status.get("first", (0, 0))
        seconds, done = self.status.get("at", 0) - began, self.status.get("done", 0) - done_then
        return done / seconds if began and seconds > 0 and done > 0 else None

    @property
    def stage_left(self) -> float | None:
        """Seconds until the stage ends, if it goes on at this rate."""
        return (self.status["total"] - self.status["done"]) / self.rate if self.rate and self.share else None

    @property
    def rounds_left(self) -> float | None:
        """Seconds for the rounds that have not begun, if each takes what the last one took."""
        done = [row for row in self.rounds if row["round"]]
        current = self.status.get("round", 0)
        return (self.of - max(current, len(done))) * float(done[-1]["seconds"]) if done else None


def look(path: Path) -> Seen:
    """The run in ``path``, whatever its state; a folder that holds none has a run that has not started."""
    record, status = _json(path / "summary.json"), _json(status_file(path))
    return Seen(path=path, state=_state(path, record, status), record=record, status=status)


def _state(path: Path, record: dict[str, Any], status: dict[str, Any]) -> State:
    if record.get("finished"):
        return "finished"
    recent = time.time() - status.get("at", 0) < 2 and "ended" not in status
    if recent or is_running(path):
        return "running"
    if status.get("problem"):
        return "failed"
    return "killed" if (path / "run.toml").is_file() else "not started"


def _json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}
