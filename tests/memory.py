"""Peaks of memory. ``python -m tests.memory FILE COMMAND...`` runs a command and writes the largest peak of a
process of its tree to FILE, in bytes.

``ru_maxrss`` of a process begins with what its parent had at the fork: a small program that a large test process
starts would look large. Hence ``VmHWM`` for oneself, and a small process between for a tree.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path


def own_peak() -> int:
    """The peak of this process since its program started, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    done = subprocess.run(sys.argv[2:])
    Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
    sys.exit(done.returncode)
