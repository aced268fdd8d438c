"""``saidpo --dry-run``: the real command prints a plan, refuses what does not fit, and starts nothing."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from saidpo_core import importing
from saidpo_core.cli.entry import main
from saidpo_core.planning.measured import read_run
from tests.command import FinishedRun, Saidpo

SEVEN = "--model=Qwen/Qwen2.5-Math-7B"
HEAVY = ("--generator.max_new_tokens=2048", "--generator.batch_size=32")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Saidpo:
    """``saidpo ARGUMENTS`` in this process, which is quicker: planning starts nothing."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def call(*arguments: str, cwd: Path, **rest: object) -> CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(importing, "may_restart", False)
        monkeypatch.setattr(sys, "argv", ["saidpo", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, errors = capsys.readouterr()
        return CompletedProcess(arguments, int(ended.value.code or 0), out, errors)

    return call


def test_the_default_run_is_planned_and_nothing_is_started(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "353,952 parameters" in done.stdout
    assert "120 problems probed + 300 drawn = 3,360 responses, at most 215,040 tokens; at most 105 pairs, 30 steps" in (
        done.stdout
    )
    for said in ("KV cache", "optimiser (AdamW)", "2 x 3 layers x 2 KV heads", "in all", "nothing was started"):
        assert said in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_plan_for_another_machine_needs_neither_it_nor_the_model(tmp_path: Path, here: Saidpo) -> None:
    done = here(SEVEN, "--dry-run", "--plan-for=1xH200", "--trainer.dtype=bfloat16", *HEAVY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7,615,616,512 parameters, 28 layers, context of 4,096 tokens" in done.stdout
    assert re.search(r"trained weights +15\.2 GB +7,615,616,512 parameters x 2 bytes", done.stdout)
    assert re.search(r"optimiser \(AdamW\) +30\.5 GB", done.stdout)
    assert "data sheet, not measured" in done.stdout


def test_a_too_small_device_is_refused_with_numbers(tmp_path: Path, here: Saidpo) -> None:
    done = here(SEVEN, "--dry-run", "--plan-for=24GB", cwd=tmp_path)
    assert done.returncode == 2
    assert "in all" in done.stdout  # the plan is shown all the same
    need, usable, memory = re.search(  # type: ignore[union-attr]
        r"training needs ([\d.]+) GB of each device, and ([\d.]+) GB of 24GB's ([\d.]+) GB can be used", done.stderr
    ).groups()
    assert float(need) > 120
    assert (usable, memory) == ("22.8", "24.0")


def test_what_is_suggested_fits(tmp_path: Path, here: Saidpo) -> None:
    flags = [SEVEN, "--dry-run", "--plan-for=1x48GB", "--generator.max_new_tokens=2048", "--trainer=grpo",
             "--trainer.dtype=bfloat16", "--trainer.batch_size=8", "--trainer.max_new_tokens=64"]  # fmt: skip
    refused = here(*flags, cwd=tmp_path)
    assert refused.returncode == 2
    suggested = re.search(r"generation needs .*? It fits with (--generator\.batch_size=\d+)", refused.stderr)
    assert suggested, refused.stderr
    again = here(*flags, suggested[1], cwd=tmp_path)
    assert "generation needs" not in again.stderr
    assert "training needs" in again.stderr


def test_a_settings_file_names_the_machine_and_a_flag_wins(tmp_path: Path, here: Saidpo) -> None:
    (tmp_path / "run.toml").write_text(f'plan_for = "8x80GB"\nmodel = "{SEVEN.removeprefix("--model=")}"\n')
    done = here("--config=run.toml", "--dry-run", *HEAVY, cwd=tmp_path)
    assert "machine     8 x 80GB, 80.0 GB each\n" in done.stdout
    done = here("--config=run.toml", "--dry-run", "--plan-for=2xH200", *HEAVY, cwd=tmp_path)
    assert "machine     2 x H200, 141.0 GB each\n" in done.stdout
    (tmp_path / "run.toml").write_text("plan_for = 8\n")
    done = here("--config=run.toml", "--dry-run", cwd=tmp_path)
    assert done.returncode == 2
    assert "run.toml: plan_for: expected a text such as '8x80GB', got 8" in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--plan-for=8x80GB"], "--plan-for is for planning; add --dry-run"),
        (["--dry-run", "--plan-for=8xH1000"], "Did you mean H100?"),
        (["--dry-run", "--plan-from=none"], "--plan-from=none: none is not a run of saidpo: it has no run.toml"),
        (["--dry-run", "--model-config=none.json"], "none.json: cannot be read as JSON"),
        (["--dry-run", "--model=some/model"], "name a copy of it with --model-config=FILE"),
        (["--dry-rum"], "Did you mean --dry-run?"),
    ],
)
def test_what_cannot_be_planned_is_said(tmp_path: Path, here: Saidpo, flags: list[str], said: str) -> None:
    done = here(*flags, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_lengths_yield_and_speeds_come_from_a_finished_run(finished: FinishedRun, saidpo: Saidpo) -> None:
    flags = [flag for flag in finished.flags if not flag.startswith("--run-dir")]
    done = saidpo(*flags, "--dry-run", f"--plan-from={finished.path}", cwd=finished.path.parent)
    assert done.returncode == 0, done.stderr
    assert f"measured by the run {finished.path}" in done.stdout
    assert "upper bound" not in done.stdout
    rounds = json.loads((finished.path / "summary.json").read_text())["rounds"][1:]
    mean = sum(row["tokens"] for row in rounds) / sum(row["responses"] for row in rounds)
    assert f"at most {256 * mean:,.0f} tokens" in done.stdout  # 64 problems of 4 responses a round


def test_tokens_that_a_trainer_generates_are_not_taken_for_responses(tmp_path: Path) -> None:
    row = {"tokens": 5_000, "training_tokens": 1_000, "responses": 40, "pairs": 4, "explored": 5}
    time = {"generate": 8.0, "train": 2.0}
    (tmp_path / "summary.json").write_text(json.dumps({"rounds": [{}, row, row], "time": time}))
    (tmp_path / "run.toml").write_text('model = "none"\n')
    measured = read_run(tmp_path)
    assert (measured.response_tokens, measured.generated_per_second) == (100, 1_000)


def test_a_component_that_plans_nothing_is_unknown_not_guessed(tmp_path: Path, here: Saidpo) -> None:
    (tmp_path / "answers.jsonl").write_text("")
    done = here("--generator=scripted", "--generator.path=answers.jsonl", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "generation  scripted, each round: unknown, since it says nothing of what it needs" in done.stdout
    assert "in all      unknown" in done.stdout
