"""Running what other people's packages do at import, each under a deadline, so that none of them stops ``saidpo``.

What is contained, in the main thread:

- it goes on for ever (sleep, network, a loop): an alarm interrupts it, again and again if it swallows the first;
- it raises: any exception, ``SystemExit`` and ``KeyboardInterrupt`` too, becomes a ``Misbehaved`` with file and line;
- it prints: to stderr, whatever way it writes;
- it forks and lets the child return: the child ends there;
- it changes signal handlers or the working directory: both are put back.

What no alarm can interrupt (C code, or Python code that swallows every one) the command line starts again without;
a program that uses saidpo as a library is not started again. C code that hangs and holds the interpreter's lock ends
the command, with a stack that names the file.

Not contained: ``os._exit`` and crashes in C; threads and children that it leaves behind; what it changes in
``os.environ`` or in other packages. In other threads than the main one there is no deadline, since no alarm rings.
"""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from types import FrameType, TracebackType
from typing import Any, TypeVar

from saidpo_core.discovery import Owner
from saidpo_core.errors import UsageError, first_line, place_in

T = TypeVar("T")

SECONDS = 5.0
"""For one package; ``SAIDPO_IMPORT_SECONDS`` changes it, 0 is no limit. A light one takes a millisecond."""
_ALL_TOGETHER = 4
"""All packages together have this many times as long; each at most half of what is left, so that the next has some."""
_LEAST = 0.1
_AGAIN = 0.1
_GRACE = 1.0
_STUCK = "_SAIDPO_STUCK"

may_restart = False
"""Whether the process may start itself again; ``saidpo_core.cli.entry.main`` says yes."""


class Misbehaved(Exception):
    """What a package did when it was imported or asked what it offers, told for people; the cause is its own error."""


class _Overdue(BaseException):
    """Raised by the alarm in the middle of a stranger's code; no ``Exception``, which its retries would catch."""


def allowed_seconds() -> float:
    text = os.environ.get("SAIDPO_IMPORT_SECONDS", "").strip()
    try:
        seconds = float(text) if text else SECONDS
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"SAIDPO_IMPORT_SECONDS={text}: expected a number of seconds, or 0 for no limit")
    return seconds or math.inf


def stuck_distributions() -> list[str]:
    """Those because of which this process was started again."""
    return [name for name in os.environ.get(_STUCK, "").split(",") if name]


def call(owner: Owner, doing: str, function: Callable[[], T]) -> T:
    """What ``function``, code of ``owner``, gives; what goes wrong in it becomes ``Misbehaved``. No deadline."""
    try:
        return function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Misbehaved(_described(error, owner)) from error


def forget(owner: Owner, before: set[str]) -> None:
    """Drop the modules of ``owner`` that came after ``before``: what is half imported is not to be found by others."""
    package = owner.module.partition(":")[0].partition(".")[0]
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == package:
            del sys.modules[name]


