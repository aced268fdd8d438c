"""Bounds on all processes of a sandbox together: a control group where this process may make one (**ours**).

Limits of a process are not enough: what it starts has limits of its own. Where no control group can be made (an
ordinary user without a delegated one, most containers), what all of them use is looked at every now and then instead.
"""

from __future__ import annotations

import itertools
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_numbers = itertools.count()
_END_SECONDS = 2.0
LOOK_SECONDS = 0.1
"""How often to look at the memory of what has no control group."""


class ControlGroup:
    """A new control group, or the watch that stands for it."""

    def __init__(self, memory: int, processes: int) -> None:
        self.memory = memory
        self._first = 0
        self._folder: Path | None = None
        where = place()
        if where is None:
            return
        parent, files = where
        try:
            self._folder = parent / f"saidpo-{os.getpid()}-{next(_numbers)}"
            self._folder.mkdir()
            for name, what in files.items():
                with suppress(FileNotFoundError):  # swap is not accounted for on every machine
                    (self._folder / name).write_text(str({"memory": memory, "pids": processes, "zero": 0}[what]))
        except OSError:
            self.remove()

    def add(self, pid: int) -> None:
        """Put the first process of a sandbox under the limits, and what it will start."""
        self._first = pid
        self._move(pid)

    def complete(self) -> None:
        """Put those under the limits that it had started already; there are hardly ever any, and moving takes 10 ms."""
        if self._folder is not None:
            inside = set((self._folder / "cgroup.procs").read_text().split())
            for child in children_of(self._first):
                if str(child) not in inside:
                    self._move(child)

    def _move(self, pid: int) -> None:
        if self._folder is not None:
            try:
                (self._folder / "cgroup.procs").write_text(str(pid))
            except OSError:  # not allowed after all: watch it
                self.remove()

    def exceeded(self) -> bool:
        """Without a control group: all of them together use far more than one may. What they share counts for each."""
        return self._folder is None and use_of(self._first).memory > 2 * self.memory

    def remove(self) -> None:
        """After the last process has ended."""
        folder, self._folder = self._folder, None
        end = time.monotonic() + _END_SECONDS
        while folder is not None and folder.exists() and time.monotonic() < end:
            try:
                folder.rmdir()
            except OSError:  # the kernel is not done with its last process
                time.sleep(0.001)


@cache
def place() -> tuple[Path, dict[str, str]] | None:
    """Where control groups can be made, and the files in one that hold a limit; None if nowhere."""
    own = _own_groups()
    if "memory" in own:  # version 1: a hierarchy for each, and moving into one takes 2 ms; users bound processes too
        folder = _ROOT / "memory" / own["memory"]
        files = {"memory.limit_in_bytes": "memory", "memory.memsw.limit_in_bytes": "memory"}
        return (folder, files) if os.access(folder, os.W_OK) else None
    files = {"memory.max": "memory", "memory.swap.max": "zero", "pids.max": "pids"}
    # Version 2: a group that has processes cannot hand controllers down, so beside the own one (the root can).
    folder = (_ROOT / own[""]).parent if own.get("") else _ROOT
    with suppress(OSError):
        handed_down = set((folder / "cgroup.subtree_control").read_text().split())
        writable = os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)
        if {"memory", "pids"} <= handed_down and writable:
            return folder, files
    return None


def _own_groups() -> dict[str, str]:
    """The group of this process for each controller; that of version 2 has no name."""
    own: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own.update(dict.fromkeys(controllers.split(","), path.strip("/")))
    return own


@dataclass(frozen=True)
class Use:
    """What a process and all that it has started use."""

    memory: int = 0
    """Bytes in memory now; what they share counts for each."""
    seconds: float = 0.0
    """Of processor time so far."""
    busy: bool = False
    """One of them is running, or would be if a processor were free."""


def parent_of(pid: int) -> int:
    """0 if there is no such process."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def use_of(pid: int) -> Use:
    """As far as it can be seen; what has just ended uses nothing."""
    total = Use()
    folder = Path(f"/proc/{pid}")
    with suppress(OSError, ValueError, IndexError):
        fields = (folder / "stat").read_text().rpartition(")")[2].split()  # from the third field on
        seconds = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its own, and of children that have ended
        memory = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in (folder / "task").iterdir()]
        parts = [use_of(child) for child in children_of(pid)]
        total = Use(
            memory + sum(part.memory for part in parts),
            seconds + sum(part.seconds for part in parts),
            any(state in "RD" for state in states) or any(part.busy for part in parts),
        )
    return total
