"""A run with ``--generator.early_stop=pair``: what it asks, what it says of what it spared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from saidpo_core.rollouts import read_attempts
from tests.command import FLAGS, FinishedRun, Saidpo


def data_of(stage: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stage.glob("attempts-*")}


@pytest.mark.slow
def test_drawn_problems_are_asked_no_further_than_a_pair(saidpo: Saidpo, finished: FinishedRun, tmp_path: Path) -> None:
    """Against the same run without it, whose first round has the same policy, probe and draw."""
    path = tmp_path / "run"
    done = saidpo(*FLAGS, "--generator.early_stop=pair", f"--run-dir={path}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    stage = "round-1/01-probe"
    assert data_of(path / stage) == data_of(finished.path / stage), "the probe has all K"
    mine, fixed = (read_attempts(folder / "round-1/03-explore") for folder in (path, finished.path))
    assert [item.problem_id for item in mine] == [item.problem_id for item in fixed]
    for item, whole in zip(mine, fixed, strict=True):
        n = len(item.responses)
        assert [r.token_ids for r in item.responses] == [r.token_ids for r in whole.responses[:n]]
        assert n == (2 if whole.first(2).usable else 4)
    tree = json.loads((path / "summary.json").read_text())
    row = tree["rounds"][1]
    assert row["responses_per_drawn"] == round(sum(len(item.responses) for item in mine) / len(mine), 3)
    spared = sum(item.tokens for item in fixed) - sum(item.tokens for item in mine)
    assert 0.7 * spared <= row["tokens_spared"] <= 1.4 * spared, "an estimate, not far off"
    counted = sum(entry["rounds"][0]["counted"] for entry in tree["clusters"])
    probe = read_attempts(path / "round-1/01-probe")
    assert counted == sum(i.counted for i in probe) + sum(i.first(2).counted for i in mine), "pass rates without bias"
    said = re.search(r"early stop: (\d\.\d) responses a drawn problem instead of 4, about ([\d,]+) tokens", done.stdout)
    assert said is not None, done.stdout
    assert int(said[2].replace(",", "")) == sum(r["tokens_spared"] for r in tree["rounds"][1:])
    assert "early stop" not in finished.done.stdout
    assert not any("tokens_spared" in r for r in json.loads((finished.path / "summary.json").read_text())["rounds"])
