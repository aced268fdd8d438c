"""Training on a GPU: precision, adapters, shards on one device, and what each takes of its memory.

    pytest -n 0 -s tests/gpu/test_training_gpu.py

The policy is a Llama of about 25 million parameters with random weights, made here. ``-s`` shows the figures.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from saidpo_core import Pair, Response, TrainingReport
from saidpo_plugins.trainers.launch import parameters_in, training_bytes
from tests.plugins.trainer_jobs import KINDS, POLICY, TEXTS, make_job, prompt_ids, respond

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
QUICK: dict[str, Any] = {"batch_size": 8, "micro_batch_size": 4, "steps": 3, "lr": 1e-5, "warmup": 0.0}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=512, intermediate_size=1536, num_hidden_layers=8,
        num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pairs(repeats: int = 4) -> tuple[Pair, ...]:
    def repeated(text: str, times: int) -> Response:
        return respond("\n".join([text] * times))

    return tuple(
        Pair(
            problem_id=question,
            prompt_ids=prompt_ids(question),
            chosen=repeated(right, times),
            rejected=repeated(wrong, times + 1),
        )
        for times in range(1, repeats + 1)
        for question, right, wrong in TEXTS
    )


@pytest.fixture
def trained(policy: Path, tmp_path: Path) -> Callable[..., tuple[Path, TrainingReport]]:
    """Trains ``dpo`` into a folder of that name, and prints seconds and the most memory that tensors took."""

    def train(name: str, **options: Any) -> tuple[Path, TrainingReport]:
        build, make_options = KINDS["dpo"]
        job = make_job(tmp_path / name, policy=policy, initial_policy=policy, pairs=pairs(), attempts=(), problems={})
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        report = build(make_options(**{**QUICK, **options})).train(job)
        seconds, peak = time.perf_counter() - started, torch.cuda.max_memory_allocated() / 2**20
        print(f"\n{name:12} {seconds:6.1f} s  {peak:8.0f} MiB  loss {report.metrics['loss_last']:.4f}")
        return tmp_path / name, report

    return train


def difference(one: Path, two: Path) -> float:
    first, second = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    return max(float((first[key].float() - second[key].float()).abs().max()) for key in first)


def test_mixed_precision_is_the_default_and_keeps_whole_weights(
    trained: Callable[..., tuple[Path, TrainingReport]],
) -> None:
    auto, report = trained("auto")
    mixed, _ = trained("mixed", dtype="mixed")
    full, _ = trained("float32", dtype="float32")
    assert {tensor.dtype for tensor in load_file(auto / "model.safetensors").values()} == {torch.float32}
    assert difference(auto, mixed) <= difference(auto, full)
    assert report.metrics["loss_last"] < 0.6932


def test_the_same_job_gives_the_same_bits(trained: Callable[..., tuple[Path, TrainingReport]]) -> None:
    first, _ = trained("first")
    second, _ = trained("second")
    assert difference(first, second) == 0


def test_weights_in_bfloat16_take_half_the_memory_of_optimiser_and_weights(
    policy: Path, trained: Callable[..., tuple[Path, TrainingReport]]
) -> None:
    _, make_options = KINDS["dpo"]
    peaks = {}
    for dtype in ("mixed", "bfloat16"):
        trained(dtype, dtype=dtype, micro_batch_size=1)
        peaks[dtype] = torch.cuda.max_memory_allocated()
        assert (
            peaks[dtype] >= training_bytes(make_options(dtype=dtype), policy) * 0.75
        )  # the formula promises too little
    saved = 8 * parameters_in(policy)
    assert peaks["mixed"] - peaks["bfloat16"] == pytest.approx(saved, rel=0.35)


def test_adapters_take_the_memory_of_the_weights_and_are_merged(
    policy: Path, trained: Callable[..., tuple[Path, TrainingReport]]
) -> None:
    pytest.importorskip("peft")
    whole, _ = trained("whole", micro_batch_size=1)
    whole_peak = torch.cuda.max_memory_allocated()
    folder, report = trained("lora", lora_r=8, lr=1e-3, micro_batch_size=1)
    assert torch.cuda.max_memory_allocated() < 0.6 * whole_peak
    assert report.metrics["loss_first"] == pytest.approx(0.6931, abs=1e-3)
    assert load_file(folder / "model.safetensors").keys() == load_file(whole / "model.safetensors").keys()
    assert difference(folder, policy) > 0
    AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs the extra [qlora]")
def test_adapters_on_weights_in_4_bits_are_merged_into_whole_weights(
    policy: Path, trained: Callable[..., tuple[Path, TrainingReport]]
) -> None:
    folder, report = trained("qlora", qlora=True, lora_r=8, lr=1e-3)
    assert report.metrics["loss_last"] < report.metrics["loss_first"]
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.float32}
    assert difference(folder, policy) < 0.1  # of 4 bits there is nothing in it


@pytest.mark.skipif(importlib.util.find_spec("liger_kernel") is None, reason="needs the extra [liger]")
def test_ligers_kernels_change_no_more_than_rounding(trained: Callable[..., tuple[Path, TrainingReport]]) -> None:
    plain, _ = trained("plain")
    liger, _ = trained("liger", liger=True)
    assert difference(plain, liger) <= 2 * 3 * QUICK["lr"]


@pytest.mark.parametrize("mode", ["fsdp2", "zero3"])
def test_shards_on_one_device_train_as_one_process(
    mode: str, trained: Callable[..., tuple[Path, TrainingReport]]
) -> None:
    """Three steps move a weight by 3e-5 at most; bfloat16 arithmetic may turn some of them the other way."""
    if mode == "zero3":
        pytest.importorskip("deepspeed", reason="needs the extra [deepspeed]")
    alone, first = trained("alone", launch="none")
    shards, second = trained(mode, launch=mode, processes=1)
    assert {tensor.dtype for tensor in load_file(shards / "model.safetensors").values()} == {torch.float32}
    assert second.metrics["loss_last"] == pytest.approx(first.metrics["loss_last"], abs=5e-3)
    assert difference(alone, shards) <= 2 * 3 * QUICK["lr"]


def test_memory_is_free_when_training_is_over(trained: Callable[..., tuple[Path, TrainingReport]]) -> None:
    trained("warm")
    before = torch.cuda.memory_allocated()
    trained("again")
    assert torch.cuda.memory_allocated() <= before
