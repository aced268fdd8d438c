"""The run directory: atomic stages, resume, and a chain of hashes that shows what was made from what.

    DIR/run.toml              settings, components with their versions, packages, machine
    DIR/round-1/01-probe/     a finished stage: its data, and stage.json with their hashes
    DIR/round-1/02-weigh.partial/   a stage that was being made when the process ended

A stage is written into its ``.partial`` sibling, flushed to disk, and renamed: it is whole or it is not there.
``stage.json`` holds the hash of every file and of the stage before it, so a changed or missing file is noticed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from saidpo_core.errors import DISK_FULL, UNWRITABLE, SaidpoError, UsageError, disk_errno, readable
from saidpo_core.events import Observers, StageEvent

T = TypeVar("T")
Make = Callable[[Path, Callable[[int, int], None]], None]
MARK = ".after"
"""In a stage that is being made: the chain that it goes on from."""


class Clock:
    """Seconds by activity (generate, verify, train, evaluate, ...) since the last ``take``."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, activity: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent[activity] += time.perf_counter() - started

    def take(self) -> dict[str, float]:
        spent = {activity: round(seconds, 4) for activity, seconds in self._spent.items()}
        self._spent.clear()
        return spent


class RunDir:
    """One run on disk. ``keep`` makes a stage, or reads it if an earlier process has made it."""

    def __init__(self, path: Path, observers: Observers) -> None:
        self.path = path
        self.observers = observers
        self.clock = Clock()
        self.made = 0
        """Stages made by this process, not reused."""
        self.timings: list[dict[str, Any]] = []
        """One entry a stage: round, stage, seconds, and seconds by activity."""
        self._chain = ""
        self._event: StageEvent

    def keep(
        self,
        t: int,
        name: str,
        make: Make,
        read: Callable[[Path], T],
        *,
        unit: str = "",
        goes_on: bool = False,
        describe: Callable[[T], dict[str, Any]] | None = None,
    ) -> T:
        """The data of stage ``name``, made now unless they are there. They are always read back from disk.

        ``make(folder, progress)`` writes into an empty folder; with ``goes_on`` it finds there what a killed process
        left, and may build on it. ``describe`` gives the numbers that observers show of it.
        """
        folder = self.path / (f"round-{t}" if t else "start") / name
        event = StageEvent(run_dir=self.path, round=t, stage=name.split("-", 1)[1], unit=unit, reused=folder.is_dir())
        self.observers.before(event)
        self._event = event
        started = time.perf_counter()
        if not folder.is_dir():
            with disk_errors(folder):
                self._make(folder, make, event, goes_on)
            self.made += 1
        manifest = self._manifest(folder, verify=event.reused)
        self._chain = manifest["chain"]
        value = read(folder)
        seconds = manifest["seconds"] if event.reused else time.perf_counter() - started
        timing = {"round": t, "stage": event.stage, "reused": event.reused}
        self.timings.append({**timing, "seconds": seconds, "spent": manifest["spent"]})
        result = describe(value) if describe else {}
        self.observers.after(
            StageEvent(**{**vars(event), "seconds": seconds, "result": result}),
        )
        return value

    def note(self, text: str) -> None:
        """Tell observers something of the stage that is being made."""
        self.observers.note(self._event, text)

    def _make(self, folder: Path, make: Make, event: StageEvent, goes_on: bool) -> None:
        partial = folder.with_name(folder.name + ".partial")
        try:
            self._fill(partial, make, event, goes_on)
            os.rename(partial, folder)
        except BaseException:
            if not goes_on or not any(path.name != MARK for path in _files(partial)):
                shutil.rmtree(partial, ignore_errors=True)
            raise
        (folder / MARK).unlink()
        flush_entry(folder.parent)

    def _fill(self, partial: Path, make: Make, event: StageEvent, goes_on: bool) -> None:
        """The whole stage, flushed to disk. The mark stays until it is renamed, so no failure costs what was made."""
        mark = partial / MARK
        if partial.is_dir() and not (goes_on and mark.is_file() and mark.read_text() == self._chain):
            shutil.rmtree(partial)
        if not partial.is_dir():
            partial.mkdir(parents=True)
            mark.write_text(self._chain)
        self.clock.take()
        started = time.perf_counter()
        make(partial, lambda done, total: self.observers.progress(event, done, total))
        spent = self.clock.take()
        files = {str(path.relative_to(partial)): sha256(path) for path in _files(partial) if is_data(path)}
        chain = hashlib.sha256(json.dumps([self._chain, files]).encode()).hexdigest()
        manifest: dict[str, Any] = {"after": self._chain, "chain": chain, "files": files}
        manifest |= {"seconds": round(time.perf_counter() - started, 3), "spent": spent}
        (partial / "stage.json").write_text(json.dumps(manifest, indent=1) + "\n")
        flush(partial)

    def _manifest(self, folder: Path, *, verify: bool) -> dict[str, Any]:
        """``stage.json``; with ``verify`` after every file was checked against it."""
        redo = f"remove {folder} and all stages after it, or start another run with --run-dir"
        try:
            manifest: dict[str, Any] = json.loads((folder / "stage.json").read_text())
            after, files, *_ = (manifest[key] for key in ("after", "files", "chain", "seconds", "spent"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SaidpoError(f"{folder}/stage.json cannot be read ({error!r}); {redo}") from error
        if after != self._chain:
            raise SaidpoError(f"{folder} was made from other data than the stages before it hold now; {redo}")
        for name, expected in files.items() if verify else ():
            if not (folder / name).is_file():
                raise SaidpoError(f"{folder / name} is missing; {redo}")
            if sha256(folder / name) != expected:
                raise SaidpoError(f"{folder / name} was changed since it was written; {redo}")
        return manifest


def round_of(folder: Path) -> int | None:
    """Which round a folder of a run holds, 0 for ``start``; None for what a run does not write, such as a copy."""
    number = re.fullmatch(r"round-([1-9][0-9]*)", folder.name)
    return 0 if folder.name == "start" else int(number[1]) if number else None


def files_of(stage: Path) -> dict[str, str]:
    """Hash of each file of a finished stage, as it was written. Raises ``UsageError`` if they cannot be known."""
    with readable(stage / "stage.json"):
        found: dict[str, str] = dict(json.loads((stage / "stage.json").read_text(encoding="utf-8"))["files"])
    return found


def gone_from(stage: Path) -> list[Path]:
    """Files of a finished stage that are not there any more."""
    return [stage / name for name in files_of(stage) if not (stage / name).is_file()]


def is_data(path: Path) -> bool:
    """Whether a file belongs to the chain of hashes: measured times do not, they differ between equal runs."""
    return not path.name.startswith("timing") and path.name not in ("stage.json", MARK)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: str | bytes, *, shared: bool = False) -> None:
    """Replace ``path`` by ``content``, whole or not at all. ``shared``: where other processes may write it too."""
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}.tmp" if shared else path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush(folder: Path) -> None:
    for path in _files(folder):
        flush_entry(path)
    flush_entry(folder)


def flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the run directory for this process alone."""
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        file = (path / "lock").open("a+")
    with file:
        if not (_taken(file) or _taken(file)):
            raise UsageError(f"{path}: another saidpo process is running here; wait for it or use --run-dir")
        yield


def is_running(path: Path) -> bool:
    """Whether a process holds the run directory now."""
    try:
        with (path / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or a disk without locks
        return False
    return False


def _taken(file: IO[str]) -> bool:
    """Lock it, waiting a moment for one who only asks whether a process runs here (``is_running``)."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(0.1)
        return False
    return True


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into messages that say what to do."""
    try:
        yield
    except SaidpoError:
        raise
    except Exception as error:
        number, where = disk_errno(error), getattr(error, "filename", None) or path
        if number in DISK_FULL:
            message = (
                f"no space left while writing {where}; free some and give the same command: finished stages are kept"
            )
            raise SaidpoError(message) from error
        if number in UNWRITABLE:
            message = f"{where} cannot be written ({os.strerror(number)}); choose another place with --run-dir"
            raise UsageError(message) from error
        raise


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
