"""Errors that a user is meant to read: what was wrong, where, and what to do. They are shown without a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


class SaidpoError(Exception):
    """The run cannot go on; ``saidpo`` prints the message and exits with ``exit_code``."""

    exit_code = 1
    blamed = False
    """Whether the message names the component that it came from."""


class UsageError(SaidpoError):
    """What was asked for cannot be done: a wrong option, key, file or component. Nothing was started."""

    exit_code = 2


class PluginError(SaidpoError):
    """A component raised, or broke its promise; the message names it, its distribution and version."""

    blamed = True


class NothingToDo(SaidpoError):
    """The same command had already run to its end, so nothing ran now."""

    exit_code = 3


class MissingExtra(UsageError):
    """A component needs a package that is not installed."""

    def __init__(self, component: str, package: str, extra: str, distribution: str = "saidpo") -> None:
        super().__init__(f"{component} needs the package {package}: pip install '{distribution}[{extra}]'")


def disk_errno(error: Exception) -> int | None:
    """Which error of the disk this is, None if it is another. Libraries in Rust say so in their message alone."""
    if isinstance(error, OSError) and error.errno in (*DISK_FULL, *UNWRITABLE):
        return error.errno
    return next((number for number in DISK_FULL if os.strerror(number) in str(error)), None)


def first_line(error: BaseException) -> str:
    """Its type and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


@contextmanager
def readable(path: Path, advice: str = "take it from a copy of the run") -> Iterator[None]:
    """Read ``path`` in here, and nothing else: whatever is wrong with a file of a run that was damaged, or removed to
    save space, is said with its name and what to do."""
    try:
        yield
    except SaidpoError:
        raise
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename or path} is missing; {advice}") from error
    except Exception as error:  # each format has its own, safetensors' is no ValueError
        raise UsageError(f"{path} cannot be read ({first_line(error)}); {advice}") from error


def place_in(module: str, frames: Iterable[tuple[FrameType, int]]) -> str:
    """``FILE:LINE`` of the innermost of ``frames`` (outermost first) in the package of ``module``, for its author."""
    package = module.partition(":")[0].partition(".")[0]
    place = ""
    for frame, line in frames:
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package:
            place = f"{Path(frame.f_code.co_filename).name}:{line}"
    return place
