"""Training in several processes by the real ``accelerate launch``: the weights of one, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import saidpo_plugins.trainers.launch as launch
from saidpo_core import SaidpoError, TrainingJob, UsageError
from saidpo_plugins.trainers.launch import Plan
from saidpo_plugins.trainers.launch.folder import read_job, write_job
from saidpo_plugins.trainers.launch.supervise import run_workers
from tests.plugins.sharded_on_cpu import ShardedDPO
from tests.plugins.test_trainer_scale import uneven_job
from tests.plugins.trainer_jobs import KINDS, POLICY, QUICK, SaysVerifier, make_job, train, weights

TOLERANCE = 2e-6
"""Of a weight, after four steps that each move it by up to 1e-4: sums are taken in another order."""
COMMON: dict[str, Any] = {"steps": 4, "batch_size": 4, "micro_batch_size": 1, "lr": 1e-4}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Whatever happens, no process with this folder in its command is left, and nothing in the temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="saidpo-t-"))  # a socket's name has to be short
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    deadline = time.monotonic() + 20
    while (left := workers_of(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
    assert not list(folder.glob("saidpo-train-*"))
    shutil.rmtree(folder)


def workers_of(folder: Path) -> list[int]:
    """Processes whose command names ``folder``: launcher and workers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(folder).encode() in part for part in command) and b"--module" in command + [b"--module"] * (
            b"saidpo_plugins.trainers.launch.worker" in command
        ):
            found.append(int(process.name))
    return found


def largest_difference(one: Path, two: Path) -> float:
    first, second = weights(one), weights(two)
    return max(float((first[key] - second[key]).abs().max()) for key in first)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "extra"), [("dpo", {"nll": 0.5}), ("sft", {"responses": "pairs", "per_problem": 0})])
def test_two_processes_train_as_one(kind: str, extra: dict[str, Any], tmp_path: Path) -> None:
    """Seven examples in steps of four: the last of a pass is no multiple of what two processes take."""
    told: list[tuple[int, int]] = []
    one = train(kind, uneven_job(tmp_path / "one"), **{**COMMON, **extra})
    job = uneven_job(tmp_path / "two", progress=lambda done, total: told.append((done, total)))
    two = train(kind, job, launch="ddp", processes=2, **{**COMMON, **extra})
    assert largest_difference(tmp_path / "one", tmp_path / "two") <= TOLERANCE
    assert largest_difference(POLICY, tmp_path / "two") > 2e-4
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert two.metrics["loss_last"] == pytest.approx(one.metrics["loss_last"], abs=1e-4)
    assert {path.name for path in (tmp_path / "one").iterdir()} == {path.name for path in (tmp_path / "two").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "extra"), [("fsdp2", {}), ("zero3", {}), ("fsdp2", {"lora_r": 4})])
def test_shards_train_as_one_process(mode: str, extra: dict[str, Any], tmp_path: Path) -> None:
    """FSDP2 and ZeRO-3 for real, over gloo; the policy comes out whole."""
    if mode == "zero3":
        pytest.importorskip("deepspeed", reason="needs the extra [deepspeed]")
    if extra:
        pytest.importorskip("peft", reason="needs the extra [peft]")
    options = {"warmup": 0.0, "scheduler": "constant", **COMMON, **extra}
    train("dpo", uneven_job(tmp_path / "one"), **options)
    job = replace(uneven_job(tmp_path / "shards"), attempts=(), problems={})
    plan = Plan(Path(launch.__file__).with_name(f"{mode}.yaml"), 2, cpu=True)
    report = run_workers(plan, ShardedDPO(KINDS["dpo"][1](**options)), job)
    assert report.metrics["sharded"] == 1
    assert largest_difference(tmp_path / "one", tmp_path / "shards") <= TOLERANCE
    assert largest_difference(POLICY, tmp_path / "shards") > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fsdp2", "zero3"])
def test_shards_in_mixed_precision_round_neither_weights_nor_log_probabilities(mode: str, tmp_path: Path) -> None:
    """DeepSpeed would begin at weights rounded to bfloat16, and accelerate's FSDP2 round log-probabilities."""
    if mode == "zero3":
        pytest.importorskip("deepspeed", reason="needs the extra [deepspeed]")
    options = {"warmup": 0.0, "scheduler": "constant", **COMMON, "dtype": "mixed"}
    job = replace(uneven_job(tmp_path / "shards"), attempts=(), problems={})
    plan = Plan(Path(launch.__file__).with_name(f"{mode}.yaml"), 2, cpu=True)
    report = run_workers(plan, ShardedDPO(KINDS["dpo"][1](**options)), job)
    assert largest_difference(POLICY, tmp_path / "shards") <= 1.05 * options["steps"] * options["lr"]
    gap = report.metrics["reference_gap"]
    assert float(torch.tensor(gap).bfloat16()) != gap


@pytest.mark.slow
def test_grpo_asks_the_runs_own_verifier_from_every_process(tmp_path: Path) -> None:
    verifier = SaysVerifier(lambda problem, text: "right" if text.endswith(problem.answer) else "wrong")
    job = make_job(tmp_path / "new", verifier=verifier)
    report = train("grpo", job, launch="ddp", processes=2, steps=2)
    assert len(verifier.asked) == 2 * QUICK["grpo"]["batch_size"]
    assert {id for id, _ in verifier.asked} <= set(job.problems)
    right = sum(text.endswith(job.problems[id].answer) for id, text in verifier.asked[-16:])
    assert report.metrics["reward_last"] == pytest.approx(right / 16)
    assert report.generated_tokens > 0


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_as_if_it_were_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--trainer.batch_size=3 must be a multiple of the 2 processes"):
        train("dpo", make_job(tmp_path / "new"), launch="ddp", processes=2, batch_size=3)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_training_with_one_message(tmp_path: Path) -> None:
    def kill_one(done: int, total: int) -> None:
        if done == 2:
            _launcher, *workers = sorted(workers_of(tmp_path))
            os.kill(workers[-1], signal.SIGKILL)

    job = make_job(tmp_path / "new", progress=kill_one)
    with pytest.raises(SaidpoError, match=r"training by ddp.yaml failed: worker [01] ended"):
        train("dpo", job, launch="ddp", processes=2, steps=5000)


_RUN = """
import json, sys
from pathlib import Path
from tests.plugins.trainer_jobs import make_job, train
job = make_job(Path(sys.argv[1]), progress=lambda done, total: print(done, flush=True))
train("dpo", job, launch="ddp", processes=2, steps=5000)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_takes_its_workers_along(tmp_path: Path, temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _RUN, str(tmp_path / "new")], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline().strip() == b"1"
        assert len(workers_of(tmp_path)) >= 3
        run.kill()
    deadline = time.monotonic() + 15
    while workers_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers_of(tmp_path) == []


def test_a_job_is_the_same_when_a_worker_reads_it(tmp_path: Path) -> None:
    job = uneven_job(tmp_path / "out")
    for kind, (build, make_options) in KINDS.items():
        trainer = build(make_options(steps=7, launch="ddp", processes=2))
        folder = tmp_path / kind
        folder.mkdir()
        write_job(folder, trainer, job)
        json.loads((folder / "job.json").read_text())
        again, read = read_job(folder, job.verifier, job.progress)
        assert again.options == replace(trainer.options, launch="none", processes=1)
        assert read == TrainingJob(**{**vars(job), "out": job.out.absolute()})


def test_one_process_needs_no_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    train("sft", make_job(tmp_path / "new"), launch="ddp", processes=1, steps=1)
    assert not torch.distributed.is_initialized()
