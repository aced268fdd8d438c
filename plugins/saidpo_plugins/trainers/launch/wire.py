"""What the run and its workers say to each other: JSON lines over a Unix socket that only this user can open.

worker -> run   {"hello": [RANK, PROCESSES]}
                {"progress": [DONE, TOTAL]}                 from rank 0
                {"verify": [[PROBLEM_ID, RESPONSE], ...]}   answered
                {"report": {...}}                           the last; the first rank's counts
                {"error": TYPE, "message": TEXT}
run -> worker   {"verdicts": [[OUTCOME, EXTRACTED, REASON], ...]}
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any


class Line:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._pending = b""

    def send(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def read_some(self) -> list[dict[str, Any]] | None:
        """Messages that are complete once something has come; None: the other end is gone."""
        try:
            data = self.connection.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            return None
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every message, until the other end is gone."""
        while (messages := self.read_some()) is not None:
            yield from messages
