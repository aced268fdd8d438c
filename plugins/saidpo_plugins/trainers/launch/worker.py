"""One of the processes that ``accelerate launch`` starts, with the job's folder and the run's socket as arguments.

It ends when the run does: a thread watches the connection, and nothing a worker does outlives it.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saidpo_core import Problem, SaidpoError, UsageError, Verdict
from saidpo_core.codecs import report_to_json
from saidpo_core.errors import first_line
from saidpo_plugins.trainers.launch.folder import read_job
from saidpo_plugins.trainers.launch.wire import Line
from saidpo_plugins.trainers.trl_common import processes_here


class Run:
    """The run, as a worker sees it; itself a ``Verifier``."""

    def __init__(self, address: str, rank: int) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        self.line = Line(connection)
        self.rank = rank
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.line.send({"hello": [rank, processes_here()]})
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        for message in self.line:
            self.answers.put(message)
        os._exit(3)

    def progress(self, done: int, total: int) -> None:
        if self.rank == 0:
            self.line.send({"progress": [done, total]})

    def self_test(self) -> None:
        """The run has tested its verifier."""

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        self.line.send({"verify": [[problem.id, text] for problem, text in cases]})
        return [Verdict(outcome=o, extracted=e, reason=r) for o, e, r in self.answers.get()["verdicts"]]

    def close(self) -> None:
        """It belongs to the run."""


def main(folder: Path, address: str) -> int:
    rank = int(os.environ.get("RANK", "0"))
    run = Run(address, rank)
    _write_to(folder / f"worker-{rank}.log")
    try:
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        trainer, job = read_job(folder, run, run.progress)
        report = trainer.train_here(job)
        run.line.send({"report": report_to_json(report)})
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        known = isinstance(error, SaidpoError)
        kind = "UsageError" if isinstance(error, UsageError) else "SaidpoError" if known else "other"
        run.line.send({"error": kind, "message": str(error) if known else first_line(error)})
        return 1
    import torch.distributed

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return 0


def _write_to(log: Path) -> None:
    """Whatever is printed, by C++ too, goes into a file of this worker's own."""
    with log.open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
