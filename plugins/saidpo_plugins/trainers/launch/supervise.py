"""The run's side: starting the workers, serving them, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from saidpo_core import SaidpoError, TrainingJob, TrainingReport, UsageError
from saidpo_core.codecs import report_from_json
from saidpo_plugins.trainers.launch.folder import write_job
from saidpo_plugins.trainers.launch.wire import Line

if TYPE_CHECKING:
    from saidpo_plugins.trainers.launch import Plan, Spreadable

_SHOWN = 12
"""Last lines of a worker that are shown when it fails."""
_GRACE = 20.0
"""Seconds for the launcher to end after the report."""


def run_workers(plan: Plan, trainer: Spreadable, job: TrainingJob) -> TrainingReport:
    """Train by ``accelerate launch``; the workers write the new policy to ``job.out``."""
    folder = job.out / "launch"
    folder.mkdir()
    try:
        write_job(folder, trainer, job)
        with _listening() as (place, listener), _launched(plan, folder, place / "run") as launcher:
            return _Service(plan, job, folder, place, listener, launcher).serve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Service:
    """Answers the workers until rank 0 has reported, or one of them fails."""

    def __init__(
        self,
        plan: Plan,
        job: TrainingJob,
        folder: Path,
        place: Path,
        listener: socket.socket,
        launcher: subprocess.Popen[bytes],
    ) -> None:
        self.plan, self.job, self.folder, self.place, self.launcher = plan, job, folder, place, launcher
        self.listener = listener
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.ranks: dict[socket.socket, int] = {}
        self.report: TrainingReport | None = None
        self.finished: set[socket.socket] = set()

    def serve(self) -> TrainingReport:
        try:
            while self.report is None:
                ready = self.selector.select(timeout=0.5)
                for key, _ in ready:
                    if key.fileobj is self.listener:
                        connection, _ = self.listener.accept()
                        self.selector.register(connection, selectors.EVENT_READ, Line(connection))
                    else:
                        self._hear(key.data)
                if not ready and self.report is None and self.launcher.poll() is not None:
                    self._fail(None)
            with contextlib.suppress(subprocess.TimeoutExpired):  # it has nothing more to do; else it is ended
                self.launcher.wait(_GRACE)
            return self.report
        finally:
            for key in list(self.selector.get_map().values()):
                if key.fileobj is not self.listener:
                    key.fileobj.close()  # type: ignore[union-attr]
            self.selector.close()

    def _hear(self, line: Line) -> None:
        messages = line.read_some()
        if messages is None:
            self.selector.unregister(line.connection)
            line.connection.close()
            if self.report is None and line.connection not in self.finished:
                self._fail(self.ranks.get(line.connection))
            return
        for message in messages:
            if "hello" in message:
                self.ranks[line.connection], processes = message["hello"]
                if len(self.ranks) == processes:  # all are here: a run that is killed leaves no socket behind
                    shutil.rmtree(self.place, ignore_errors=True)
            elif "progress" in message:
                self.job.progress(*message["progress"])
            elif "verify" in message:
                line.send({"verdicts": self._judge(message["verify"])})
            elif "report" in message:
                self.finished.add(line.connection)
                if self.ranks[line.connection] == 0:
                    self.report = report_from_json(message["report"])
            elif message["error"] == "other":
                self._fail(self.ranks[line.connection], message["message"])
            else:
                raise (UsageError if message["error"] == "UsageError" else SaidpoError)(message["message"])

    def _judge(self, cases: list[list[str]]) -> list[list[Any]]:
        verdicts = self.job.verifier.verify([(self.job.problems[id], text) for id, text in cases])
        return [[verdict.outcome, verdict.extracted, verdict.reason] for verdict in verdicts]

    def _fail(self, rank: int | None, said: str = "") -> NoReturn:
        """One message: who failed, what it said last. A worker that was killed said nothing of it."""
        name = "accelerate launch" if rank is None else f"worker {rank}"
        log = self.folder / ("launcher.log" if rank is None else f"worker-{rank}.log")
        lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
        head = f"training by {self.plan.config.name} failed: {name} {'raised ' + said if said else 'ended'}"
        if "out of memory" in said:
            head += "; lower --trainer.micro_batch_size, or see docs/training.md for what takes less"
        tail = "".join(f"\n  | {line}" for line in lines[-_SHOWN:])
        raise SaidpoError(f"{head}{'; its last lines:' if tail else ', without a word'}{tail}")


@contextmanager
def _listening() -> Iterator[tuple[Path, socket.socket]]:
    """A socket in a folder that only this user can enter. Run folders can have longer names than sockets may."""
    place = Path(tempfile.mkdtemp(prefix="saidpo-train-"))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(str(place / "run"))
            except OSError as error:
                raise SaidpoError(
                    f"no socket can be made in {place} ({error}); set TMPDIR to a shorter path"
                ) from error
            listener.listen()
            yield place, listener
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _launched(plan: Plan, folder: Path, address: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``accelerate launch``, in a session of its own so that Ctrl-C reaches it through us alone."""
    command = [sys.executable, "-m", "accelerate.commands.launch", f"--config_file={plan.config}"]
    command += [f"--num_processes={plan.processes}"] if plan.processes else []
    command += ["--main_process_port=0", "--module", "saidpo_plugins.trainers.launch.worker", str(folder), str(address)]
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    if plan.cpu:
        environment |= {"ACCELERATE_USE_CPU": "true", "DS_ACCELERATOR": "cpu"}
    with (folder / "launcher.log").open("wb") as log:
        launcher = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        yield launcher
    finally:
        _end(launcher)


def _end(launcher: subprocess.Popen[bytes]) -> None:
    """End the launcher; its workers have lost their run by now, or do so here."""
    if launcher.poll() is None:
        launcher.terminate()  # it passes this on to its workers
        deadline = time.monotonic() + 5
        while launcher.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(launcher.pid, signal.SIGKILL)
    launcher.wait()
