"""Prove that the sandbox holds on this machine, or say what to do (**ours**).

``working_layout`` puts a process into a sandbox exactly as programs are, and has it try to get out: into the network,
to files, other processes, more memory, disk and processes than it may have, and to leave children behind. Only a
layout in which nothing of that works is used.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

from saidpo_core import UsageError
from saidpo_plugins.verifiers.sandbox.box import DISK, Box, Limits, readable
from saidpo_plugins.verifiers.sandbox.layout import Layout, candidates
from saidpo_plugins.verifiers.sandbox.orphans import end_orphans
from saidpo_plugins.verifiers.sandbox.runs import Task, run

_VARIABLE = "_SAIDPO_PROBE"
_REFUSED = ("namespace", "not permitted", "ermission denied", "uid map")
"""Words in what bubblewrap says when the system forbids it something."""


def working_layout() -> Layout:
    """The first layout that holds; raises UsageError with instructions if none does."""
    problems = []
    end_orphans()
    for layout in candidates():
        problem = prove(layout)
        if not problem:
            return layout
        problems.append(f"{layout.bubblewrap}: {problem}")
    raise UsageError(
        "--verifier=code finds no way to run programs in a sandbox on this machine, and does not run them without: "
        + "; ".join(problems)
        + "."
        + (_advice() if any(word in str(problems) for word in _REFUSED) else " See docs/sandbox.md for what it needs.")
    )


def prove(layout: Layout, limits: Limits | None = None) -> str:
    """What is wrong with the sandboxes of a layout; empty if they hold."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0saidpo-{secrets.token_hex(8)}")
        abstract.listen()
        file = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="saidpo-"))
        os.chmod(file.name, 0o644)
        plan = {
            "port": server.getsockname()[1],
            "socket": "\0" + abstract.getsockname()[1:].decode(),
            "file": file.name,
            "variable": _VARIABLE,
            "disk": DISK,
        }
        held, hold = os.pipe()
        stack.callback(os.close, held)
        os.environ[_VARIABLE] = "1"
        stack.callback(os.environ.pop, _VARIABLE)
        [box] = run([_probe(json.dumps(plan).encode(), limits or Limits(), hold)], layout, 1)
        survivors = not readable(held, 0.0)
    said = box.output.decode("utf-8", "replace").splitlines()
    if not box.complete:
        reason = box.errors.decode("utf-8", "replace").strip().splitlines()
        return reason[-1] if reason else f"it ends with status {box.code}"
    if box.code or not said or said[-1] != "done":
        reason = box.errors.decode("utf-8", "replace").strip().splitlines()
        return f"the probe ends early ({reason[-1] if reason else box.code})"
    if survivors:
        return "a process inside outlives its sandbox"
    return "".join(f"a program inside {attempt}" for attempt in said[:1] if attempt != "done")


def _probe(plan: bytes, limits: Limits, hold: int) -> Task[Box]:
    box = Box("probe", plan, limits, more=(hold,))
    yield [box]
    return box


def _advice() -> str:
    """What to do on a machine like this."""
    if _says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"):
        return (
            " This system's AppArmor lets no ordinary program make user namespaces (Ubuntu 24.04 does). As root, allow "
            "it to bubblewrap by a profile (docs/sandbox.md has one), or to all programs: "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _exists("/.dockerenv") or _exists("/run/.containerenv"):
        return (
            " This is a container, and its default rules forbid namespaces. Start it with "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined, or --privileged: see docs/sandbox.md"
        )
    if _says("/proc/sys/user/max_user_namespaces", "0") or _says("/proc/sys/kernel/unprivileged_userns_clone", "0"):
        return (
            " User namespaces are switched off here. As root: sysctl user.max_user_namespaces=10000 (on Debian also "
            "kernel.unprivileged_userns_clone=1), or run saidpo as root"
        )
    return " See docs/sandbox.md for what it needs."


def _exists(path: str) -> bool:
    return Path(path).exists()


def _says(path: str, value: str) -> bool:
    try:
        return Path(path).read_text().strip() == value
    except OSError:
        return False
