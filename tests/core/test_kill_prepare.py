"""50,000 problems are prepared by processes that are killed over and over: nothing that was finished is redone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from saidpo_core.run_dir import is_data, sha256
from tests.bench.bench_million import make_file

MOMENTS = ("load 20000", "rename pool", "rename tag", "embed 3", "write 2", "embed 4", "rename embed", "rename cluster")
DRIVER = Path(__file__).parent / "prepare_driver.py"

pytestmark = pytest.mark.slow


def prepare(folder: Path, moment: str) -> int:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SAIDPO_CACHE": str(folder / "cache")}
    done = subprocess.run([sys.executable, DRIVER, folder, moment], env=environment, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def data_of(folder: Path) -> dict[str, str]:
    files = [path for path in (folder / "run" / "start").rglob("*") if path.is_file() and is_data(path)]
    return {str(path.relative_to(folder)): sha256(path) for path in files}


@pytest.mark.timeout(900)
def test_killed_anywhere_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    make_file(whole / "pool.parquet", 50_000, 50_000)  # nearly as many tag texts as problems
    os.link(whole / "pool.parquet", killed / "pool.parquet")
    assert prepare(whole, "never") == 0
    for moment in MOMENTS:
        assert prepare(killed, moment) == -signal.SIGKILL, f"{moment} never came"
    assert prepare(killed, "never") == 0

    expected = data_of(whole)
    parts = [name for name in expected if "vectors-" in name]
    assert len(parts) == 13
    assert data_of(killed) == expected
    assert not list(killed.rglob("*.partial"))

    calls = Counter((killed / "embedded.txt").read_text().splitlines())
    ended = {line.removeprefix("end "): times for line, times in calls.items() if line.startswith("end ")}
    assert len(ended) == len(parts)
    assert set(ended.values()) == {1}, "a part was embedded twice"
    begun = sum(times for line, times in calls.items() if line.startswith("begin "))
    assert begun == len(parts) + 2  # the two that were killed amid embedding
