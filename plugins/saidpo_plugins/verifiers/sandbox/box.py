"""A sandboxed process: start it with bubblewrap, hear what it says, end all that it has started (**ours**).

What is inside sees a read-only Python, an empty folder /tmp in memory, and nothing else: no network, no file of this
machine, no /proc, no other process. It runs as a user of its own, with no environment, limits on time, memory, files
and processes, and under a seccomp filter. docs/sandbox.md says what that keeps out and what it does not.

A sandbox starts in three steps, so that it can always be ended whole. bubblewrap sets it up and names the first
process of its pid namespace, which is taken hold of (by a pidfd, so that no later process can be mistaken for it) and
put into a control group. Meanwhile Python starts inside, gives up what a program must not have, says so and waits at a
gate. The gate opens when all of that is so; only then is there anything that nobody has read. When the run is over,
however it ended, the first process is killed, with which the kernel kills all others in the namespace, and ``end``
waits until that has happened. If this process is killed itself, the kernel ends the sandbox (``--die-with-parent``: it
watches the thread that started the sandbox, and that thread waits for it in ``runs``).
"""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

from saidpo_core import SaidpoError
from saidpo_plugins.verifiers.sandbox.control_groups import ControlGroup, Use, parent_of, use_of
from saidpo_plugins.verifiers.sandbox.inside.confine import READY
from saidpo_plugins.verifiers.sandbox.layout import Layout
from saidpo_plugins.verifiers.sandbox.seccomp import filter_program

DISK = 64 * 2**20
"""Bytes of /tmp in a sandbox, and of any file."""
_PROCESSES = 64
_ERRORS_KEPT = 4096
_ERRORS_LIMIT = 64 * 2**20
_END_SECONDS = 60.0
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "2", "HOME": "/tmp", "LANG": "C.UTF-8"}
_numbers = itertools.count()


@dataclass(frozen=True)
class Limits:
    """What a sandboxed process may use."""

    seconds: int = 5
    """Of processor time, each process. By the clock the run has twice that, and one more, or until that processor
    time is used if it has to wait for a processor: on a busy machine the same programs are right."""
    memory: int = 512 * 2**20
    """Address space of a process; all of them together may use that much and what lies in /tmp."""
    output: int = 2**20
    """What it may say on standard output."""

    @property
    def wall(self) -> float:
        return 2.0 * self.seconds + 1.0


