"""Try to get out, in every way that the sandbox is there to stop, and report what worked."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .confine import confine, source_of

_CLONE_NEWUSER = 0x10000000


def main(arguments: list[str]) -> None:
    """``arguments``: the file with what is to be tried, a pipe for children to hold open, limits."""
    descriptor, _, *limits = arguments
    confine(limits)
    plan = json.loads(source_of(int(descriptor)))
    memory, processes = int(limits[3]), int(limits[5])
    attempts: dict[str, Callable[[], Any]] = {
        "reaches the network": lambda: _connect(socket.AF_INET, ("127.0.0.1", plan["port"])),
        "reaches sockets of this machine": lambda: _connect(socket.AF_UNIX, plan["socket"]),
        "reads files of this machine": lambda: open(plan["file"]).close(),
        "sees the processes of this machine": lambda: os.listdir("/proc"),
        "writes to the system": lambda: open("/usr/lib/saidpo", "w").close(),
        "writes to its own code": lambda: open("/saidpo/inside/saidpo", "w").close(),
        "writes to the root folder": lambda: os.mkdir("/saidpo-root"),
        "fills the disk": lambda: _fill(plan["disk"]),
        "takes more memory than its limit": lambda: bytearray(memory),
        "becomes root": lambda: os.setuid(0),
        "makes a namespace of its own": lambda: _call("unshare", _CLONE_NEWUSER),
        "traces processes": lambda: _call("ptrace", 0, 0, 0, 0),
        "has the environment of this process": lambda: os.environ[plan["variable"]],
        "starts any number of processes": lambda: _multiply(processes),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, MemoryError, LookupError):
            continue
        print(name)
    print("done")


def _connect(family: int, address: Any) -> None:
    with socket.socket(family) as connection:
        connection.settimeout(1.0)
        connection.connect(address)


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def _fill(disk: int) -> None:
    names = [f"/tmp/full-{number}" for number in range(8)]
    try:
        for name in names:
            with open(name, "wb") as file:
                for _ in range(disk // 2**20 // 8 + 1):
                    file.write(bytes(2**20))
    finally:
        for name in names:
            with suppress(OSError):
                os.remove(name)


def _multiply(most: int) -> None:
    """Children that hold a pipe open, ignore requests to end, and outlive this process if they can."""
    sys.stdout.flush()
    for _ in range(most + 1):
        if os.fork() == 0:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
            os._exit(0)
