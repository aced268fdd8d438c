"""Alternatives chosen by flags take part in a real run; what comes of all combinations: test_combinations.py."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from saidpo_core import codecs
from saidpo_core.cli.entry import cli
from saidpo_core.rollouts import read_attempts
from tests.tiny import TINY_RUN

RUNS = (
    {"pair-builder": "step-aligned", "clusterer": "hdbscan", "difficulty": "surprisal", "sampler": "signal-yield"},
    {"pair-builder": "longest-right", "difficulty": "random"},
)


@pytest.mark.parametrize("chosen", RUNS, ids=[run["pair-builder"] for run in RUNS])
@pytest.mark.slow
def test_what_flags_choose_is_recorded_and_makes_the_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> None:
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path / "cache"))
    flags = [f"--{kind}={name}" for kind, name in chosen.items()]
    smaller = ["--embedder=tfidf", "--rounds=1", "--trainer.steps=1", "--pool.held_out=1", "--quiet"]
    done = CliRunner().invoke(cli, ["run", *TINY_RUN, *smaller, *flags, f"--run-dir={tmp_path / 'run'}"])
    assert done.exit_code == 0, done.output + repr(done.exception)
    settings = tomllib.loads((tmp_path / "run" / "run.toml").read_text())
    assert {kind: settings[kind]["name"] for kind in chosen} == chosen
    pairs = list(codecs.read_lines(tmp_path / "run" / "round-1" / "04-pair" / "pairs.jsonl", codecs.pair_from_json))
    prompts = {
        item.problem_id: item.prompt_ids
        for stage in ("01-probe", "03-explore")
        for item in read_attempts(tmp_path / "run" / "round-1" / stage)
    }
    assert pairs
    assert any(pair.prompt_ids != prompts[pair.problem_id] for pair in pairs) == (
        chosen["pair-builder"] == "step-aligned"
    )
