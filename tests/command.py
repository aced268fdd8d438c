"""The real command in a real process, and one small run of it that several test files look at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from tests.tiny import TINY_RUN

FLAGS = (*TINY_RUN, "--embedder=tfidf")


class Saidpo(Protocol):
    def __call__(
        self, *arguments: str, cwd: Path, file_size: int | None = None, path: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``saidpo ARGUMENTS`` in ``cwd``; no file it writes may exceed ``file_size``; ``path`` has more packages."""
        ...


@pytest.fixture(scope="session")
def saidpo(tmp_path_factory: pytest.TempPathFactory) -> Saidpo:
    cache = tmp_path_factory.mktemp("cache")

    def call(
        *arguments: str, cwd: Path, file_size: int | None = None, path: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        def limit() -> None:
            import resource

            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

        environment = {**os.environ, "OMP_NUM_THREADS": "1", "SAIDPO_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
        environment.pop("SAIDPO_DEBUG", None)
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        return subprocess.run(
            [sys.executable, "-m", "saidpo_core.cli", *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            preexec_fn=limit,
            timeout=280,
        )

    return call


class FinishedRun:
    """A run that came to its end: where it lies, what it was asked, what it printed."""

    def __init__(self, path: Path, flags: tuple[str, ...], done: subprocess.CompletedProcess[str]) -> None:
        self.path = path
        self.flags = flags
        self.done = done


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, saidpo: Saidpo) -> FinishedRun:
    path = tmp_path_factory.mktemp("finished") / "run"
    flags = (*FLAGS, f"--run-dir={path}")
    done = saidpo(*flags, cwd=path.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return FinishedRun(path, flags, done)
