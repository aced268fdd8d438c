"""Worker processes for work that may hang, crash or eat all memory: one function, JSON lines in and out.

A *nursery* process imports what the work needs, once, and forks a worker when one is asked for, which takes
milliseconds. So only the stuck worker is killed, at a wall-clock deadline, and its successor is there at once; the
others go on. All of it starts from a thread, a notebook or a script without a main guard alike, and shares no state
with its parent. The nursery ends when its parent does, in whatever way, and the workers with it. ``process``
is the other side.

Safe to use from several threads, which wait for each other, and after a fork, where the child gets workers of its own.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from saidpo_core import SaidpoError
from saidpo_plugins.verifiers.workers.nursery import Nursery, Reply, Worker


class WorkerPool:
    """Runs ``module.name`` (one JSON value in, one out) in up to ``size`` processes, forked when first needed.

    ``checks`` are pairs of a request and the value that is due. They are put to the first worker, so that a broken
    installation ends the run instead of judging it.
    """

    def __init__(
        self,
        module: str,
        name: str,
        *,
        size: int,
        timeout: float,
        memory_mb: int,
        checks: Sequence[tuple[Any, Any]] = (),
    ) -> None:
        self._arguments = (module, name, memory_mb)
        self._size, self._timeout, self._checks = size, timeout, tuple(checks)
        self._clear()

    def __getstate__(self) -> dict[str, Any]:
        """Without the processes: a copy starts its own."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_lock", "_nursery", "_workers")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear()

    def run(self, requests: Sequence[Any]) -> list[Reply]:
        """One reply a request, in order."""
        with self.session() as session:
            for request in requests:
                session.submit(request)
            return session.finish()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """For work that comes bit by bit: the workers begin while the caller prepares the rest."""
        self._after_fork()
        with self._lock:
            try:
                yield Session(self)
            except BaseException:  # an answer that nobody took would be taken for the next request's
                self._end_all()
                raise

    def start(self) -> None:
        """Start one worker now, and check it."""
        self._after_fork()
        with self._lock:
            try:
                self._staff(1)
            except BaseException:
                self._end_all()
                raise

    def close(self) -> None:
        if os.getpid() == self._owner:
            with self._lock:
                self._end_all()

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    def _after_fork(self) -> None:
        """In a fork the workers, and whatever state the lock was in, are the parent's."""
        if os.getpid() != self._owner:
            self._clear()

    def _clear(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._nursery: Nursery | None = None
        self._workers: list[Worker] = []

    def _staff(self, count: int) -> None:
        """Have at least ``count`` live workers."""
        for worker in [worker for worker in self._workers if worker.task is None and worker.has_ended()]:
            self._remove(worker)
        while len(self._workers) < count:
            if self._nursery is None:
                self._nursery = Nursery(*self._arguments, [request for request, _ in self._checks])
                try:
                    self._workers.append(self._nursery.fork())
                except OSError as error:
                    raise SaidpoError(f"the verifier's worker process does not work: {error}") from error
                self._workers[0].check(self._checks)
            else:
                try:
                    self._workers.append(self._nursery.fork())
                except OSError:  # somebody killed it; a new one cannot look after the old one's workers
                    if any(worker.task is not None for worker in self._workers):
                        return
                    self._end_all()

    def _remove(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.close()
        if self._nursery is not None:
            self._nursery.end(worker.pid)

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.close()
        self._workers.clear()
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None


class Session:
    """Requests to a pool, whose replies are collected in order at the end."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._requests: list[Any] = []
        self._waiting: deque[int] = deque()
        self._replies: dict[int, Reply] = {}

    def submit(self, request: Any) -> None:
        self._waiting.append(len(self._requests))
        self._requests.append(request)
        self.advance()

    def finish(self) -> list[Reply]:
        """One reply a request, in the order of their submission."""
        while len(self._replies) < len(self._requests):
            self.advance(wait=True)
        return [self._replies[task] for task in range(len(self._requests))]

    def advance(self, wait: bool = False) -> None:
        """Give out what waits, and take what is done; call it now and then. ``wait`` for something to be done."""
        pool = self._pool
        if len(self._replies) == len(self._requests):
            return
        busy = [worker for worker in pool._workers if worker.task is not None]
        if self._waiting and len(busy) < pool._size:
            pool._staff(min(pool._size, len(busy) + len(self._waiting)))
            for worker in [worker for worker in pool._workers if worker.task is None][: len(self._waiting)]:
                task = self._waiting.popleft()
                worker.send(task, self._requests[task], pool._timeout)
                busy.append(worker)
        for worker in _finished(busy, wait):
            done = worker.task  # taking its reply makes it free
            assert done is not None
            self._replies[done] = worker.take_reply()
            if not worker.alive:
                pool._remove(worker)


def _finished(busy: list[Worker], wait: bool) -> list[Worker]:
    """Workers whose task is over: answered, crashed or out of time."""
    with selectors.DefaultSelector() as selector:
        for worker in busy:
            selector.register(worker.channel, selectors.EVENT_READ, worker)
        left = min(worker.deadline for worker in busy) - time.monotonic()
        for key, _ in selector.select(max(left, 0.0) if wait else 0):
            key.data.receive()
    return [worker for worker in busy if worker.done or time.monotonic() >= worker.deadline]
