"""Running what a study still lacks: side by side in processes, one thread each; finished runs are used as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from saidpo_core.errors import NothingToDo
from saidpo_core.run_record import finished_record, same_settings
from saidpo_core.study.plan import Job, Study
from saidpo_core.summary import read_summary

_LOOK_SECONDS = 0.5


@dataclass
class Outcome:
    """What became of a study's jobs."""

    ran: int = 0
    """Runs that did something now."""
    reused: int = 0
    """Runs that were complete before."""
    failed: dict[Job, str] = field(default_factory=dict)
    """The last line of what the run said."""


def run_jobs(study: Study, processes: int) -> Outcome:
    """Bring every job to its end. One that fails does not stop the others; Ctrl-C ends all, and nothing is lost."""
    outcome = Outcome()
    due = []
    for job in study.jobs:
        if is_complete(job):
            outcome.reused += 1
        else:
            due.append(job)
    runners = _Runners()
    with _shown(study, outcome.reused) as (look, tell):
        pool = ThreadPoolExecutor(processes)
        try:
            waiting = {pool.submit(runners.run, job): job for job in due}
            while waiting:
                done, _ = wait(waiting, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    _settle(waiting.pop(future), future, outcome, tell)
                look()
        finally:
            runners.stop()
            pool.shutdown(cancel_futures=True)
    return outcome


def _settle(job: Job, future: Future[str], outcome: Outcome, tell: Callable[[str], None]) -> None:
    problem = future.result()
    if problem:
        outcome.failed[job] = problem
        tell(f"{job}: failed: {problem}")
        return
    outcome.ran += 1
    last = read_summary(job.folder)["rounds"][-1]["accuracy_balanced"]
    tell(f"{job}: {'no held-out problems' if last is None else f'{100 * last:.1f}%'}")


def is_complete(job: Job) -> bool:
    """Whether the run has ended. Raises ``UsageError`` if its folder holds a run with other settings."""
    if not (job.folder / "run.toml").is_file():
        return False
    same_settings(job.folder, job.settings, advice="choose another --out")
    return finished_record(job.folder) is not None


class _Runners:
    """The processes that run now, to be ended together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, job: Job) -> str:
        """Run a job to its end; what went wrong, or nothing."""
        command = [sys.executable, "-m", "saidpo_core.study.child", str(os.getpid()), "run", *job.flags, "--quiet"]
        with self._lock:
            if self._stopped:
                return "stopped"
            process = subprocess.Popen(
                command,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            self._processes.add(process)
        try:
            _, said = process.communicate()
        finally:
            with self._lock:
                self._processes.discard(process)
        if process.returncode in (0, NothingToDo.exit_code):
            return ""
        last = (said.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return last.removeprefix("saidpo: ")

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.kill()


@contextmanager
def _shown(study: Study, reused: int) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """How far all is, counted in evaluations, of which each run makes one a round and one before; quiet when piped."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(highlight=False, stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    total = sum(1 + job.settings.run.rounds for job in study.jobs)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, start=False)
        first = evaluations(study.jobs)
        progress.reset(task, total=total - first, start=True)

        def look() -> None:
            complete = sum((job.folder / "summary.json").is_file() for job in study.jobs)
            name = f"{len(study.jobs)} runs ({reused} were complete), {complete} begun"
            progress.update(task, completed=evaluations(study.jobs) - first, description=name)

        def tell(line: str) -> None:
            progress.console.print(line, markup=False) if console.is_terminal else print(line, flush=True)

        yield look, tell


def evaluations(jobs: Sequence[Job]) -> int:
    """Policies that were measured so far; runs that stopped early count as whole."""
    found = 0
    for job in jobs:
        rounds = job.settings.run.rounds
        measured = sum((job.folder / f"round-{t}" / "06-evaluate").is_dir() for t in range(1, rounds + 1))
        started = (job.folder / "start" / "05-evaluate").is_dir()
        finished = measured < rounds and started and _finished(job)
        found += 1 + rounds if finished else measured + started
    return found


def _finished(job: Job) -> bool:
    try:
        tree: dict[str, Any] = read_summary(job.folder)
    except (OSError, ValueError):
        return False
    return bool(tree.get("finished"))
