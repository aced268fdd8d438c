"""An engine's process without vLLM: it does what it is told, so that its parent's side can be tried in milliseconds.

The first ``asked["policy"]`` names what goes wrong at the start, the prompt of a call what goes wrong then.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from saidpo_plugins.generators import vllm_worker
from saidpo_plugins.generators.vllm_worker import say


class FakeEngine:
    def __init__(self, asked: dict[str, Any]) -> None:
        if asked["policy"] == "raises":
            raise ValueError("1 validation error\n  the model is\n  too long")
        if asked["policy"] == "exits":
            print("ImportError: libcuda.so.1", file=sys.stderr)
            os._exit(3)

    def facts(self) -> dict[str, Any]:
        return {"device": "cpu", "dtype": "float32", "max_model_len": 64}

    def answer(self, call: dict[str, Any], answers: Any) -> None:
        for row, (what, seed, limit) in enumerate(call["rows"]):
            if what == "dies":
                print("half a word, then", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "hangs":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                say(answers, row=row, child=child.pid)
                time.sleep(600)
            if what == "raises":
                raise RuntimeError("CPU Generator does not use offset")
            say(answers, row=row, ids=[seed] * limit)

    def close(self) -> None:
        pass


def main(descriptor: str, parent: str, log: str) -> None:
    vllm_worker.main(descriptor, parent, log, FakeEngine)
