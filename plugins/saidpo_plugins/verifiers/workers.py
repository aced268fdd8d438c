"""Worker processes for work that may hang, crash or eat all memory: one function, JSON lines in and out.

Only the stuck worker is killed, at a wall-clock deadline, and replaced; the others go on. A worker is a plain process
with two pipes: it starts from a thread, a notebook or a script without a main guard alike, and shares no state with
its parent. It ends when its standard input does, so when its parent dies in whatever way. One that is busy at that
moment is ended by the kernel soon after its deadline: it sets a timer with the default action (PR_SET_PDEATHSIG would
be quicker, but it fires when the *thread* that started the worker ends).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from saidpo_core import SaidpoError

_START_SECONDS = 120.0
_GRACE_SECONDS = 3.0
_BOOT = (
    "import sys; sys.path[:] = sys.argv[4:];from saidpo_plugins.verifiers.workers import serve; serve(*sys.argv[1:4])"
)


@dataclass(frozen=True)
class Reply:
    """What became of a request: the function's value, or why there is none."""

    value: Any = None
    problem: str = ""
    """``timeout``, ``worker crashed``, ``out of memory`` or what the function raised; empty if all went well."""


class WorkerPool:
    """Runs ``module.name`` (one JSON value in, one out) in up to ``size`` processes, started when first needed.

    Each new worker first answers ``checks``, pairs of a request and the value that is due, so that a broken
    installation ends the run instead of judging it. Safe to use from several threads, which wait for each other.
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
        self._arguments = (module, name, str(memory_mb))
        self._size, self._timeout, self._checks = size, timeout, tuple(checks)
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()

    def run(self, requests: Sequence[Any]) -> list[Reply]:
        """One reply a request, in order."""
        with self._lock:
            try:
                return self._run(requests)
            except BaseException:  # an answer that nobody took would be taken for the next request's
                self._end_all()
                raise

    def start(self) -> None:
        """Start one worker now, and check it."""
        with self._lock:
            self._staff(1)

    def close(self) -> None:
        with self._lock:
            self._end_all()

    @property
    def pids(self) -> list[int]:
        return [worker.process.pid for worker in self._workers]

    def _run(self, requests: Sequence[Any]) -> list[Reply]:
        replies: dict[int, Reply] = {}
        waiting = deque(range(len(requests)))
        while len(replies) < len(requests):
            busy = [worker for worker in self._workers if worker.task is not None]
            if waiting and len(busy) < self._size:
                self._staff(min(self._size, len(busy) + len(waiting)))
                for worker in [worker for worker in self._workers if worker.task is None][: len(waiting)]:
                    worker.send(waiting[0], requests[waiting[0]], self._timeout)
                    waiting.popleft()
            for worker in self._finished():
                task = worker.task
                assert task is not None
                replies[task] = worker.take_reply()
                if not worker.alive:
                    self._workers.remove(worker)
        return [replies[task] for task in range(len(requests))]

    def _staff(self, count: int) -> None:
        """Have at least ``count`` live workers; new ones start side by side."""
        for worker in [worker for worker in self._workers if worker.task is None and worker.process.poll() is not None]:
            worker.end()
            self._workers.remove(worker)
        new = [_Worker(self._arguments) for _ in range(count - len(self._workers))]
        self._workers += new
        try:
            for worker in new:
                worker.check(self._checks)
        except BaseException:
            self._end_all()
            raise

    def _finished(self) -> list[_Worker]:
        """Workers whose task is over: answered, crashed or out of time. Waits for the first one."""
        busy = [worker for worker in self._workers if worker.task is not None]
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                selector.register(worker.output, selectors.EVENT_READ, worker)
            left = min(worker.deadline for worker in busy) - time.monotonic()
            for key, _ in selector.select(max(left, 0.0)):
                key.data.receive()
        return [worker for worker in busy if worker.done or time.monotonic() >= worker.deadline]

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()


class _Worker:
    """One process, its task and its deadline."""

    def __init__(self, arguments: Sequence[str]) -> None:
        paths = [path or os.getcwd() for path in sys.path]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, *arguments, *paths],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                bufsize=0,
            )
        except OSError as error:
            raise SaidpoError(f"cannot start a verifier's worker process: {error}") from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._input, self.output = self.process.stdin, self.process.stdout
        self.task: int | None = None
        self.deadline = time.monotonic() + _START_SECONDS
        self.alive = True
        self._received = b""

    @property
    def done(self) -> bool:
        return not self.alive or self._received.endswith(b"\n")

    def send(self, task: int, request: Any, seconds: float) -> None:
        self.task, self._received = task, b""
        self.deadline = time.monotonic() + seconds
        message = json.dumps({"seconds": seconds + _GRACE_SECONDS, "request": request}).encode() + b"\n"
        with suppress(BrokenPipeError):  # then its output has ended too, which is noticed there
            while message:
                message = message[self._input.write(message) :]

    def receive(self) -> None:
        chunk = self.output.read(65536)
        self._received += chunk or b""
        if not chunk:
            self.end()

    def take_reply(self) -> Reply:
        """The reply to the task, which is over; a worker that owes one is ended."""
        self.task = None
        if self._received.endswith(b"\n"):
            return Reply(**json.loads(self._received))
        crashed = not self.alive
        self.end()
        return Reply(problem="worker crashed" if crashed else "timeout")

    def check(self, checks: Sequence[tuple[Any, Any]]) -> None:
        """Wait until it is ready, and put ``checks`` to it."""
        reply = self._wait()
        for request, due in checks:
            if not reply.problem:
                self.send(0, request, _START_SECONDS)
                reply = self._wait()
                if not reply.problem and reply.value != due:
                    raise SaidpoError(f"the verifier's worker judges {request} as {reply.value!r}, not as {due!r}")
        if reply.problem:
            raise SaidpoError(f"the verifier's worker process does not work: {reply.problem}")

    def _wait(self) -> Reply:
        with selectors.DefaultSelector() as selector:
            selector.register(self.output, selectors.EVENT_READ)
            while not self.done and selector.select(max(self.deadline - time.monotonic(), 0.0)):
                self.receive()
        return self.take_reply()

    def end(self) -> None:
        self.alive = False
        self.process.kill()
        self.process.wait()
        self._input.close()
        self.output.close()


def serve(module: str, name: str, memory_mb: str) -> None:
    """The worker's side: answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit_memory(int(memory_mb) * 2**20)

    def answer(**reply: Any) -> None:
        answers.write(json.dumps(reply).encode() + b"\n")

    try:
        function = getattr(import_module(module), name)
    except Exception as error:
        answer(problem=f"{type(error).__name__}: {error}")
        return
    answer(value="ready")
    for line in sys.stdin.buffer:
        message = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, message["seconds"])  # the kernel's: no Python code can hold it up
        try:
            reply = {"value": function(message["request"])}
        except MemoryError:
            reply = {"problem": "out of memory"}
        except Exception as error:
            reply = {"problem": f"{type(error).__name__}: {error}"[:300]}
        signal.setitimer(signal.ITIMER_REAL, 0)
        answer(**reply)


def _limit_memory(size: int) -> None:
    import resource

    with suppress(ValueError, OSError):  # not every system can limit it
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))
