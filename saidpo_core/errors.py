"""Errors that a user is meant to read: what was wrong, where, and what to do. They are shown without a traceback."""

from __future__ import annotations

import errno
import os

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


class SaidpoError(Exception):
    """The run cannot go on; ``saidpo`` prints the message and exits with ``exit_code``."""

    exit_code = 1


class UsageError(SaidpoError):
    """What was asked for cannot be done: a wrong option, key, file or component. Nothing was started."""

    exit_code = 2


class PluginError(SaidpoError):
    """A component raised, or broke its promise; the message names it, its distribution and version."""


class NothingToDo(SaidpoError):
    """The same command had already run to its end, so nothing ran now."""

    exit_code = 3


class MissingExtra(UsageError):
    """A component needs a package that is not installed."""

    def __init__(self, component: str, package: str, extra: str) -> None:
        super().__init__(f"{component} needs the package {package}: pip install 'saidpo[{extra}]'")


def disk_errno(error: Exception) -> int | None:
    """Which error of the disk this is, None if it is another. Libraries in Rust say so in their message alone."""
    if isinstance(error, OSError) and error.errno in (*DISK_FULL, *UNWRITABLE):
        return error.errno
    return next((number for number in DISK_FULL if os.strerror(number) in str(error)), None)
