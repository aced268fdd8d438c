"""One small run to its end with the real command: what it prints, what it leaves, and what it says when asked again."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Attempts
from saidpo_core.codecs import pair_from_json, read_lines
from saidpo_core.registry import load_registry
from saidpo_core.rollouts import read_attempts
from saidpo_core.run_dir import is_data, sha256
from tests.command import FLAGS, FinishedRun, Saidpo

ROUNDS = 2


@pytest.fixture(scope="module")
def summary(finished: FinishedRun) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((finished.path / "summary.json").read_text())
    return tree


def contents(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): sha256(file) for file in path.rglob("*") if file.is_file()}


def explored(run: Path, t: int) -> list[Attempts]:
    return [*read_attempts(run / f"round-{t}/01-probe"), *read_attempts(run / f"round-{t}/03-explore")]


# summary.json


def test_the_summary_has_a_row_for_before_training_and_one_a_round(summary: dict[str, Any]) -> None:
    assert summary["finished"] is True
    assert [row["round"] for row in summary["rounds"]] == [0, 1, 2]
    keys = {"round", "accuracy_balanced", "accuracy_pool", "yield", "explored", "pairs", "tokens", "seconds"}
    for row in summary["rounds"]:
        assert keys <= set(row)
        assert 0 <= row["accuracy_balanced"] <= 1
        assert 0 <= row["accuracy_pool"] <= 1
        assert row["seconds"] > 0
    before = summary["rounds"][0]
    assert (before["yield"], before["explored"], before["pairs"], before["tokens"]) == (None, 0, 0, 0)


def test_the_summary_counts_what_the_stages_hold(finished: FinishedRun, summary: dict[str, Any]) -> None:
    for t in range(1, ROUNDS + 1):
        attempts, row = explored(finished.path, t), summary["rounds"][t]
        pairs = list(read_lines(finished.path / f"round-{t}/04-pair/pairs.jsonl", pair_from_json))
        assert row["explored"] == len(attempts) == len({item.problem_id for item in attempts})
        assert row["explored"] == 24 + 40
        assert row["tokens"] == sum(item.tokens for item in attempts)
        assert row["pairs"] == len(pairs) == row["usable"] > 0
        assert row["yield"] == pytest.approx(len(pairs) / len(attempts), abs=1e-4)
        assert row["responses"] == 4 * len(attempts)
        assert row["steps"] == 3


def test_the_settings_in_the_summary_are_those_of_run_toml(finished: FinishedRun, summary: dict[str, Any]) -> None:
    recorded = tomllib.loads((finished.path / "run.toml").read_text())
    about = recorded.pop("about")
    assert recorded == summary["settings"]
    assert recorded["rounds"] == ROUNDS
    assert recorded["embedder"]["name"] == "tfidf"
    assert recorded["trainer"]["steps"] == 3
    advice = next(policy.settings for policy in load_registry().policies if policy.name == "embedded")
    assert recorded["trainer"]["lr"] == advice["trainer.lr"]
    assert {"python", "saidpo", "torch", "transformers", "trl"} <= set(about["packages"])
    assert about["components"]["clusterer"].startswith("saidpo/kmeans ")
    assert about["machine"]["cores"] >= 1


def test_the_notes_say_that_the_weaknesses_were_planted(summary: dict[str, Any]) -> None:
    assert any("planted" in note for note in summary["notes"])


def test_the_embedded_policy_is_not_warned_of(finished: FinishedRun, summary: dict[str, Any]) -> None:
    assert summary["warnings"] == []
    said = re.findall(r"^ *warning(.*?):", finished.done.stdout, re.MULTILINE)
    assert set(said) <= {" noisy-probe"}  # so small a probe is


# Stages


def test_each_stage_holds_what_its_manifest_says_and_follows_from_the_one_before(finished: FinishedRun) -> None:
    chain = ""
    folders = [finished.path / "start", *(finished.path / f"round-{t}" for t in range(1, ROUNDS + 1))]
    stages = [stage for folder in folders for stage in sorted(folder.iterdir())]
    names = ["01-pool", "01-preflight", "02-tag", "03-embed", "04-cluster", "05-evaluate"]
    names += ROUNDS * ["01-probe", "02-weigh", "03-explore", "04-pair", "05-train", "06-evaluate"]
    assert [stage.name for stage in stages] == names
    for stage in stages:
        manifest = json.loads((stage / "stage.json").read_text())
        assert manifest["after"] == chain
        chain = manifest["chain"]
        data = {str(file.relative_to(stage)): file for file in stage.rglob("*") if file.is_file() and is_data(file)}
        assert manifest["files"] == {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in data.items()}


def test_nothing_but_numbers_and_text_is_written(finished: FinishedRun) -> None:
    """No format that runs code when it is opened; arrays are read with ``allow_pickle=False``."""
    kinds = {file.suffix for file in finished.path.rglob("*") if file.is_file()}
    assert kinds <= {".json", ".jsonl", ".toml", ".safetensors", ".jinja", ".txt", ".model", ".html", ".npy", ""}
    assert [file.name for file in finished.path.rglob("*") if file.is_file() and not file.suffix] == ["lock"]


def test_pairs_hold_the_very_tokens_that_were_sampled_and_judged(finished: FinishedRun) -> None:
    for t in range(1, ROUNDS + 1):
        attempts = {item.problem_id: item for item in explored(finished.path, t)}
        for pair in read_lines(finished.path / f"round-{t}/04-pair/pairs.jsonl", pair_from_json):
            item = attempts[pair.problem_id]
            assert pair.prompt_ids == item.prompt_ids
            assert pair.chosen.token_ids in [response.token_ids for response in item.right]
            assert pair.rejected.token_ids in [response.token_ids for response in item.wrong]


def test_each_round_leaves_a_normal_model_folder_and_each_policy_is_another(finished: FinishedRun) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = next(policy.folder for policy in load_registry().policies if policy.name == "embedded")
    folders = [base, *(finished.path / f"round-{t}/05-train/model" for t in range(1, ROUNDS + 1))]
    weights: list[dict[str, Any]] = []
    for folder in folders:
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert tokenizer.decode(tokenizer("What is 1 + 1?")["input_ids"], skip_special_tokens=True) == "What is 1 + 1?"
        weights.append(model.state_dict())
    for before, after in pairwise(weights):
        assert before.keys() == after.keys()
        assert all(torch.isfinite(value).all() for value in after.values())
        assert any(not torch.equal(before[name], after[name]) for name in before)


# What it prints


def test_piped_output_is_plain_lines(finished: FinishedRun) -> None:
    out = finished.done.stdout
    assert "\x1b" not in out + finished.done.stderr
    assert "\r" not in out
    assert "Traceback" not in finished.done.stderr
    for said in ("held out for measuring", "round 1 probe", "round 2 train", "balanced held-out accuracy"):
        assert said in out
    assert f"model:   {finished.path}/round-2/05-train/model\n" in out
    assert f"summary: {finished.path}/summary.json\n" in out


def test_the_rows_on_the_screen_are_those_of_the_summary(finished: FinishedRun, summary: dict[str, Any]) -> None:
    rows = [line.split() for line in finished.done.stdout.splitlines() if re.match(r"\s+[012]\s+\d", line)]
    for t, row in enumerate(summary["rounds"]):
        shown = next(cells for cells in rows if cells[0] == str(t))
        assert shown[1] == f"{100 * row['accuracy_balanced']:.1f}%"
        assert shown[4] == f"{row['explored']:,}"
        assert shown[5] == f"{row['pairs']:,}"
        assert shown[6] == f"{row['tokens']:,}"


# Asked again


def test_a_finished_run_has_nothing_to_do(finished: FinishedRun, saidpo: Saidpo) -> None:
    before = contents(finished.path)
    for flags in (finished.flags, (f"--config={finished.path}/run.toml", f"--run-dir={finished.path}")):
        done = saidpo(*flags, cwd=finished.path.parent)
        assert done.returncode == 3, done.stderr
        assert f"nothing to do: the run in {finished.path} is complete" in done.stderr
        assert "--seed or --run-dir" in done.stderr
        assert "Traceback" not in done.stderr
    assert contents(finished.path) == before


def test_changed_settings_are_refused_with_the_difference(finished: FinishedRun, saidpo: Saidpo) -> None:
    before = contents(finished.path)
    done = saidpo(*finished.flags, "--rounds=3", "--sampler=uniform", "--trainer.steps=4", cwd=finished.path.parent)
    assert done.returncode == 2, done.stderr
    assert "was started with other settings" in done.stderr
    for line in ("rounds: 2 -> 3", "sampler.name: error-weighted -> uniform", "trainer.steps: 3 -> 4"):
        assert f"\n  {line}\n" in done.stderr
    assert "another --run-dir" in done.stderr
    assert contents(finished.path) == before


def test_a_changed_file_of_a_run_that_goes_on_is_named(finished: FinishedRun, saidpo: Saidpo, tmp_path: Path) -> None:
    # As if killed in the last stage, and then a pair was edited by hand.
    run = tmp_path / "run"
    shutil.copytree(finished.path, run)
    shutil.rmtree(run / "round-2/06-evaluate")
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "finished": False}))
    pairs = run / "round-1/04-pair/pairs.jsonl"
    pairs.write_text(pairs.read_text().replace("0", "1", 1))
    done = saidpo(*FLAGS, f"--run-dir={run}", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert f"{pairs} was changed since it was written; remove " in done.stderr
    assert "Traceback" not in done.stderr
    assert (run / "run.toml").is_file()


# A disk that is too small for the first trained policy


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_after_a_full_disk_the_same_command_goes_on_and_ends_with_the_same_bits(
    finished: FinishedRun, saidpo: Saidpo, small_disk: Path
) -> None:
    run = small_disk / "run"
    done = saidpo(*FLAGS, f"--run-dir={run}", cwd=small_disk)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"no space left while writing {run}/round-1/" in done.stderr
    assert not list(run.rglob("*.tmp"))
    assert not (run / "round-1/05-train").exists()
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    again = saidpo(*FLAGS, f"--run-dir={run}", cwd=small_disk)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "round 1 explore: reused" in again.stdout

    def data(path: Path) -> dict[str, str]:
        stages = {name: hash for name, hash in contents(path).items() if name.startswith(("start/", "round-"))}
        return {name: hash for name, hash in stages.items() if is_data(Path(name))}

    assert data(run) == data(finished.path)


# A run that ends early


@pytest.mark.slow
def test_a_run_that_finds_nothing_more_to_learn_stops_and_says_so(tmp_path: Path, saidpo: Saidpo) -> None:
    # A learning rate that ruins the policy in round 1: nothing that it says in round 2 is right.
    ruin = ("--trainer.lr=0.1", "--trainer.max_grad_norm=1000", "--trainer.scheduler=constant", "--rounds=3")
    done = saidpo(*FLAGS, *ruin, "--run-dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: stopped in round 2: no explored problem gave a right and a wrong response" in done.stdout
    tree = json.loads((tmp_path / "run/summary.json").read_text())
    assert tree["finished"] is True
    assert [row["round"] for row in tree["rounds"]] == [0, 1]
    assert tree["stopped"]["tokens"] == sum(item.tokens for item in explored(tmp_path / "run", 2))
    assert f"for {tree['rounds'][1]['tokens'] + tree['stopped']['tokens']:,} generated tokens" in done.stdout
    assert len({(found["name"], found["message"]) for found in tree["findings"]}) == len(tree["findings"])
    # The reserve of the draw was tried before it gave up: 24 probed, twice 40 drawn.
    assert len(explored(tmp_path / "run", 2)) == 24 + 2 * 40
    assert saidpo(*FLAGS, *ruin, "--run-dir=run", cwd=tmp_path).returncode == 3
    # Where a round's tokens are limited, they are for the reserve too.
    assert saidpo(*FLAGS, *ruin, "--round-tokens=8000", "--run-dir=limited", cwd=tmp_path).returncode == 0
    tokens = [item.tokens for item in explored(tmp_path / "limited", 2)]
    assert len(tokens) > 24
    assert 8000 <= sum(tokens) <= 8000 + max(tokens)
