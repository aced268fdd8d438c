"""Whole runs with the trainers that are not the default, by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saidpo_core.rollouts import read_attempts
from saidpo_core.run_dir import sha256
from tests.command import FLAGS, Saidpo


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["sft", "kto", "grpo"])
def test_a_run_ends_and_counts_what_the_trainer_generated(trainer: str, tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo(*FLAGS, f"--trainer={trainer}", f"--run-dir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rounds = json.loads((tmp_path / "run" / "summary.json").read_text())["rounds"]
    for t in (1, 2):
        stages = [read_attempts(tmp_path / "run" / f"round-{t}" / name) for name in ("01-probe", "03-explore")]
        report = json.loads((tmp_path / "run" / f"round-{t}" / "05-train" / "report.json").read_text())
        assert (report["generated_tokens"] > 0) == (trainer == "grpo")
        assert rounds[t]["tokens"] == sum(a.tokens for stage in stages for a in stage) + report["generated_tokens"]
        assert rounds[t]["steps"] == 3


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_trains_goes_on_from_its_last_checkpoint(tmp_path: Path, saidpo: Saidpo) -> None:
    flags = (*FLAGS, "--rounds=1", "--trainer.steps=60", "--trainer.save_every=10")
    weights = Path("round-1") / "05-train" / "model" / "model.safetensors"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = saidpo(*flags, f"--run-dir={whole}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "saidpo_core.cli", *flags, f"--run-dir={killed}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "SAIDPO_CACHE": str(tmp_path / "cache")}
    steps = killed / "round-1" / "05-train.partial" / "model.steps"
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None and not list(steps.glob("checkpoint-*/whole-0")):
            time.sleep(0.02)
        run.kill()
    (kept,) = steps.glob("checkpoint-*")
    assert saidpo(*flags, f"--run-dir={killed}", cwd=tmp_path).returncode == 0
    assert int(kept.name.split("-")[1]) >= 10
    assert sha256(killed / weights) == sha256(whole / weights)
    assert {path.name for path in (killed / weights).parents[1].iterdir()} == {"model", "report.json", "stage.json"}


def test_a_loss_that_is_refused_is_named_before_anything_starts(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("--trainer.loss=discopop", cwd=tmp_path)
    assert done.returncode == 2
    assert "--trainer.loss: expected sigmoid|" in done.stderr
    assert "discopop" in done.stderr
    assert list(tmp_path.iterdir()) == []
