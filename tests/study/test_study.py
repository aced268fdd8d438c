"""``saidpo study`` in real processes: what runs, what is kept through a kill, and what a wrong file is told."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from saidpo_core.errors import UsageError
from saidpo_core.registry import load_registry
from saidpo_core.study.file import read_study
from saidpo_core.study.jobs import is_complete
from tests.command import Saidpo

STUDY = """
title = "Where are problems drawn?"
question = "A question with | a bar."
reference = "uniform"
[arms.error-weighted]
sampler = "error-weighted"
[arms.uniform]
sampler = "uniform"
[settings]
rounds = 2
probe_min = 24
draw = 40
samples = 4
embedder = "tfidf"
"generator.max_new_tokens" = 48
pool = { size = 240, held_out = 4 }
trainer = { steps = 3, batch_size = 8, micro_batch_size = 8 }
[on.embedded]
bases = ["embedded"]
seeds = 2
[on.one]
bases = ["embedded"]
seeds = [7]
settings = { rounds = 1 }
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "where.toml"
    path.write_text(STUDY)
    return path


def figures(out: Path) -> object:
    """All that a study found, but for measured seconds."""
    tree = json.loads((out / "study.json").read_text())
    for arm in tree["arms"].values():
        arm.pop("seconds")
    return tree


def begun(out: Path) -> list[Path]:
    return sorted(out.glob("*/*/*/round-1/01-probe*"))