class Guard:
    """Calls into packages of others, one after the other; see the head of this file. Use it as a context."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = _ALL_TOGETHER * seconds
        self._here = _working_directory()
        self._environment = dict(os.environ)
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        self._module = ""
        self._armed = False
        self._rang = False
        self._where = ""
        self._ctrl_c = False
        self._stdout: int | None = None
        self._watched: tuple[str, float] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Guard:
        if self._in_main_thread:
            self._stack.callback(_put_back_handlers, {n: signal.getsignal(n) for n in signal.valid_signals()})
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._interrupted)
        self._stack.enter_context(self._prints_to_stderr())
        if may_restart and self.seconds < math.inf:
            self._stack.enter_context(self._watched_from_aside())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def call(self, owner: Owner, doing: str, function: Callable[[], T]) -> T:
        """What ``function``, code of ``owner``, gives; what goes wrong in it becomes ``Misbehaved``.

        ``doing`` completes "still ... after 5 s".
        """
        seconds = max(_LEAST, min(self.seconds, self._left / 2))
        process, started = os.getpid(), time.monotonic()
        self._rang, self._where, self._module = False, "", owner.module
        self._watched = (owner.distribution, started + seconds)
        try:
            result = self._timed(function, seconds)
            if self._rang:  # it swallowed the alarm, and who knows what it left undone
                raise _Overdue
            return result
        except BaseException as error:
            if self._rang:
                raise Misbehaved(overdue(owner.distribution, doing, seconds, self._where)) from error
            if isinstance(error, KeyboardInterrupt) and self._ctrl_c:
                raise
            raise Misbehaved(_described(error, owner)) from error
        finally:
            self._watched = None
            if os.getpid() != process:
                os._exit(0)  # a child that it forked is no second saidpo
            self._left -= time.monotonic() - started
            self._chdir_back()

    def _timed(self, function: Callable[[], T], seconds: float) -> T:
        """``function()`` under an alarm, and any alarm that was set before put back."""
        if not self._in_main_thread or seconds == math.inf:
            return function()
        handler = signal.signal(signal.SIGALRM, self._ring)
        started = time.monotonic()
        self._armed = True
        delay, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
        try:
            try:
                return function()
            finally:
                self._armed = False
        finally:
            self._armed = False  # the alarm may have rung on the line above; the next comes after these lines
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
            if delay:
                signal.setitimer(signal.ITIMER_REAL, max(0.001, delay - time.monotonic() + started), interval)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            if not self._rang:
                self._where = place_in(self._module, reversed(list(traceback.walk_stack(frame))))
            self._rang = True
            raise _Overdue

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._ctrl_c = True
        raise KeyboardInterrupt

    @contextmanager
    def _prints_to_stderr(self) -> Iterator[None]:
        """``print``, and what goes around it to file descriptor 1, as children and C code do."""
        if sys.stdout is not None:
            sys.stdout.flush()
        with suppress(OSError):  # one of the two is closed
            self._stdout = os.dup(1)
            os.dup2(2, 1)
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            self._stdout_back()

    def _chdir_back(self) -> None:
        if self._here and _working_directory() != self._here:
            with suppress(OSError):
                os.chdir(self._here)

    def _stdout_back(self) -> None:
        if self._stdout is not None:
            os.dup2(self._stdout, 1)
            os.close(self._stdout)
            self._stdout = None

    @contextmanager
    def _watched_from_aside(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            faulthandler.cancel_dump_traceback_later()

    def _watch(self, over: threading.Event) -> None:
        """Runs beside the main thread: what is well past its deadline did not hear the alarm."""
        while True:
            # The last resort: goes off if this thread cannot run, because the interpreter's lock is held.
            faulthandler.dump_traceback_later(_ALL_TOGETHER * self.seconds + _GRACE, exit=True, file=2)
            if over.wait(0.2):
                return
            watched = self._watched
            if watched and time.monotonic() > watched[1] + _GRACE:
                self._start_again(watched[0])

    def _start_again(self, distribution: str) -> None:
        """The same command from its beginning without ``distribution``. Nothing was read or printed yet."""
        signal.setitimer(signal.ITIMER_REAL, 0)  # it would ring in the new program, and end it
        time.sleep(0.05)  # nor may one that rings just now still be on its way
        self._stdout_back()
        self._chdir_back()
        stuck = ",".join([*stuck_distributions(), distribution])
        try:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**self._environment, _STUCK: stuck})
        except OSError as error:
            reason = f"{overdue(distribution, 'importing', self.seconds, '')} ({error})"
            os.write(2, f"saidpo: {distribution}: {reason}\n".encode())
            os._exit(1)


def overdue(distribution: str, doing: str, seconds: float, where: str) -> str:
    """The problem of a package that takes too long, and what to do about it."""
    place = f" ({where})" if where else ""
    return (
        f"still {doing} after {seconds:.3g} s{place}; uninstall {distribution}, leave it out with "
        f"SAIDPO_WITHOUT={distribution}, or allow more with SAIDPO_IMPORT_SECONDS"
    )


def _described(error: BaseException, owner: Owner) -> str:
    place = place_in(owner.module, traceback.walk_tb(error.__traceback__))
    return f"{first_line(error)} ({place})" if place and not isinstance(error, SyntaxError) else first_line(error)


def _working_directory() -> str:
    """Empty if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _put_back_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)
