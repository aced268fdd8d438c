"""``saidpo compare`` with real runs: equal budgets, a table, and nothing run twice."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.command import FLAGS, Saidpo

COMMAND = ("compare", "--samplers=uniform,error-weighted", "--seeds=2", "--jobs=2", "--", *FLAGS, "--rounds=1")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, saidpo: Saidpo) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("compare")
    done = saidpo(*COMMAND, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def rounds(folder: Path, arm: str, seed: int) -> list[dict[str, float]]:
    path = folder / f"runs/compare/embedded/{arm}/seed-{seed}/summary.json"
    rows: list[dict[str, float]] = json.loads(path.read_text())["rounds"]
    return rows


@pytest.mark.slow
def test_it_prints_a_table_and_a_tested_difference(
    compared: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = compared
    lines = done.stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")] == [
        "arm",
        "---",
        "uniform",
        "error-weighted",
        "arm - uniform",
        "---",
        "error-weighted",
    ]
    [difference] = [line for line in lines if line.startswith("- error-weighted - uniform, after the last round:")]
    assert "points [" in difference
    assert "p = " in difference
    assert "significant" in difference
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_the_table_is_that_of_the_runs(compared: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = compared
    result = json.loads((folder / "runs/compare/study.json").read_text())
    assert "page: runs/compare/study.html" in done.stdout
    assert "error-weighted against uniform" in (folder / "runs/compare/study.html").read_text()
    assert result["command"].startswith("saidpo compare --samplers=uniform,error-weighted --seeds=2 --first-seed=0 -- ")
    for arm in ("uniform", "error-weighted"):
        curves = {f"embedded/seed-{s}": [row["accuracy_balanced"] for row in rounds(folder, arm, s)] for s in (0, 1)}
        last = [rounds(folder, arm, seed)[-1] for seed in (0, 1)]
        assert result["arms"][arm]["accuracy"] == curves
        assert result["arms"][arm]["mean"][-1] == pytest.approx(sum(row["accuracy_balanced"] for row in last) / 2)
        assert result["arms"][arm]["tokens"] == pytest.approx(sum(row["tokens"] for row in last) / 2)
    means = [result["arms"][arm]["mean"][-1] for arm in ("error-weighted", "uniform")]
    assert result["comparisons"]["error-weighted"]["final"]["mean"] == pytest.approx(means[0] - means[1])


@pytest.mark.slow
def test_arms_of_one_seed_share_their_first_probe_and_their_budgets(
    compared: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = compared
    for seed in (0, 1):
        probes = [
            (folder / f"runs/compare/embedded/{arm}/seed-{seed}/round-1/01-probe/attempts-0000000.jsonl").read_bytes()
            for arm in ("uniform", "error-weighted")
        ]
        assert probes[0] == probes[1]
        uniform, weighted = (rounds(folder, arm, seed)[-1] for arm in ("uniform", "error-weighted"))
        assert uniform["steps"] == weighted["steps"]
        # --round-tokens=auto: 64 problems at the rate of the first probe, give or take one problem.
        tokens = [sum(len(r["token_ids"]) for r in json.loads(line)["responses"]) for line in probes[0].splitlines()]
        limit = sum(tokens) / len(tokens) * 64
        for row in (uniform, weighted):
            assert row["explored"] <= 64
            assert row["tokens"] <= limit + 4 * 48
            assert row["explored"] == 64 or row["tokens"] >= limit


@pytest.mark.slow
def test_the_same_command_again_runs_nothing_and_says_so(
    compared: tuple[Path, subprocess.CompletedProcess[str]], saidpo: Saidpo
) -> None:
    folder, first = compared
    again = saidpo(*COMMAND, cwd=folder)
    assert again.returncode == 3
    assert "nothing was run: all 4 runs" in again.stderr
    assert again.stdout.split("## ")[1] == first.stdout.split("## ")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samplers=uniform"], "name at least two different arms"),
        (["--samplers=uniform,error-wieghted"], "Did you mean error-weighted?"),
        (["--arm-options=unifrom:--seed=1"], "expected ARM:--FLAG=VALUE with one of uniform, error-weighted"),
        (["--seeds=1"], "--seeds"),
        (["--arm=no clusters"], "expected NAME: FLAGS"),
        (["--arm=one: --clusterer=none", "--arm=two: --clusterer=nome"], "Did you mean none?"),
        (["--", "--roundz=1"], "--roundz: no flag of saidpo run. Did you mean rounds?"),
        (["--", "--clusterer.k=0"], "--clusterer.k: must be >= 1"),
        (["--arm=one: --samples=4", "--arm=two: --samples=8"], "arms differ in samples"),
        (["--", "--seed=7"], "--seed: seeds are the same for all arms: give them by seeds and first_seed alone"),
        (
            ["--arm=one: --round-tokens=9", "--arm=two: --sampler=static"],
            "--arm one: --round-tokens: 9 contradicts the",
        ),
        (["--arm=one: --clusterer=none", "--arm=two: --clusterer=none"], "'one' and 'two' have the same settings"),
        (["--", "--round-tokens=²"], "budget.tokens: expected auto, free or a number of tokens a round, got '²'"),
        (["--", "--trainer.steps=0"], "optimiser steps a round are not the same number"),
    ],
)
def test_slips_are_named_before_anything_runs(
    tmp_path: Path, saidpo: Saidpo, arguments: list[str], message: str
) -> None:
    done = saidpo("compare", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_is_named_with_its_command(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("compare", "--seeds=2", "--", "--model=no where", "--trainer.steps=3", cwd=tmp_path)
    assert done.returncode == 1
    assert "4 of 4 runs failed" in done.stderr
    assert "--model=no where: no such folder" in done.stderr
    assert "repeat it alone: saidpo --trainer.steps=3 '--model=no where' --sampler=uniform" in done.stderr
    assert "INCOMPLETE: 4 of 4 runs did not end" in done.stdout
    assert "Traceback" not in done.stderr
