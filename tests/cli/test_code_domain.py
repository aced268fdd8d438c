"""The code domain end to end: a pool of code problems, scripted responses, verdicts from the sandbox, DPO on them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from safetensors.torch import load_file

from saidpo_core.rollouts import read_attempts
from tests.byte_policy import make_byte_policy
from tests.command import Saidpo

SOLUTIONS = Path(__file__).parents[1] / "verifying" / "solutions.toml"


@pytest.mark.slow
def test_one_round_over_the_pool_code(saidpo: Saidpo, tmp_path: Path) -> None:
    policy = make_byte_policy(tmp_path / "policy")
    with (tmp_path / "responses.jsonl").open("w") as file:
        for item in tomllib.loads(SOLUTIONS.read_text())["solution"]:
            responses = [f"```python\n{item[kind]}```" for kind in ("right", "wrong")]
            file.write(json.dumps({"id": item["id"], "responses": responses}) + "\n")
    run = tmp_path / "run"
    done = saidpo(
        "--pool=code",
        "--generator=scripted",
        f"--generator.path={tmp_path / 'responses.jsonl'}",
        "--generator.max_new_tokens=2048",
        f"--model={policy}",
        f"--run-dir={run}",
        "--embedder=tfidf",
        "--rounds=1",
        "--samples=4",
        "--probe-min=12",
        "--draw=16",
        "--trainer.steps=3",
        "--trainer.batch_size=4",
        "--trainer.micro_batch_size=2",
        "--trainer.lr=1e-3",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((run / "summary.json").read_text())
    [row] = [row for row in summary["rounds"] if row["round"] == 1]
    assert row["yield"] > 0
    assert row["pairs"] > 0
    assert summary["rounds"][0]["accuracy_balanced"] == 1.0  # greedy takes the right solutions
    before, after = (load_file(folder / "model.safetensors") for folder in (policy, run / "round-1/05-train/model"))
    assert before.keys() == after.keys()
    assert any((before[name] != after[name]).any() for name in before)
    attempts = [item for stage in ("01-probe", "03-explore") for item in read_attempts(run / "round-1" / stage)]
    assert {verdict.outcome for item in attempts for verdict in item.verdicts} == {"right", "wrong"}
