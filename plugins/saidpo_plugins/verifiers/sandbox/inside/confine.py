"""The last steps before a program starts: limits, the user that it runs as, and the word that isolation is complete.

bubblewrap has done the rest: namespaces, mounts, no new privileges, the seccomp filter.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # without the package around it, which imports enum
import os
import resource
import sys

READY = b"\x06ready\n"
"""First on standard error, before anything else can write there; without it the sandbox was never complete."""


def confine(arguments: list[str]) -> None:
    """Give up what a program must not have, then wait until this process is held from outside, too.

    ``arguments``: a pipe to wait at, the uid to become (0: stay), then limits: CPU seconds, bytes of memory, bytes of
    a file, processes.
    """
    gate, uid, seconds, memory, file_size, processes = map(int, arguments)
    _leave_first_process_behind()
    if uid:  # the mapped user of a user namespace has nothing to give up
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NPROC, processes),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # first SIGXCPU, then SIGKILL
    os.write(2, READY)
    if not os.read(gate, 1):  # whoever should hold it has ended
        os._exit(1)
    os.close(gate)


def _leave_first_process_behind() -> None:
    """Go on in a child. The first process of the namespace reaps what ends in there, and ends as the child does.

    bubblewrap's own first process would end a moment after bubblewrap, for the machine's init to reap, which not every
    container has; this one bubblewrap waits for. It is also the one that the kernel kills if saidpo is killed, which
    it would forget of a process that becomes another user.
    """
    child = os.fork()
    if child == 0:
        return
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # by default, what is sent from inside does nothing to it
    os.closerange(0, 256)  # that a stream is at its end is for the child to decide
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def source_of(descriptor: int) -> str:
    """The text that was handed over in a file, which is closed."""
    with open(descriptor, encoding="utf-8", errors="strict") as file:
        return file.read()


def hide() -> None:
    """Leave a program the surroundings of a script: the names of ``site``, no trace of these modules."""
    import builtins
    from _sitebuiltins import Quitter

    builtins.exit = Quitter("exit", "Ctrl-D")
    builtins.quit = Quitter("quit", "Ctrl-D")
    sys.path[:] = [path for path in sys.path if not path.startswith("/saidpo")]
    sys.argv[:] = ["program.py"]
    sys.setrecursionlimit(sys.getrecursionlimit() + 20)  # the frames that are ours
