"""Runs of programs side by side, in order, each in sandboxes of its own (**ours**).

One thread hears them all. At most ``slots`` runs are under way, and what they say is bounded, so memory is too. However
this ends, also by an error or Ctrl-C, every sandbox that was started is ended first.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeVar

from saidpo_plugins.verifiers.sandbox.box import Box
from saidpo_plugins.verifiers.sandbox.control_groups import LOOK_SECONDS
from saidpo_plugins.verifiers.sandbox.layout import Layout

T = TypeVar("T")
Task = Generator[Sequence[Box], None, T]
"""Yields boxes that run together, and goes on when they have ended; returns what it found."""

_GRACE_SECONDS = 2.0
"""For the other boxes of a run, when the last one has ended, to end by themselves and say how."""
_STARVED = 4
"""How many times its time by the clock a run may take that gets no processor."""


def run(tasks: Iterable[Task[T]], layout: Layout, slots: int) -> list[T]:
    """What each task returns, in order; up to ``slots`` of them have their boxes running at a time."""
    return _Runner(layout, slots).run(tasks)


class _Group:
    """Boxes of a task that run together; the last one says when they are done."""

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.boxes: list[Box] = []
        self.started = time.monotonic()

    @property
    def over(self) -> bool:
        return self.boxes[-1].over or any(box.stopped for box in self.boxes)

    def look(self) -> None:
        """Stop what has exceeded its memory or its time."""
        for box in self.boxes:
            box.look()
        limits = self.boxes[-1].limits
        elapsed = time.monotonic() - self.started
        if elapsed < limits.wall:
            return
        uses = [box.use() for box in self.boxes]
        starved = any(use.busy for use in uses) and sum(use.seconds for use in uses) < limits.seconds
        if not starved or elapsed > _STARVED * limits.wall:
            self.boxes[-1].stop("time")


class _Runner:
    def __init__(self, layout: Layout, slots: int) -> None:
        self.layout, self.slots = layout, slots
        self.selector = selectors.DefaultSelector()
        self.running: dict[int, _Group] = {}
        self.found: dict[int, Any] = {}
        self.next_look = 0.0

    def run(self, tasks: Iterable[Task[T]]) -> list[T]:
        waiting = iter(enumerate(tasks))
        try:
            while True:
                while len(self.running) < self.slots and (item := next(waiting, None)) is not None:
                    self.go_on(*item)
                if not self.running:
                    return [self.found[index] for index in range(len(self.found))]
                self.wait()
                for index, group in list(self.running.items()):
                    if group.over:
                        del self.running[index]
                        self.end(group)
                        self.go_on(index, group.task)
        finally:
            for group in self.running.values():
                self.end(group)
            self.selector.close()

    def go_on(self, index: int, task: Task[Any]) -> None:
        """Start the next boxes of a task, or keep what it returns."""
        try:
            boxes = next(task)
        except StopIteration as stop:
            self.found[index] = stop.value
            return
        group = self.running[index] = _Group(task)
        for box in boxes:
            box.start(self.layout)
            group.boxes.append(box)
            for descriptor, handler in box.handlers.items():
                self.selector.register(descriptor, selectors.EVENT_READ, (box, handler))

    def wait(self) -> None:
        """Until something is to be read, or it is time to look."""
        for key, _ in self.selector.select(LOOK_SECONDS):
            box, handler = key.data
            if key.fd in box.handlers:
                handler()
            if key.fd not in box.handlers:
                self.selector.unregister(key.fd)
        if time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK_SECONDS
            for group in self.running.values():
                group.look()

    def end(self, group: _Group) -> None:
        stopped = any(box.stopped for box in group.boxes)
        for box in reversed(group.boxes):
            for descriptor in box.handlers:
                self.selector.unregister(descriptor)
            box.end(0.0 if stopped or box is group.boxes[-1] else _GRACE_SECONDS)
