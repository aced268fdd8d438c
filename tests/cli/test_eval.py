"""``saidpo eval`` as a user meets it: a table, JSON, responses that can be judged again, a run's last policy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from saidpo_core.cli.evaluate import settings_of
from saidpo_core.registry import load_registry
from tests.command import FinishedRun, Saidpo

MEASURE = ("--files=files", "--generator.device=cpu")


def write_files(folder: Path, n: int = 6) -> None:
    """One benchmark with the columns of AIME24's, one of one's own; questions that the embedded policy can read."""
    (folder / "files").mkdir()
    aime = [{"id": i, "problem": f"Compute {i} + 3 * 5.", "solution": f"\\boxed{{{i + 15:03}}}"} for i in range(n)]
    books = "Ann has {} books and gets 43 more. How many books now?"
    own = [{"question": books.format(i + 20), "answer": i + 63} for i in range(n)]
    for name, rows in (("aime24", aime), ("books", own)):
        (folder / f"files/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def numbers(table: str, name: str) -> list[str]:
    [line] = [line for line in table.splitlines() if line.startswith(f"{name} ")]
    return line.split()


def test_a_runs_prompt_keeps_its_name_and_its_text(tmp_path: Path) -> None:
    head = 'prompt = "{}"\n[about.prompt]\ntext = "As it was: {{question}}"\nsystem = ""\nchat = "auto"\n'
    for name in ("boxed", "gone.txt"):
        (tmp_path / "run.toml").write_text(head.format(name))
        settings = settings_of(load_registry(), {"model": str(tmp_path)})
        assert str(settings.run.prompt) == name
        assert settings.prompt.text == "As it was: {question}"


@pytest.mark.slow
def test_a_table_json_and_responses(saidpo: Saidpo, tmp_path: Path) -> None:
    write_files(tmp_path)
    command = ("eval", *MEASURE, "--samples=3", "--out=result.json", "--responses=responses.jsonl")
    done = saidpo(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((tmp_path / "result.json").read_text())
    assert list(result["benchmarks"]) == ["aime24", "books"]
    for name, score in result["benchmarks"].items():
        low, high = score["interval"]
        assert (score["problems"], score["samples"]) == (6, 3)
        assert low <= score["accuracy"] <= high
        shown = numbers(done.stdout, name)
        assert shown[1:3] == ["6", f"{100 * score['accuracy']:.1f}%"]
        assert shown[3:6] == [f"{100 * low:.1f}", "to", f"{100 * high:.1f}"]
    assert numbers(done.stdout, "mean")[1] == f"{100 * result['mean']['accuracy']:.1f}%"
    assert result["measured"]["decoding"] == "avg@3"
    assert result["measured"]["benchmarks"]["aime24"]["whole_set"] == 30
    assert result["about"]["prompt"] == {"text": "{question}", "system": "", "chat": "auto"}
    assert result["settings"]["generator"]["temperature"] == 1.0

    rows = [json.loads(line) for line in (tmp_path / "responses.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * 6 * 3
    right = sum(row["verdict"] == "right" for row in rows)
    assert right == sum(score["right"] for score in result["benchmarks"].values())
    again = saidpo("verify", "--in=responses.jsonl", "--out=verdicts.jsonl", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    judged = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in judged] == [row["verdict"] for row in rows]

    # Once more, nothing is generated and the result is the same.
    shown = saidpo(*command, cwd=tmp_path)
    assert "evaluate: reused" in shown.stdout
    assert json.loads((tmp_path / "result.json").read_text()) == result


@pytest.mark.slow
def test_a_file_that_was_changed_is_measured_anew_and_refused_where_the_old_one_was(
    saidpo: Saidpo, tmp_path: Path
) -> None:
    write_files(tmp_path)
    command = ("eval", *MEASURE, "--out=result.json")

    def measured(*more: str) -> float:
        assert saidpo(*command, *more, cwd=tmp_path).returncode == 0
        return float(json.loads((tmp_path / "result.json").read_text())["benchmarks"]["books"]["accuracy"])

    assert measured() > 0
    assert measured("--run-dir=mine") > 0
    books = tmp_path / "files/books.jsonl"
    books.write_text(books.read_text().replace('"answer": ', '"answer": 9'))
    assert measured() == 0
    done = saidpo(*command, "--run-dir=mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "the problems that mine was measured with were changed since; choose another --run-dir" in done.stderr


@pytest.mark.slow
def test_a_runs_last_policy_is_measured_as_it_was_trained(
    saidpo: Saidpo, finished: FinishedRun, tmp_path: Path
) -> None:
    write_files(tmp_path, n=2)
    done = saidpo("eval", f"--model={finished.path}", *MEASURE, "--run-dir=kept", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "kept/result.json").read_text())
    assert result["settings"]["generator"]["max_new_tokens"] == 48  # as the run's, not the default
    named = saidpo(
        "eval",
        f"--model={finished.path}/round-2/05-train/model",
        *MEASURE,
        "--generator.max_new_tokens=48",
        "--run-dir=named",
        cwd=tmp_path,
    )
    assert named.returncode == 0, named.stderr
    same = json.loads((tmp_path / "named/result.json").read_text())
    assert same["about"]["model"] == result["about"]["model"]
    assert same["benchmarks"] == result["benchmarks"]


def test_an_unfinished_run_is_refused_with_what_it_has(saidpo: Saidpo, finished: FinishedRun, tmp_path: Path) -> None:
    write_files(tmp_path, n=1)
    run = tmp_path / "run"
    (run / "round-1/05-train/model").mkdir(parents=True)
    (run / "run.toml").write_bytes((finished.path / "run.toml").read_bytes())
    done = saidpo("eval", f"--model={run}", *MEASURE, cwd=tmp_path)
    assert done.returncode == 2
    assert "is not finished; name one of its policies" in done.stderr
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--benchmarks=aime42",), "no benchmark aime42, nor a file of that name in files; there are gsm8k"),
        (("--benchmarks=amc23",), "1 of 1 benchmarks are not here, and the hub cannot be reached"),
        (("--evaluator=greedy",), "evaluator greedy has no option 'files'"),
        (("--evaluator.temperature=0.6",), "one response is greedy"),
        pytest.param(
            ("--prompt=qwen-math",), "the policy's tokenizer has no chat template", marks=pytest.mark.slow
        ),  # loads transformers
        (("--benchmark=aime24",), "Did you mean --benchmarks?"),
        (("--model=/nowhere",), "--model=/nowhere: no such folder"),
    ],
)
def test_what_cannot_be_measured_is_said_and_leaves_nothing(
    saidpo: Saidpo, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    write_files(tmp_path, n=1)
    done = saidpo("eval", *MEASURE, *flags, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(saidpo: Saidpo, tmp_path: Path) -> None:
    write_files(tmp_path, n=40)
    flags = ("eval", *MEASURE, "--samples=40", "--run-dir=kept", "--generator.batch_size=64")
    whole = saidpo(*flags[:-2], "--generator.batch_size=64", "--run-dir=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "saidpo_core.cli", *flags], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    )
    first = tmp_path / "kept/start/05-evaluate.partial/answers-00001.jsonl"
    while not first.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert first.exists()
    written = first.stat().st_mtime_ns
    done = saidpo(*flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stage = tmp_path / "kept/start/05-evaluate"
    assert (stage / "answers-00001.jsonl").stat().st_mtime_ns == written
    for file in stage.iterdir():
        if not file.name.startswith(("timing", "stage.json")):
            assert file.read_bytes() == (tmp_path / "whole/start/05-evaluate" / file.name).read_bytes(), file.name
