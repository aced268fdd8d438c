"""One whole round with a chat model, through ``vllm`` and through ``transformers``: equal verdict statistics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="run by tests/plugins/test_generator_vllm.py, in an environment with vLLM")

from scipy.stats import binomtest, fisher_exact

from saidpo_core import Attempts
from saidpo_core.rollouts import read_attempts
from tests.models.make_chat_model import cached_chat_model

pytestmark = pytest.mark.slow


def run(generator: str, folder: Path) -> Path:
    policy = cached_chat_model()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "saidpo_core.cli", f"--model={policy}", f"--generator={generator}"),
            *("--pool=jsonl", f"--pool.path={policy / 'problems.jsonl'}", "--pool.held_out=59", "--embedder=tfidf"),
            *("--rounds=1", "--probe-min=120", "--draw=60", "--samples=8", "--generator.max_new_tokens=40"),
            *("--trainer.steps=4", "--trainer.batch_size=16", f"--run-dir={folder}"),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: run(name, tmp_path_factory.mktemp("runs") / name) for name in ("vllm", "transformers")}


def test_both_probe_the_same_problems_with_the_same_prompts(runs: dict[str, Path]) -> None:
    ours, theirs = (read_attempts(run / "round-1" / "01-probe") for run in runs.values())
    assert [(item.problem_id, item.prompt_ids) for item in ours] == [(i.problem_id, i.prompt_ids) for i in theirs]
    assert len(ours) == 120


def test_pass_rates_agree_within_what_chance_allows(runs: dict[str, Path]) -> None:
    """Fisher's exact test of right answers for each kind of problem, and of pairs; seeds are fixed, so no flakes."""
    tables: dict[str, list[tuple[int, int]]] = {}
    for run in runs.values():
        attempts = read_attempts(run / "round-1" / "01-probe")
        for kind in ("sums", "differences", "products"):
            mine = [item for item in attempts if item.problem_id.startswith(kind)]
            right = sum(len(item.right) for item in mine)
            tables.setdefault(kind, []).append((right, sum(item.counted for item in mine) - right))
        usable = sum(item.usable for item in attempts)
        tables.setdefault("usable problems", []).append((usable, len(attempts) - usable))
    for kind, (ours, theirs) in tables.items():
        print(kind, ours, theirs)
        assert min(sum(ours), sum(theirs)) >= 100
        assert ours[1] > 0
        assert fisher_exact([ours, theirs]).pvalue > 0.01, (kind, ours, theirs)


def test_right_answers_differ_problem_by_problem_no_more_than_chance_allows(runs: dict[str, Path]) -> None:
    """A sign test: on as many problems the one engine finds more right answers as the other."""

    def rates(run: Path) -> list[int]:
        return [len(item.right) for item in read_attempts(run / "round-1" / "01-probe")]

    signs = Counter((a > b) - (a < b) for a, b in zip(*map(rates, runs.values()), strict=True))
    assert binomtest(signs[1], signs[1] + signs[-1]).pvalue > 0.01


def test_greedy_accuracy_is_the_same_up_to_near_ties(runs: dict[str, Path]) -> None:
    ours, theirs = (
        json.loads((run / "start" / "05-evaluate" / "evaluation.json").read_text())["groups"] for run in runs.values()
    )
    assert set(ours) == set(theirs)
    for group, score in ours.items():
        assert abs(score[0] - theirs[group][0]) <= 1, group


def test_both_learn_a_next_policy_from_pairs(runs: dict[str, Path]) -> None:
    for run in runs.values():
        pairs = (run / "round-1" / "04-pair" / "pairs.jsonl").read_text().splitlines()
        assert len(pairs) >= 20
        assert any((run / "round-1" / "05-train" / "model").glob("*.safetensors"))


def test_log_probabilities_are_those_of_the_other_engine(runs: dict[str, Path]) -> None:
    """Of responses that both happened to sample."""

    def sampled(run: Path) -> dict[tuple[str, tuple[int, ...]], tuple[float, ...]]:
        attempts: list[Attempts] = read_attempts(run / "round-1" / "01-probe")
        return {(item.problem_id, r.token_ids): r.logprobs for item in attempts for r in item.responses}

    ours, theirs = map(sampled, runs.values())
    both = set(ours) & set(theirs)
    assert len(both) > 50
    assert max(abs(a - b) for key in both for a, b in zip(ours[key], theirs[key], strict=True)) < 1e-3
