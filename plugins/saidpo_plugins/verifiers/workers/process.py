"""The other side of ``pool``: the nursery process, and the workers that it forks."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any


def nursery(descriptor: str, module: str, name: str, memory_mb: str) -> None:
    """Fork a worker whenever the parent asks for one; end, and end them, when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    parent = socket.socket(fileno=int(descriptor))
    commands = parent.makefile("rb", buffering=0)
    children: set[int] = set()
    try:
        function = _ready(module, name, json.loads(commands.readline() or b"{}").get("warm_up", ()))
    except Exception as error:
        _say(parent, problem=f"{type(error).__name__}: {error}"[:300])
        return
    _say(parent, problem="")
    gc.freeze()  # what is here now stays shared with the workers
    while line := commands.readline():
        command = json.loads(line)
        if "fork" in command:
            _, (channel, *_), _, _ = socket.recv_fds(parent, 1, 1)
            pid = os.fork()
            if pid == 0:
                parent.close()
                _work(socket.socket(fileno=channel), function, int(memory_mb))
            os.close(channel)
            children.add(pid)
            _say(parent, pid=pid)
        else:
            _end(command["end"], children)
            _say(parent)
    for pid in list(children):
        _end(pid, children)


def _ready(module: str, name: str, warm_up: list[Any]) -> Callable[[Any], Any]:
    """The function, with everything imported and cached that it needs for the known requests ``warm_up``."""
    function: Callable[[Any], Any] = getattr(import_module(module), name)
    for request in warm_up:
        with suppress(Exception):  # the first worker is asked the same, and its answer is looked at
            function(request)
    return function


def _end(pid: int, children: set[int]) -> None:
    if pid in children:  # not yet waited for, so the number is still this child's
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        children.remove(pid)


def _work(channel: socket.socket, function: Callable[[Any], Any], memory_mb: int) -> None:
    """A worker: answer requests until the channel ends. Never returns."""
    _die_with_the_nursery()
    size = memory_mb * 2**20
    with suppress(ValueError, OSError):  # not every system can limit it
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for line in channel.makefile("rb"):
            message = json.loads(line)
            # The kernel's timer: no Python code can hold it up, and it is on time when the parent is busy, or gone.
            signal.setitimer(signal.ITIMER_REAL, message["seconds"])
            started = time.perf_counter()
            try:
                reply = {"value": function(message["request"])}
            except MemoryError:  # who knows what was left half done
                _say(channel, problem="out of memory", seconds=time.perf_counter() - started)
                break
            except Exception as error:
                reply = {"problem": f"{type(error).__name__}: {error}"[:300]}
            signal.setitimer(signal.ITIMER_REAL, 0)
            _say(channel, **reply, seconds=time.perf_counter() - started)
    finally:
        os._exit(0)


def _die_with_the_nursery() -> None:
    """Linux only. The nursery has one thread, so the signal does not come too early."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _say(channel: socket.socket, **message: Any) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")
