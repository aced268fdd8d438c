"""Killed anywhere, the same command goes on and ends with the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saidpo_core.run_dir import is_data, sha256
from tests.tiny import TINY_RUN

DRIVER = Path(__file__).parent / "kill_driver.py"
STAGES = ("pool", "tag", "embed", "cluster", "evaluate", "probe", "weigh", "explore", "pair", "train")


def data_hashes(run: Path) -> dict[str, str]:
    """Hash of every data file of every stage."""
    stages = [path for path in run.glob("*/*/**/*") if path.relative_to(run).parts[0] != "observers"]
    return {str(path.relative_to(run)): sha256(path) for path in stages if path.is_file() and is_data(path)}


FEW = r"amid 1 (explore|train)$|renaming round-1 04-pair$"
"""The moments that a person waits for; the slow tests kill at all of them."""


@pytest.fixture(
    scope="module",
    params=[("no", FEW), *(pytest.param((name, ""), marks=pytest.mark.slow) for name in ("no", "pair"))],
    ids=["no-few", "no", "pair"],
)
def killed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, Path, list[str]]:
    """(run that was left alone, run that was killed again and again, the moments of its kills)"""
    early_stop, moments = request.param
    folder = tmp_path_factory.mktemp("kills")
    command = [
        sys.executable,
        str(DRIVER),
        str(folder / "whole"),
        str(folder / "killed"),
        moments,
        *TINY_RUN,
        "--rounds=1",
        "--embedder=tfidf",
        f"--generator.early_stop={early_stop}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SAIDPO_CACHE": str(folder / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "whole", folder / "killed", done.stdout.splitlines()


def test_a_process_was_killed_in_every_stage(
    killed: tuple[Path, Path, list[str]], request: pytest.FixtureRequest
) -> None:
    _, _, moments = killed
    if "few" in request.node.name:
        assert sorted(moments) == [
            f"killed {m}" for m in ("amid 1 explore", "amid 1 train", "renaming round-1 04-pair")
        ]
        return
    for stage in STAGES:
        assert any(m.startswith("killed renaming") and m.endswith(stage) for m in moments), stage
    for stage in ("probe", "explore", "train"):
        assert any(m.startswith("killed amid") and m.endswith(stage) for m in moments), stage


def test_weights_pairs_and_all_other_data_are_the_same_to_the_bit(killed: tuple[Path, Path, list[str]]) -> None:
    whole, again, _ = killed
    expected = data_hashes(whole)
    assert any(name.endswith("model.safetensors") for name in expected)
    assert any(name.endswith("pairs.jsonl") for name in expected)
    assert data_hashes(again) == expected


def test_the_summary_is_the_same_but_for_times(killed: tuple[Path, Path, list[str]]) -> None:
    def timeless(run: Path) -> object:
        tree = json.loads((run / "summary.json").read_text())
        del tree["time"]
        for row in tree["rounds"]:
            del row["seconds"]
        return tree

    whole, again, _ = killed
    assert timeless(again) == timeless(whole)


def test_nothing_half_written_is_left(killed: tuple[Path, Path, list[str]]) -> None:
    _, again, _ = killed
    assert not [path for path in again.rglob("*") if path.name.endswith((".partial", ".tmp"))]
