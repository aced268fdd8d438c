"""The parent's side of a nursery process and of the workers that it forks: see ``pool`` for what they are for."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from saidpo_core import SaidpoError

OUT_OF_MEMORY = "out of memory"
_START_SECONDS = 120.0
_GRACE_SECONDS = 0.5
"""A worker ends itself when its time is up; so much later it is killed."""
_BOOT = (
    "import sys; sys.path[:] = sys.argv[5:];"
    "from saidpo_plugins.verifiers.workers.process import nursery; nursery(*sys.argv[1:5])"
)


@dataclass(frozen=True)
class Reply:
    """What became of a request: the function's value, or why there is none."""

    value: Any = None
    problem: str = ""
    """``timeout``, ``worker crashed``, ``out of memory`` or what the function raised; empty if all went well."""
    seconds: float = 0.0
    """How long the worker took."""


class Nursery:
    """The process that forks workers, and the channel to it."""

    def __init__(self, module: str, name: str, memory_mb: int, warm_up: Sequence[Any]) -> None:
        self._channel, theirs = socket.socketpair()
        paths = [path or os.getcwd() for path in sys.path]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        arguments = (str(theirs.fileno()), module, name, str(memory_mb))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, *arguments, *paths],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=(theirs.fileno(),),
            )
        except OSError as error:
            raise SaidpoError(f"cannot start a verifier's worker process: {error}") from error
        finally:
            theirs.close()
        self._channel.settimeout(_START_SECONDS)
        self._answers = self._channel.makefile("rb")
        try:
            self._tell({"warm_up": list(warm_up)})
            problem = self._answer().get("problem", "")
        except (OSError, ValueError):
            problem = "it ended at once, or did not start in time"
        if problem:
            self.close()
            raise SaidpoError(f"the verifier's worker process does not work: {problem}")

    def fork(self) -> Worker:
        """A new worker. Raises ``OSError`` if the nursery is gone."""
        ours, theirs = socket.socketpair()
        try:
            self._tell({"fork": True})
            socket.send_fds(self._channel, [b"."], [theirs.fileno()])
            return Worker(int(self._answer()["pid"]), ours)
        except (OSError, ValueError, KeyError) as error:
            ours.close()
            raise OSError("the nursery is gone") from error
        finally:
            theirs.close()

    def end(self, pid: int) -> None:
        """Kill a worker, if it lives, and clear it away."""
        with suppress(OSError, ValueError):
            self._tell({"end": pid})
            self._answer()

    def close(self) -> None:
        """It ends its workers and itself when the channel does; it is killed if it does not."""
        self._answers.close()
        self._channel.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, message: Any) -> None:
        self._channel.sendall(json.dumps(message).encode() + b"\n")

    def _answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer


class Worker:
    """One worker, its task and the time at which it is killed."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid, self.channel = pid, channel
        self.task: int | None = None
        self.alive = True
        self._received = b""
        self._sent = self._seconds = self.deadline = 0.0
        channel.setblocking(True)

    @property
    def done(self) -> bool:
        return not self.alive or self._received.endswith(b"\n")

    def send(self, task: int, request: Any, seconds: float) -> None:
        self.task, self._received, self._seconds = task, b"", seconds
        self._sent = time.monotonic()
        self.deadline = self._sent + seconds + _GRACE_SECONDS
        message = json.dumps({"seconds": seconds, "request": request}).encode() + b"\n"
        with suppress(OSError):  # then its end shows when the reply is read
            self.channel.sendall(message)

    def receive(self) -> None:
        try:
            chunk = self.channel.recv(65536)
        except OSError:
            chunk = b""
        self._received += chunk
        self.alive = bool(chunk)

    def take_reply(self) -> Reply:
        """The reply to the task, which is over; a worker that still owes one is no longer of use."""
        self.task = None
        if self._received.endswith(b"\n"):
            reply = Reply(**json.loads(self._received))
            self.alive = self.alive and reply.problem != OUT_OF_MEMORY  # it ends after that
            return reply
        seconds = time.monotonic() - self._sent
        early, self.alive = seconds < self._seconds, False
        return Reply(problem="worker crashed" if early else "timeout", seconds=min(seconds, self._seconds))

    def check(self, checks: Sequence[tuple[Any, Any]]) -> None:
        """Put ``checks`` to it."""
        for request, due in checks:
            self.send(0, request, _START_SECONDS)
            with selectors.DefaultSelector() as selector:
                selector.register(self.channel, selectors.EVENT_READ)
                while not self.done and selector.select(max(self.deadline - time.monotonic(), 0.0)):
                    self.receive()
            reply = self.take_reply()
            if reply.problem:
                raise SaidpoError(f"the verifier's worker process does not work: {reply.problem}")
            if reply.value != due:
                raise SaidpoError(f"the verifier's worker judges {request} as {reply.value!r}, not as {due!r}")

    def has_ended(self) -> bool:
        """Whether an idle worker is gone: its end of the channel is closed."""
        self.channel.setblocking(False)
        try:
            return self.channel.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.channel.setblocking(True)

    def close(self) -> None:
        self.channel.close()
