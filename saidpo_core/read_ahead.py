"""Lines of a file in batches of bounded size, read ahead by a thread while the batch before is worked on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from saidpo_core.errors import SaidpoError

LINE_LIMIT = 64 * 2**20
BATCH_LINES, BATCH_BYTES = 2048, 16 * 2**20


def batches(lines: BinaryIO) -> Iterator[list[tuple[int, bytes | None]]]:
    """What can be read without waiting, in pieces of bounded size: a file is read ahead while its lines are judged."""
    ready = _Ahead(_whole_lines(lines))
    number = 0
    while batch := ready.take():
        yield [(number + i, line) for i, line in enumerate(batch, 1)]
        number += len(batch)


def _whole_lines(lines: BinaryIO) -> Iterator[bytes | None]:
    """Each line, None for one that is too long to be held."""
    while line := lines.readline(LINE_LIMIT + 1):
        if len(line) > LINE_LIMIT and not line.endswith(b"\n"):
            while (rest := lines.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line.rstrip(b"\r\n")


class _Ahead:
    """Reads ahead in a thread, up to one batch; ``take`` gives what is there, and waits if that is nothing."""

    def __init__(self, lines: Iterable[bytes | None]) -> None:
        self._ready: deque[bytes | None] = deque()
        self._bytes = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def _read(self, lines: Iterable[bytes | None]) -> None:
        try:
            for line in lines:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._ready) < BATCH_LINES and self._bytes < BATCH_BYTES)
                    self._ready.append(line)
                    self._bytes += len(line or b"")
                    self._changed.notify_all()
        except BaseException as error:
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def take(self) -> list[bytes | None]:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            batch = list(self._ready)
            self._ready.clear()
            self._bytes = 0
            self._changed.notify_all()
        if not batch and self._failure is not None:
            raise SaidpoError(f"the input cannot be read further: {self._failure}") from self._failure
        return batch
