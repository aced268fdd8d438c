"""The parent's side of an engine's process: start it, ask it, end it. ``vllm_worker`` is the other side.

A process of its own, so that the memory of its devices is free when it has ended, whatever vLLM and CUDA keep; started
with an argument list, so that no ``__main__`` guard is needed and threads of the parent do not matter. It leads a
process group: what it starts (a process for every device) ends with it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from saidpo_core import SaidpoError

_BOOT = "import sys; sys.path[:] = sys.argv[4:]; from {module} import main; main(*sys.argv[1:4])"
_END_SECONDS = 20.0
"""An engine that was told to end is killed so much later."""
_GROUP_SECONDS = 5.0
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",  # a policy is a folder here
    "PYTHONUNBUFFERED": "1",
}
_DEFAULTS = {
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # for further GPUs; ours has a thread, so it does not fork
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # OMP_NUM_THREADS is heeded
    "VLLM_CPU_KVCACHE_SPACE": "4",  # GiB
}


class EngineProcess:
    """An engine in a process of its own. Raises ``SaidpoError`` with what it said last if it dies."""

    def __init__(self, asked: Mapping[str, Any], module: str = "saidpo_plugins.generators.vllm_worker") -> None:
        self._channel, theirs = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None
        self._busy = False
        handle, name = tempfile.mkstemp(prefix="saidpo-vllm-", suffix=".log")
        self._log = Path(name)
        self._lines, self._answers = self._channel.makefile("w"), self._channel.makefile("r")
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-P", "-c", _BOOT.format(module=module),
                    str(theirs.fileno()), str(os.getpid()), name,
                    *(path or os.getcwd() for path in sys.path),
                ],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                env=_DEFAULTS | os.environ | _ENVIRONMENT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )  # fmt: skip
            theirs.close()
            self._tell(asked)
        except OSError as error:
            self.close()
            raise SaidpoError(f"the engine's process cannot be started: {error}") from error
        finally:
            theirs.close()
            os.close(handle)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ready(self) -> dict[str, Any]:
        """Wait until the policy is loaded: the engine's ``device``, ``dtype`` and ``max_model_len``."""
        facts: dict[str, Any] = self._answer("load the policy")["ready"]
        return facts

    def ask(self, call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Responses as they are finished; take them all, or close the process."""
        self._busy = True
        self._tell(call)
        while "done" not in (answer := self._answer("generate")):
            yield answer
        self._busy = False

    def close(self) -> None:
        """End the process and all that it started, at once if a call is not over; its memory is free afterwards."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)  # a fork of this process may hold a copy of the channel
        for end in (self._lines, self._answers, self._channel):
            with suppress(OSError):
                end.close()
        if self._process is not None and self._process.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0 if self._busy else _END_SECONDS)
            _kill_group(self._process.pid)
            self._process.wait()
            _await_end_of_group(self._process.pid)
        if not os.environ.get("SAIDPO_DEBUG"):
            self._log.unlink(missing_ok=True)

    def _tell(self, message: Mapping[str, Any]) -> None:
        with suppress(OSError):  # then its end shows when the answer is read
            self._lines.write(json.dumps(message, separators=(",", ":")) + "\n")
            self._lines.flush()

    def _answer(self, what: str) -> dict[str, Any]:
        try:
            line = self._answers.readline()
        except (OSError, ValueError):
            line = ""
        answer: dict[str, Any] = json.loads(line) if line.endswith("\n") else {}
        if answer and "problem" not in answer:
            return answer
        message = self._obituary(what, answer.get("problem", ""))
        self.close()
        raise SaidpoError(message)

    def _obituary(self, what: str, problem: str) -> str:
        if not problem:
            assert self._process is not None
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
            problem = _how_it_ended(self._process.returncode)
            if last := _last_line(self._log):
                problem += f"; the last that it said: {last}"
        if os.environ.get("SAIDPO_DEBUG"):
            problem += f" (all that it said: {self._log})"
        return f"vLLM could not {what}: {problem}"


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "its process does not answer"
    if code >= 0:
        return f"its process ended with exit code {code}"
    hint = " (out of memory, if nobody killed it)" if code == -signal.SIGKILL else ""
    return f"its process was ended by {signal.Signals(-code).name}{hint}"


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")
    return ""


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _await_end_of_group(group: int) -> None:
    """Until what the process had started is gone, too: milliseconds, unless nobody clears away what has died."""
    deadline = time.monotonic() + _GROUP_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.02)
