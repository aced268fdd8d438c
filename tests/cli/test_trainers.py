"""Whole runs with the trainers that are not the default, by the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saidpo_core.rollouts import read_attempts
from tests.cli.conftest import FLAGS, Saidpo


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


def test_a_loss_that_is_refused_is_named_before_anything_starts(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("--trainer.loss=discopop", cwd=tmp_path)
    assert done.returncode == 2
    assert "--trainer.loss: expected sigmoid|" in done.stderr
    assert "discopop" in done.stderr
    assert list(tmp_path.iterdir()) == []
