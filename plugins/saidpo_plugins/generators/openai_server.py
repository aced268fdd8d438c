"""A server that is started for one policy and is gone afterwards, whatever happens to the run.

The command runs under a guard, a small process that reads from a pipe which the run holds open: when the run ends, be
it by SIGKILL, the pipe is at its end, and the guard ends the command with all its children. No component lives here.

    python -m saidpo_plugins.generators.openai_server COMMAND...     the guard
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from saidpo_core import SaidpoError

_GRACE = 20.0  # seconds between SIGTERM and SIGKILL


class Server:
    """A command that serves a policy; what it says goes into a file."""

    def __init__(self, words: Sequence[str], port: int, log: IO[bytes]) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._words, self._log = words, log
        guard = [sys.executable, "-m", "saidpo_plugins.generators.openai_server", *words]
        self._guard = subprocess.Popen(
            guard, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def wait(self, seconds: float) -> None:
        """Until it answers ``/v1/models``."""
        until = time.monotonic() + seconds
        while self._guard.poll() is None and time.monotonic() < until:
            with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(f"{self.base_url}/models", timeout=5):
                return
            time.sleep(0.2)
        if self._guard.poll() is None:
            raise SaidpoError(
                f"--generator.serve: {shlex.join(self._words)} did not answer at {self.base_url}/models within "
                f"{seconds:g} s (--generator.startup){self._last_lines()}"
            )
        raise SaidpoError(f"--generator.serve: {shlex.join(self._words)} could not serve{self.epitaph()}")

    def epitaph(self) -> str:
        """How it ended and what it said last; empty while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(1)
        if self._guard.poll() is None:
            return ""
        return f"; the server that --generator.serve started has ended with status {self._guard.returncode}" + (
            self._last_lines()
        )

    def close(self) -> None:
        assert self._guard.stdin is not None
        with suppress(OSError):
            self._guard.stdin.close()
        try:
            self._guard.wait(_GRACE + 10)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()

    def _last_lines(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()[-10:]
        return "; it said last:\n  " + "\n  ".join(lines) if lines else "; it said nothing"


@contextmanager
def started(command: str, policy: Path, startup: float) -> Iterator[Server]:
    """The server that ``command`` starts, answering; ended with all its children afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile(prefix="saidpo-server-") as log:
        server = Server(_filled(command, policy, str(port)), port, log)
        try:
            server.wait(startup)
            yield server
        finally:
            server.close()


def update(command: str, policy: Path, seconds: float) -> None:
    """Run ``command`` to its end."""
    words = _filled(command, policy)
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        raise SaidpoError(
            f"--generator.update: {shlex.join(words)} took longer than {seconds:g} s (--generator.startup)"
        ) from error
    if done.returncode:
        lines = (done.stdout + done.stderr).decode("utf-8", "replace").strip().splitlines()[-10:]
        said = "; it said:\n  " + "\n  ".join(lines) if lines else ""
        raise SaidpoError(f"--generator.update: {shlex.join(words)} ended with status {done.returncode}{said}")


def _filled(command: str, policy: Path, port: str = "") -> list[str]:
    words = [word.replace("{policy}", str(policy.absolute())).replace("{port}", port) for word in shlex.split(command)]
    return [os.path.expanduser(words[0]), *words[1:]]


def guard(words: Sequence[str]) -> int:
    """Run ``words`` until they end or standard input does; then end all that they started. Returns their status."""
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        while os.read(0, 4096):  # not sys.stdin: a thread that holds its lock cannot be ended
            pass
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        time.sleep(_GRACE)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    status = child.wait()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # children that it left behind
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
