"""Plans of generators and trainers: formulas that keep their promises, and memory that real runs on the CPU take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import GenerationWork, Machine, TrainingWork, UsageError
from saidpo_core.planning.shapes import from_config, known_models, shape_of
from saidpo_core.registry import load_registry
from saidpo_plugins.common.estimates import Training, lora_parameters, training_memory, training_seconds
from saidpo_plugins.generators.planning import plan_transformers, plan_vllm
from saidpo_plugins.generators.transformers import TransformersOptions
from saidpo_plugins.pools.hub_sizes import plan_hub
from saidpo_plugins.trainers.dpo import DPOOptions
from saidpo_plugins.trainers.grpo import GRPOOptions
from saidpo_plugins.trainers.kto import KTOOptions
from saidpo_plugins.trainers.planning import plan_dpo, plan_grpo, plan_kto, plan_sft
from saidpo_plugins.trainers.sft import SFTOptions
from tests.byte_policy import make_byte_policy

ROOT = Path(__file__).parents[2]
SEVEN = from_config(known_models()["Qwen/Qwen2.5-Math-7B"], "seven", "table")
LLAMA = from_config(known_models()["meta-llama/Llama-3.1-8B-Instruct"], "llama", "table")
CARD = Machine(device="card", devices=1, memory=80e9, bandwidth=2e12, flops=3e14)
CPU = Machine(device="cpu", devices=1, memory=16e9, bandwidth=2e10, flops=4e10)
WORK = GenerationWork(responses=4000, prompt_tokens=100.0, longest_prompt=400, samples=8)
PAIRS = TrainingWork(
    pairs=1000, explored=4000, samples=8, prompt_tokens=100.0, longest_prompt=400, response_tokens=800.0,
    longest_response=2048,
)  # fmt: skip


def need(estimate: Any, what: str) -> float:
    return sum(item.bytes for item in estimate.memory if item.what == what)


# Training -------------------------------------------------------------------------------------------------------------


def test_all_weights_of_a_model_take_sixteen_bytes_a_parameter_and_its_working_copy() -> None:
    estimate = plan_dpo(DPOOptions(micro_batch_size=1), SEVEN, CARD, PAIRS)
    kept = need(estimate, "trained weights") + need(estimate, "gradients") + need(estimate, "optimiser (AdamW)")
    assert kept == 16 * SEVEN.parameters
    assert need(estimate, "autocast copies of weights") == 2 * SEVEN.parameters
    assert estimate.checkpoint_bytes == 4 * SEVEN.parameters


def test_adapters_have_the_parameters_that_their_rank_gives_them() -> None:
    assert lora_parameters(LLAMA, 16) == 41_943_040  # as peft counts r=16 on all linear layers of Llama 8B
    how = Training(sequences=2, longest=2448, tokens=1e6, lora_r=16, frozen_bytes=2, arithmetic_bytes=2)
    memory = {item.what: item.bytes for item in training_memory(LLAMA, CARD, how)}
    assert memory["frozen weights"] == 2 * LLAMA.parameters
    assert memory["optimiser (AdamW)"] == 2 * 41_943_040 * 4


@given(
    st.integers(1, 64), st.integers(16, 8192), st.sampled_from([0, 8, 64]), st.booleans(),
    st.sampled_from(["none", "ddp", "fsdp2", "zero3"]), st.sampled_from([2, 4, 8]),
)  # fmt: skip
def test_memory_never_falls_with_more_work_and_never_rises_with_sharding(
    sequences: int, longest: int, rank: int, checkpointing: bool, sharding: Any, devices: int
) -> None:
    how = Training(
        sequences=sequences, longest=longest, tokens=1e6, lora_r=rank, checkpointing=checkpointing,
        sharding=sharding, devices=devices,
    )  # fmt: skip

    def total(how: Training) -> float:
        return sum(item.bytes for item in training_memory(SEVEN, CARD, how))

    assert total(replace(how, sequences=sequences + 1)) >= total(how)
    assert total(replace(how, longest=longest + 1)) >= total(how)
    assert total(replace(how, sharding="fsdp2", devices=2 * devices)) <= total(replace(how, sharding="fsdp2"))
    assert total(replace(how, checkpointing=True)) <= total(replace(how, checkpointing=False))
    assert total(replace(how, lora_r=8, frozen_bytes=2)) < total(replace(how, lora_r=0))
    once, twice = training_seconds(SEVEN, CARD, how)[0], training_seconds(SEVEN, CARD, replace(how, tokens=2e6))[0]
    assert once is not None
    assert twice == pytest.approx(2 * once)


def test_steps_are_those_that_the_trainer_makes() -> None:
    assert plan_dpo(DPOOptions(batch_size=64), SEVEN, CARD, PAIRS).steps == 16
    assert plan_dpo(DPOOptions(batch_size=64, epochs=2), SEVEN, CARD, PAIRS).steps == 32
    assert plan_dpo(DPOOptions(steps=30), SEVEN, CARD, PAIRS).steps == 30
    assert plan_sft(SFTOptions(responses="pairs"), SEVEN, CARD, PAIRS).steps == 16
    assert plan_kto(KTOOptions(), SEVEN, CARD, PAIRS).steps == 125  # four right and four wrong of each
    assert plan_grpo(GRPOOptions(), SEVEN, CARD, PAIRS).steps == 125  # eight groups of eight a step


def test_advice_is_followed_to_where_it_fits() -> None:
    options = DPOOptions(dtype="bfloat16", micro_batch_size=64)
    machine = replace(CARD, memory=80e9)
    refused = plan_dpo(options, SEVEN, machine, PAIRS)
    assert refused.bytes > machine.usable
    assert refused.advice.startswith("--trainer.micro_batch_size=1")
    followed = plan_dpo(replace(options, micro_batch_size=1), SEVEN, machine, PAIRS)
    assert followed.bytes <= machine.usable
    assert followed.advice == ""


# Generation -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vllm:
    """Options as the vLLM generator names them."""

    max_new_tokens: int = 2048
    dtype: str = "auto"
    max_model_len: int | Literal["auto"] = "auto"
    gpu_memory_utilization: float = 0.9
    tensor_parallel_size: int = 1


def test_a_paged_cache_fills_its_share_of_the_device_and_no_more() -> None:
    estimate = plan_vllm(Vllm(), SEVEN, CARD, WORK)
    assert need(estimate, "weights") == 2 * SEVEN.parameters
    assert estimate.bytes <= 0.9 * CARD.memory
    assert estimate.response_limit == 2048
    assert plan_vllm(Vllm(max_new_tokens=8192), SEVEN, CARD, WORK).response_limit == 4096 - 400
    assert plan_vllm(Vllm(max_model_len=1000), SEVEN, CARD, WORK).response_limit == 600


def test_a_model_that_does_not_fit_one_card_is_split() -> None:
    small = replace(CARD, memory=12e9, devices=4)
    refused = plan_vllm(Vllm(), SEVEN, small, WORK)
    assert refused.bytes > small.usable
    assert refused.advice.startswith("--generator.tensor_parallel_size=2 (")
    split = plan_vllm(Vllm(tensor_parallel_size=2), SEVEN, small, WORK)
    assert split.bytes <= small.usable
    assert split.devices == 2
    with pytest.raises(UsageError, match="tensor_parallel_size=8"):
        plan_vllm(Vllm(tensor_parallel_size=8), SEVEN, small, WORK)


def test_more_devices_and_known_lengths_take_less_time() -> None:
    eight = replace(CARD, devices=8)
    alone = plan_vllm(Vllm(), SEVEN, eight, WORK)
    spread = plan_vllm(Vllm(), SEVEN, eight, WORK, everywhere=True)
    known = plan_vllm(Vllm(), SEVEN, eight, replace(WORK, response_tokens=500.0), everywhere=True)
    assert alone.seconds is not None
    assert spread.seconds is not None
    assert known.seconds is not None
    assert alone.seconds > 3 * spread.seconds > 3 * known.seconds
    assert any("upper bound" in note for note in spread.notes)
    assert not any("upper bound" in note for note in known.notes)
    assert plan_vllm(Vllm(), SEVEN, Machine(device="new", devices=1, memory=80e9), WORK).seconds is None


def test_no_more_sequences_run_side_by_side_than_are_asked_at_a_time() -> None:
    plenty = replace(WORK, problems_at_once=256, samples=8)
    few = replace(WORK, problems_at_once=8, samples=8)
    whole, enough, starved = (plan_vllm(Vllm(), SEVEN, CARD, work) for work in (WORK, plenty, few))
    assert enough.seconds == whole.seconds
    assert starved.seconds is not None
    assert whole.seconds is not None
    assert starved.seconds > 1.5 * whole.seconds
    told = "8 problems at a time give each copy of the model 64 sequences"
    assert [any(told in note for note in estimate.notes) for estimate in (enough, starved)] == [False, True]


@given(st.integers(1, 512), st.integers(1, 4096), st.integers(1, 2000))
def test_a_plan_of_transformers_holds_the_cache_of_a_whole_batch(batch: int, limit: int, responses: int) -> None:
    estimate = plan_transformers(
        TransformersOptions(batch_size=batch, max_new_tokens=limit), LLAMA, CARD, replace(WORK, responses=responses)
    )
    expected = 2 * 32 * 8 * 128 * 2 * min(batch, responses) * (400 + limit)
    assert need(estimate, "KV cache") == expected
    assert estimate.response_limit == limit


# Pools ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hub:
    dataset: tuple[str, ...]
    size: int = 0
    held_out: int | float | str = 200


def test_known_datasets_are_counted_and_others_have_to_be_loaded() -> None:
    assert plan_hub(Hub(("gsm8k",))).problems == 7273
    mix = plan_hub(Hub(("gsm8k:1", "math@main:2"), held_out="test"))
    assert (mix.problems, mix.held_out) == (3_750 + 7_500, 1_319 + 5_000)
    assert plan_hub(Hub(("gsm8k", "math"))).problems == 14_773
    assert plan_hub(Hub(("numina-math-1.5",), size=5000, held_out=0.01)).problems == 5000
    for wrong in ((), ("mine.jsonl",), ("gsm8k=folder",), ("some/set",)):
        with pytest.raises(UsageError):
            plan_hub(Hub(wrong))
    for split in ("validation", "test"):
        with pytest.raises(UsageError, match=f"held_out={split}: the size of this split is not known"):
            plan_hub(Hub(("gsm8k", "deepscaler"), held_out=split))


# Real runs ------------------------------------------------------------------------------------------------------------

TOLERANCE = 0.25
"""How far a plan may be from the peak that a real process had, either way."""


def peak(what: str, folder: Path, options: dict[str, Any]) -> float:
    command = [sys.executable, "-m", "tests.plugins.peak_memory", what, str(folder), json.dumps(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def planned(what: str, folder: Path, options: dict[str, Any]) -> float:
    shape, options = shape_of(str(folder), None, None, []), dict(options)
    if what == "generate":
        work = GenerationWork(responses=options.pop("requests"), prompt_tokens=97.0, longest_prompt=97)
        return plan_transformers(TransformersOptions(**options), shape, CPU, work).bytes
    tokens = options.pop("tokens")
    given = TrainingWork(
        pairs=2 * options["batch_size"], explored=9, samples=2, prompt_tokens=96.0, longest_prompt=96,
        response_tokens=tokens, longest_response=tokens,
    )  # fmt: skip
    return plan_dpo(DPOOptions(**options), shape, CPU, given).bytes


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The policy that ships with saidpo, and a random one of 34 million parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = make_byte_policy(tmp_path_factory.mktemp("random") / "policy")
    config = LlamaConfig(
        vocab_size=16_000, hidden_size=512, intermediate_size=1408, num_hidden_layers=6, num_attention_heads=8,
        num_key_value_heads=4, max_position_embeddings=3072, bos_token_id=None, eos_token_id=256, pad_token_id=257,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    shipped = next(item.folder for item in load_registry().policies if item.name == "embedded")
    return {"random": folder, "embedded": shipped}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "what", "options"),
    [
        ("embedded", "generate", {"requests": 256, "max_new_tokens": 64}),
        ("embedded", "train", {"tokens": 96, "batch_size": 32, "micro_batch_size": 32}),
        ("random", "generate", {"requests": 64, "max_new_tokens": 64}),
        ("random", "train", {"tokens": 96, "batch_size": 4, "micro_batch_size": 4}),
        ("random", "train", {"tokens": 96, "batch_size": 4, "micro_batch_size": 4, "gradient_checkpointing": "on"}),
    ],
)
def test_planned_memory_is_what_a_real_run_takes(
    policies: dict[str, Path], policy: str, what: str, options: dict[str, Any]
) -> None:
    expected = planned(what, policies[policy], options)
    # The least of two: when the allocator gives memory back is its own affair, and once it was twice as much.
    taken = min(peak(what, policies[policy], options) for _ in range(2))
    print(f"{policy} {what} {options}: planned {expected / 1e9:.2f} GB, taken {taken / 1e9:.2f} GB")
    assert expected == pytest.approx(taken, rel=TOLERANCE)


def test_ray_gives_each_worker_its_share_of_the_responses_and_needs_what_its_engine_needs() -> None:
    from saidpo_plugins.generators.ray import RayOptions, plan_ray

    eight = replace(CARD, devices=8)
    engine = RayOptions(engine="vllm", max_new_tokens=2048, task=32)
    spread, alone = plan_ray(engine, SEVEN, eight, WORK), plan_vllm(Vllm(), SEVEN, eight, WORK)
    assert (spread.bytes, spread.devices) == (alone.bytes, 8)
    assert spread.seconds is not None
    assert alone.seconds is not None
    assert alone.seconds / 9 < spread.seconds < alone.seconds / 3
    # 64 problems are 8 tasks of 8: of 16 workers, 8 wait.
    sixteen = plan_ray(
        replace(engine, task=8), SEVEN, replace(CARD, devices=16), replace(WORK, problems_at_once=64, samples=8)
    )
    assert any("64 problems has 8 tasks, so 8 of them wait" in note for note in sixteen.notes)
    assert sixteen.seconds is not None
    enough = replace(WORK, problems_at_once=1024, samples=8)
    busy = plan_ray(engine, SEVEN, replace(CARD, devices=16), enough)
    assert not any("wait" in note for note in busy.notes)
    assert busy.seconds is not None
    assert sixteen.seconds > 2 * busy.seconds
    pairs = plan_ray(replace(engine, gpus=2, engine_options=("tensor_parallel_size=2",)), SEVEN, eight, WORK)
    assert need(pairs, "weights") == SEVEN.parameters
    assert pairs.devices == 8
    with pytest.raises(UsageError, match="says nothing of what it needs"):
        plan_ray(RayOptions(engine="openai"), SEVEN, eight, WORK)
    with pytest.raises(UsageError, match=r"--generator\.gpus=16"):
        plan_ray(replace(engine, gpus=16), SEVEN, eight, WORK)


@pytest.mark.parametrize("change", [{"launch": "fsdp2"}, {"lora_r": 16, "qlora": True}, {"lora_r": 64}])
def test_what_does_not_fit_one_card_is_sharded_or_adapted(change: dict[str, Any]) -> None:
    machine = replace(CARD, devices=8)
    options = DPOOptions(micro_batch_size=1, launch="none")
    assert plan_dpo(options, SEVEN, machine, PAIRS).bytes > machine.usable
    assert plan_dpo(replace(options, **change), SEVEN, machine, PAIRS).bytes < machine.usable
    auto = plan_dpo(replace(options, launch="auto"), SEVEN, machine, PAIRS)
    assert auto.bytes < machine.usable
    assert "spread: fsdp2 over 8 device(s)" in auto.notes


def test_where_only_more_devices_help_that_is_the_advice() -> None:
    refused = plan_dpo(DPOOptions(batch_size=64), replace(SEVEN, parameters=70_000_000_000), CARD, PAIRS)
    assert "such devices with --trainer.micro_batch_size=1 --trainer.launch=fsdp2" in refused.advice