class Box:
    """One process in a sandbox: ``module`` of the package ``inside``, handed ``text`` in a file.

    It owns the descriptors that it is given. Without ``stdout``, what it says there is collected in ``output``.
    """

    def __init__(
        self,
        module: str,
        text: bytes,
        limits: Limits,
        *,
        stdin: bytes | int = b"",
        stdout: int | None = None,
        more: Sequence[int] = (),
    ) -> None:
        self.module, self.text, self.limits = module, text, limits
        self.stdin, self.stdout, self.more = stdin, stdout, tuple(more)
        self.output = b""
        self.errors = b""
        """The end of what it said on standard error."""
        self.code = 0
        """Exit status as a shell gives it: 128 and the number of a signal that killed it."""
        self.complete = False
        """Isolation was complete when the module was reached. If not, ``errors`` says why."""
        self.stopped = ""
        """Why it was stopped from outside: ``time``, ``output``, ``memory``; empty if it was not."""
        self.over = False
        """It has ended by itself, or has to be ended."""
        self.handlers: dict[int, Callable[[], None]] = {}
        """What to call when a descriptor can be read."""
        self._closing = ExitStack()
        self._said: list[bytes] = []
        self._size = self._errors_size = 0
        self._info = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._first: int | None = None
        self._first_pid = 0
        self._released = False
        self._group: ControlGroup | None = None

    def start(self, layout: Layout) -> None:
        """Begin to set the sandbox up."""
        try:
            self._start(layout, layout.user(next(_numbers)))
        except BaseException as error:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            self._closing.close()
            if isinstance(error, OSError):  # too many open files, no memory for a process
                raise SaidpoError(f"cannot start a sandbox: {error}") from error
            raise

    def _start(self, layout: Layout, uid: int) -> None:
        with ExitStack() as handed:  # descriptors that are not needed here once the process has them

            def hand(descriptor: int) -> int:
                handed.callback(os.close, descriptor)
                return descriptor

            more = [hand(descriptor) for descriptor in self.more]
            stdin = hand(self.stdin if isinstance(self.stdin, int) else _in_memory(self.stdin))
            stdout = subprocess.PIPE if self.stdout is None else hand(self.stdout)
            text, rules = hand(_in_memory(self.text)), hand(_in_memory(filter_program()))
            info, inner_info = os.pipe()
            self._closing.callback(os.close, info)
            inner_gate, self._gate = os.pipe()
            self._closing.callback(os.close, self._gate)
            limits = (self.limits.seconds, self.limits.memory, DISK, _PROCESSES)
            self._process = process = subprocess.Popen(
                [
                    *layout.command(DISK, info=hand(inner_info), seccomp=rules),
                    *map(str, (self.module, text, *more, hand(inner_gate), uid if layout.drops_user else 0, *limits)),
                ],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
                pass_fds=(text, rules, inner_info, inner_gate, *more),
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for this process, which then ends the sandbox
                **layout.as_user(uid),
            )
        whole = os.pidfd_open(process.pid)
        self._closing.callback(os.close, whole)
        self.handlers = {info: partial(self._hold, info), whole: partial(self._exited, whole)}
        for pipe, hear in ((process.stdout, self._hear), (process.stderr, self._hear_errors)):
            if pipe is not None:
                self._closing.callback(pipe.close)
                os.set_blocking(pipe.fileno(), False)
                self.handlers[pipe.fileno()] = partial(hear, pipe.fileno())

    def use(self) -> Use:
        """What its processes use at the moment."""
        return use_of(self._first_pid) if self._first_pid else Use()

    def look(self) -> None:
        """Stop what uses more memory than it may, if no control group bounds it."""
        if self._group is not None and self._group.exceeded():
            self.stop("memory")

    def stop(self, why: str) -> None:
        """It has to be ended."""
        self.stopped = self.stopped or why
        self.over = True

    def end(self, grace: float = 0.0) -> None:
        """Kill every process of the sandbox and wait until the kernel has done so; collect the last words.

        ``grace``: let it end by itself so long, so that its exit status says how it ended.
        """
        assert self._process is not None
        if self._first is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
            self._process.kill()
        else:
            readable(self._first, grace)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            if not readable(self._first, _END_SECONDS):
                raise SaidpoError("a sandboxed process cannot be killed; the kernel log may say why")
        code = self._process.wait()
        self.code = code if code >= 0 else 128 - code
        for descriptor in list(self.handlers):
            while descriptor in self.handlers and readable(descriptor, 0.0):
                self.handlers[descriptor]()
        self.handlers.clear()
        self._closing.close()
        if self._group is not None:
            self._group.remove()
        self.output = b"".join(self._said)

    def _hold(self, info: int) -> None:
        """bubblewrap has made the first process: hold it, and bound all that it will start."""
        chunk = os.read(info, 4096)
        self._info += chunk
        if chunk:
            return
        del self.handlers[info]
        if not self._info.strip():  # it has failed, and says why on standard error
            return
        pid = int(json.loads(self._info)["child-pid"])
        with suppress(ProcessLookupError):  # it has failed since
            handle = os.pidfd_open(pid)
            self._closing.callback(os.close, handle)
            if self._process is not None and parent_of(pid) == self._process.pid:  # and not one that has got its number
                self._first, self._first_pid = handle, pid
                self._group = ControlGroup(self.limits.memory + DISK, _PROCESSES)
                self._group.add(pid)
        self._release()

    def _release(self) -> None:
        """Open the gate once the process inside is ready and held."""
        if not self.complete or self._group is None or self._released:
            return
        self._released = True
        self._group.complete()
        with suppress(BrokenPipeError):
            os.write(self._gate, b"1")

    def _exited(self, whole: int) -> None:
        del self.handlers[whole]
        self.over = True

    def _hear(self, pipe: int) -> None:
        chunk = os.read(pipe, 2**16)
        if not chunk:
            del self.handlers[pipe]
        self._size += len(chunk)
        if self._size > self.limits.output:
            self.stop("output")
        else:
            self._said.append(chunk)

    def _hear_errors(self, pipe: int) -> None:
        chunk = os.read(pipe, 2**16)
        if not chunk:
            del self.handlers[pipe]
        self.errors += chunk
        self._errors_size += len(chunk)
        if not self.complete:
            before, ready, after = self.errors.partition(READY)
            self.complete, self.errors = bool(ready), after if ready else before
            self._release()
        self.errors = self.errors[-_ERRORS_KEPT:]
        if self._errors_size > _ERRORS_LIMIT:
            self.stop("output")


def readable(descriptor: int, seconds: float) -> bool:
    """Whether it can be read, or its process has ended, within some seconds; ``select`` takes no number over 1,023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _in_memory(data: bytes) -> int:
    """A descriptor of a file that lies in memory, at its beginning."""
    descriptor = os.memfd_create("saidpo")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
