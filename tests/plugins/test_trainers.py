"""What every trainer promises, each with the real TRL on the embedded policy."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from saidpo_core.run_dir import sha256
from tests.plugins.trainer_jobs import KINDS, POLICY, TEXTS, attempts_at, make_job, train, watch_models, weights

every_trainer = pytest.mark.parametrize("kind", KINDS)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


@every_trainer
def test_the_same_job_gives_the_same_bits_whatever_the_random_state(kind: str, tmp_path: Path) -> None:
    small = {"steps": 2, "batch_size": 8 if kind == "grpo" else 2, "micro_batch_size": 2}
    digests = []
    for name, state, seed in (("a", 1, 3), ("b", 2, 3), ("c", 1, 4)):
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)
        train(kind, make_job(tmp_path / name, seed=seed), **small)
        digests.append(sha256(tmp_path / name / "model.safetensors"))
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@every_trainer
def test_it_leaves_nothing_but_the_new_policy(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No random state, no memory, no old policy, no folder, no screen and no server tells that there was a training."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("datasets.fingerprint._TEMP_DIR_FOR_TEMP_CACHE_FILES", None)
    monkeypatch.delenv("CI", raising=False)
    told: list[str] = []
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *args, **kwargs: told.append("telemetry"))
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[union-attr]
    policy = contents(POLICY)
    models = watch_models(monkeypatch)
    train(kind, make_job(tmp_path / "new"))
    assert [model() for model in models] == [None]
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[union-attr]
    assert after == before
    assert contents(POLICY) == policy
    assert list(temporary.rglob("*")) == []
    assert told == []
    assert capfd.readouterr() == ("", "")
    assert set(contents(tmp_path / "new")) == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip


@every_trainer
def test_one_problem_is_enough(kind: str, tmp_path: Path) -> None:
    question, right, wrong = TEXTS[0]
    report = train(kind, make_job(tmp_path / "new", [attempts_at(question, [right], [wrong])]), steps=2)
    assert report.steps == 2


@every_trainer
def test_progress_is_told_after_every_step_up_to_the_last(kind: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    train(kind, make_job(tmp_path / "new", progress=lambda done, total: told.append((done, total))), steps=3)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_weights_are_kept_in_full_precision_unless_asked(tmp_path: Path) -> None:
    """The rate for real models is too small for the 8 bits of a bfloat16 weight."""
    moved = {}
    for dtype in ("auto", "bfloat16"):
        train("sft", make_job(tmp_path / dtype), lr=5e-7, dtype=dtype)
        old, new = load_file(POLICY / "model.safetensors"), load_file(tmp_path / dtype / "model.safetensors")
        changed = sum(int((old[key].to(new[key].dtype) != new[key]).sum()) for key in new)
        moved[dtype] = changed / sum(tensor.numel() for tensor in new.values())
    assert moved["auto"] > 0.8
    assert moved["bfloat16"] < 0.02


@pytest.mark.parametrize("warmup", [0.1, 1.0])
def test_warming_up_leaves_a_step_to_train_in(warmup: float, tmp_path: Path) -> None:
    """A schedule that starts at a rate of 0 would waste the only step of a round with few pairs."""
    train("sft", make_job(tmp_path / "new"), steps=1, warmup=warmup, scheduler="cosine")
    assert sha256(tmp_path / "new" / "model.safetensors") != sha256(POLICY / "model.safetensors")


@pytest.mark.slow
@every_trainer
def test_gradient_checkpointing_changes_nothing_but_memory(kind: str, tmp_path: Path) -> None:
    train(kind, make_job(tmp_path / "off"), steps=1, gradient_checkpointing="off")
    train(kind, make_job(tmp_path / "on"), steps=1, gradient_checkpointing="on")
    off, on = weights(tmp_path / "off"), weights(tmp_path / "on")
    assert all(torch.allclose(off[key], on[key], atol=1e-6) for key in off)
