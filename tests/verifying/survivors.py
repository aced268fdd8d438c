"""Which processes of sandboxes are still there: those in the pid namespaces that were seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saidpo_plugins.verifiers.sandbox.box import Box
from saidpo_plugins.verifiers.sandbox.control_groups import children_of


class Namespaces:
    """Pid namespaces; held open, so that the kernel gives their numbers to no later one."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, pid: int) -> None:
        with suppress(OSError):
            descriptor = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)
            number = os.fstat(descriptor).st_ino
            if number in self._held or number == os.stat("/proc/self/ns/pid").st_ino:
                os.close(descriptor)
            else:
                self._held[number] = descriptor

    def add_below(self, pid: int) -> None:
        """Those of all that a process has started."""
        self.add(pid)
        for child in children_of(pid):
            self.add_below(child)

    def inhabitants(self) -> set[str]:
        """Numbers of the processes in them, also of those that have ended and were not reaped."""
        found = set()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.stat(entry / "ns" / "pid").st_ino in self._held:
                    found.add(entry.name)
        return found

    def close(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


@contextmanager
def namespaces() -> Iterator[Namespaces]:
    found = Namespaces()
    try:
        yield found
    finally:
        found.close()


@contextmanager
def seen() -> Iterator[Namespaces]:
    """The namespaces of the sandboxes that this process starts meanwhile."""
    release = Box._release
    with namespaces() as found:

        def noted(box: Box) -> None:
            if box._first_pid:
                found.add(box._first_pid)
            release(box)

        Box._release = noted  # type: ignore[method-assign]
        try:
            yield found
        finally:
            Box._release = release  # type: ignore[method-assign]
