"""Real runs that go wrong in ways that are known: each is named on the screen and in the record, with advice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import FLAGS, Saidpo

RUNS = {
    "collapse": ("--trainer.lr=1e-2", "--trainer.steps=10", "--pool.held_out=10", "--rounds=1"),
    "stagnation": ("--sampler.kappa=1e6", "--rounds=2"),
    "filtered": ("--pool.mix=100,0,0", "--draw=100", "--rounds=1"),
    "truncated": ("--generator.max_new_tokens=20", "--rounds=1"),
}
"""A learning rate a hundred times too high; rates that are all pulled to the mean; a pool that is mastered; a limit
that is too short."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_real_run_that_goes_wrong_is_told_so(saidpo: Saidpo, tmp_path: Path, name: str) -> None:
    done = saidpo(*FLAGS, *RUNS[name], f"--run-dir={tmp_path}/run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    warnings = json.loads((tmp_path / "run/summary.json").read_text())["findings"]
    found = [warning for warning in warnings if warning["name"] == name]
    assert found
    assert {warning["name"] for warning in warnings} <= {name, "noisy-probe", "filtered"}  # 24 probed problems are few
    assert f"warning {name}: {found[0]['message']}" in done.stdout
    assert found[0]["advice"] in done.stdout
    assert found[0]["advice"] in (tmp_path / "run/report.html").read_text().replace("&#39;", "'")