def children() -> set[int]:
    """Processes that run a job of a study."""
    found = subprocess.run(["pgrep", "-f", "saidpo_core.study.child"], capture_output=True, text=True)
    return set(map(int, found.stdout.split()))


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_gives_the_same_table(
    tmp_path: Path, study: Path, saidpo: Saidpo
) -> None:
    whole = saidpo("study", str(study), "--out=whole", "--jobs=2", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    before = children()
    command = [sys.executable, "-m", "saidpo_core.cli", "study", str(study), "--out=killed", "--jobs=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    for moment in (1, 3):  # runs that have begun their first probe
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
        while len(begun(tmp_path / "killed")) < moment and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 10
        while children() - before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not children() - before, "a run outlives its study"
    again = saidpo("study", str(study), "--out=killed", "--jobs=2", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "page: whole/study.html" in whole.stdout
    assert figures(tmp_path / "killed") == figures(tmp_path / "whole")
    assert (tmp_path / "killed/study.md").read_text() == (tmp_path / "whole/study.md").read_text()
    thrice = saidpo("study", str(study), "--out=killed", cwd=tmp_path)
    assert thrice.returncode == 3
    assert "nothing was run: all 4 runs in killed were complete already" in thrice.stderr


@pytest.mark.slow
def test_another_place_and_a_changed_setting(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    done = saidpo("study", str(study), "--on=one", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout[done.stdout.index("\n{") :])
    assert tree["seeds"] == [7]
    assert tree["runs"] == {"planned": 2, "finished": 2}
    [difference] = tree["comparisons"].values()
    assert difference["final"]["p"] is None  # one pair cannot be tested, and no interval is made up
    out = tmp_path / "runs/where-one"
    assert "too few pairs to test (1)" in (out / "study.md").read_text()
    page = (out / "study.html").read_bytes()
    assert b"error-weighted against uniform" in page
    assert b"by 1 pair of runs: too few to test" in page
    written = saidpo("report", "runs/where-one", "--out=again.html", cwd=tmp_path)
    assert (written.returncode, written.stdout) == (0, "again.html\n"), written.stderr
    assert (tmp_path / "again.html").read_bytes() == page
    (tmp_path / "broken/plotly").mkdir(parents=True)
    (tmp_path / "broken/plotly/__init__.py").write_text("raise ImportError('taken away')\n")
    (out / "study.json").unlink()
    without = saidpo("study", str(study), "--on=one", cwd=tmp_path, path=tmp_path / "broken")
    assert without.returncode == 3  # all runs were there: what the plug-in did changes neither this nor the result
    assert "failed in saidpo_after_study and is ignored there: ImportError('taken away')" in without.stderr
    assert json.loads((out / "study.json").read_text()) == tree
    study.write_text(STUDY.replace("samples = 4", "samples = 5"))
    other = saidpo("study", str(study), "--on=one", cwd=tmp_path)
    assert other.returncode == 2
    assert "samples: 4 -> 5" in other.stderr
    assert "choose another --out" in other.stderr


def test_a_plan_runs_nothing_and_lists_each_run(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    done = saidpo("study", str(study), "--plan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = [line for line in done.stdout.splitlines() if line.startswith("saidpo ")]
    assert len(runs) == 4
    assert all("--round-tokens=auto" in line and "--trainer.steps=3" in line for line in runs)
    assert "--sampler=uniform" in runs[0]  # the reference comes first
    assert [path.name for path in tmp_path.iterdir()] == ["where.toml"]


def test_a_grid_makes_an_arm_of_each_combination(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    head, tail = STUDY.split("[arms.error-weighted]")
    tail = tail[tail.index("[settings]") :]
    grid = '[grid]\n"clusterer.k" = [4, 8]\nsampler = ["uniform", "static"]\n'
    study.write_text(head.replace('reference = "uniform"', "") + grid + tail)
    done = saidpo("study", str(study), "--plan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "8 runs: 4 arms, 1 bases, 2 seeds" in done.stdout
    assert "reference: clusterer.k=4, sampler=uniform" in done.stdout
    assert "--clusterer.k=8 --sampler=static" in done.stdout


def test_a_place_may_bring_another_grid_and_reference(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    head, tail = STUDY.split("[arms.error-weighted]")
    tail = tail[tail.index("[settings]") :]
    more = '[on.large]\nbases = ["embedded"]\nseeds = 1\ngrid = { "clusterer.k" = [50, 60] }\n'
    more += 'reference = "clusterer.k=60"\n'
    grid = '[grid]\n"clusterer.k" = [4, 8]\n'
    head = head.replace('reference = "uniform"', "").replace('[arms.uniform]\nsampler = "uniform"\n', "")
    study.write_text(head + grid + tail + more)
    here, there = (saidpo("study", str(study), "--plan", *on, cwd=tmp_path) for on in ([], ["--on=large"]))
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert "reference: clusterer.k=4;" in here.stdout
    assert "reference: clusterer.k=60;" in there.stdout
    assert ["--clusterer.k=50" in there.stdout, "--clusterer.k=8" in there.stdout] == [True, False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[on.embedded]", "[on.embedded]\ngrid = { samples = [4] }", "on: a grid replaces the [grid] of the file"),
        ('sampler = "uniform"', 'sampler = "unifrom"', "arms.uniform.sampler: unknown sampler 'unifrom'"),
        ("samples = 4", "sample = 4", "where.toml: settings.sample: unknown key. Did you mean samples?"),
        ("rounds = 2", "rounds = 0", "where.toml: settings.rounds: must be >= 1"),
        ('title = "', 'titel = "x"\ntitle = "', "unknown key 'titel'. Did you mean title?"),
        ('reference = "uniform"', 'reference = "idpo"', "no arm is called 'idpo'"),
        ('reference = "uniform"', 'score = "round-3"', "score: expected one of final"),
        ("seeds = 2", "seeds = 0", "on.embedded.seeds: expected how many"),
        ("seeds = 2", "seeds = [1, 1]", "a seed comes twice"),
        ('bases = ["embedded"]\nseeds = 2', "seeds = 2", "on.embedded.bases: expected a list"),
        ('bases = ["embedded"]', 'bases = ["embedded", "embedded"]', "on.embedded.bases: 'embedded' comes twice"),
        ('sampler = "uniform"', 'sampler = "uniform"\nsamples = 8', "arms differ in samples"),
        ("steps = 3", "steps = 0", "optimiser steps a round are not the same number in all arms (by the data)"),
        ("[settings]", "[settings", "not TOML"),
        ('sampler = "uniform"', 'sampler = "uniform"\ntrainer = { steps = 4 }', "(3, 4)"),
        ('reference = "uniform"', 'reference = ["uniform"]', "reference: expected the name of an arm, got ['uniform']"),
        (
            'reference = "uniform"',
            'score = "round-N"',
            "score: expected one of final, mean, per-100k-tokens, round-N with N",
        ),
        ('reference = "uniform"', 'score = "round-²"', "with N from 1 to 2, got 'round-²'"),
        ('reference = "uniform"', 'score = "round-01"', "with N from 1 to 2, got 'round-01'"),
        ('reference = "uniform"', 'score = ["final"]', "with N from 1 to 2, got ['final']"),
        ('sampler = "uniform"', 'sampler = "uniform"\nseed = 7', "arms.uniform.seed: seeds are the same for all arms"),
        ("rounds = 2", "rounds = 2\nseed = 7", "settings.seed: seeds are the same for all arms"),
        (
            "[settings]",
            "[budget]\nsteps = 4\n[settings]",
            "settings.trainer.steps: 3 contradicts the study's budget of steps, which is 4",
        ),
        (
            'sampler = "uniform"',
            'sampler = "uniform"\nround_tokens = 5000',
            "arms.uniform.round_tokens: 5000 contradicts the study's budget of tokens, which is auto",
        ),
        ("rounds = 2", "rounds = 2\nround-tokens = 5000", "settings.round_tokens: 5000 contradicts the study's budget"),
        (
            'sampler = "uniform"',
            'sampler = "error-weighted"',
            "'uniform' and 'error-weighted' have the same settings on",
        ),
        ('sampler = "uniform"', "", "'uniform' and 'error-weighted' have the same settings"),  # it is the default
        ("[on.embedded]", "[budget]\ntokens = 0\n[on.embedded]", "budget.tokens: expected auto, free or a number"),
    ],
)
def test_what_cannot_run_is_said_before_anything_does(
    tmp_path: Path, study: Path, saidpo: Saidpo, old: str, new: str, message: str
) -> None:
    assert old in STUDY
    study.write_text(STUDY.replace(old, new, 1))
    done = saidpo("study", str(study), cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["where.toml"]


def of_grid(grid: str) -> str:
    """The study with a grid, and other tables behind it, in place of its arms."""
    return f"[grid]\n{grid}\n{STUDY[STUDY.index('[settings]') :]}"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            '"trainer.steps" = [5, 20]\n[budget]\nsteps = 3',
            "arms.trainer.steps=5.trainer.steps: 5 contradicts the study's",
        ),
        ("seed = [5, 20]", "arms.seed=5.seed: seeds are the same for all arms"),
        ("round_tokens = [5000, 20000]", "arms.round_tokens=5000.round_tokens: 5000 contradicts the study's budget"),
        (
            "round_tokens = [5000, 20000]\n[budget]\ntokens = 5000",
            "20000 contradicts the study's budget of tokens, which is 5000",
        ),
        ('"clusterer.k" = [8, 8]', "grid: a value comes twice"),
    ],
)
def test_a_grid_over_what_all_arms_share_is_refused(
    tmp_path: Path, study: Path, saidpo: Saidpo, grid: str, message: str
) -> None:
    study.write_text(of_grid(grid).replace("trainer = { steps = 3, ", "trainer = { "))
    done = saidpo("study", str(study), "--plan", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr


def test_a_budget_that_is_free_or_said_twice_alike_is_heeded(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    study.write_text(of_grid('round_tokens = [5000, 20000]\n[budget]\ntokens = "free"\nsteps = 3'))
    done = saidpo("study", str(study), "--plan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = [line for line in done.stdout.splitlines() if line.startswith("saidpo ")]
    assert ["--round-tokens=5000 " in line for line in runs] == [True, False] * 2
    assert all("--trainer.steps=3 " in line for line in runs)


def test_commands_are_quoted_for_the_shell(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    (tmp_path / "my $policy").mkdir()
    study.write_text(STUDY.replace('bases = ["embedded"]', 'bases = ["my $policy"]', 1))
    done = saidpo("study", str(study), "--plan", "--out=my runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = shlex.split(next(line for line in done.stdout.splitlines() if line.startswith("saidpo ")))
    assert f"--model={tmp_path}/my $policy" in first
    assert "--run-dir=my runs/my--policy/uniform/seed-0" in first


def test_bases_whose_paths_end_alike_are_all_run(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    for name in ("m1", "m2"):
        (tmp_path / name / "final").mkdir(parents=True)
    study.write_text(
        STUDY.replace('bases = ["embedded"]', 'bases = ["m1/final", "org/final", "m2/final", "embedded"]', 1)
    )
    done = saidpo("study", str(study), "--plan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "16 runs: 2 arms, 4 bases, 2 seeds" in done.stdout
    runs = [line for line in done.stdout.splitlines() if line.startswith("saidpo ")]
    models = (f"{tmp_path}/m1/final", "org/final", f"{tmp_path}/m2/final", "embedded")
    assert [sum(f"--model={model} " in line for line in runs) for model in models] == [4, 4, 4, 4]
    folders = ("m1-final", "org-final", "m2-final", "embedded")
    assert [sum(f"--run-dir=runs/where/{name}/" in line for line in runs) for name in folders] == [4, 4, 4, 4]
    study.write_text(STUDY.replace('bases = ["embedded"]', 'bases = ["m1/final", "./m1/../m1/final"]', 1))
    twice = saidpo("study", str(study), "--plan", cwd=tmp_path)
    assert twice.returncode == 2
    assert "bases: './m1/../m1/final' comes twice" in twice.stderr


def test_a_run_whose_record_is_damaged_is_named(tmp_path: Path, study: Path) -> None:
    job = read_study(load_registry(), study, None, tmp_path / "out").jobs[0]
    job.folder.mkdir(parents=True)
    (job.folder / "run.toml").write_text(tomli_w.dumps(job.settings.as_tree()))
    assert not is_complete(job)
    (job.folder / "summary.json").write_text('{"finished": true, "rou')
    with pytest.raises(
        UsageError, match=rf"^{job.folder}/summary\.json cannot be read .*; delete it and give the run's"
    ):
        is_complete(job)


def test_a_place_that_is_not_there(tmp_path: Path, study: Path, saidpo: Saidpo) -> None:
    done = saidpo("study", str(study), "--on=reel", cwd=tmp_path)
    assert done.returncode == 2
    assert "--on=reel" in done.stderr
    assert "Known: embedded, one" in done.stderr
    missing = saidpo("study", "none.toml", cwd=tmp_path)
    assert missing.returncode == 2
    assert "none.toml: no such file" in missing.stderr
