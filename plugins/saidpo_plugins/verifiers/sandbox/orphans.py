"""What a sandbox can leave behind if this process is killed while bubblewrap sets it up: a process that waits for ever.

bubblewrap forks, and its child waits at an eventfd until the parent has prepared it; only after that does the kernel
end the child with its parent. Killed in between, a matter of milliseconds, the child stays. It has run nothing of
anybody's and never will. It is ended when a verifier starts next.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

_READ = {0, 63}
"""The system call ``read`` on x86_64 and aarch64."""
_MARK = b"/saidpo/inside"
"""On the command line of every sandbox of ours."""


def end_orphans() -> list[int]:
    """Kill such processes of this user; returns their ids."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_orphan(pid) and _killed(pid)]


def _is_orphan(pid: int) -> bool:
    """It waits where only bubblewrap's unprepared child does, in reading an eventfd, and its parent is none of ours."""
    place = Path("/proc") / str(pid)
    with suppress(OSError, ValueError, IndexError):
        if not _is_ours(place) or place.stat().st_uid != os.geteuid():
            return False
        number, descriptor, *_ = (place / "syscall").read_text().split()
        parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
        waits = int(number) in _READ and "eventfd" in os.readlink(place / "fd" / str(int(descriptor, 16)))
        return waits and not _is_ours(place.with_name(parent))
    return False


def _is_ours(place: Path) -> bool:
    return _MARK in (place / "cmdline").read_bytes()


def _killed(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False
