"""What the trainers do to train larger models: accumulation, adapters, precision, and references at the least cost."""

from __future__ import annotations

import importlib.util
import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from saidpo_core import Pair, Response, SaidpoError, TrainingJob, UsageError
from saidpo_core.options import build_options
from saidpo_core.run_dir import sha256
from saidpo_plugins.trainers.dpo import DPO, DPOOptions
from saidpo_plugins.trainers.grpo import GRPOOptions
from saidpo_plugins.trainers.launch import parameters_in, plan_for, training_bytes
from saidpo_plugins.trainers.sft import SFTOptions
from saidpo_plugins.trainers.within_round import last_whole
from tests.plugins.trainer_jobs import POLICY, TEXTS, make_job, prompt_ids, respond, train, watch_models, weights


def uneven_pairs() -> list[Pair]:
    """Seven pairs, of quite different lengths: no batch size divides them."""
    texts = [*TEXTS, *((question, right.split("\n")[-1], f"{wrong}\n{wrong}") for question, right, wrong in TEXTS[:3])]
    return [
        Pair(problem_id=question, prompt_ids=prompt_ids(question), chosen=respond(right), rejected=respond(wrong))
        for question, right, wrong in texts
    ]


def uneven_job(out: Path, **fields: Any) -> TrainingJob:
    return make_job(out, **{"pairs": tuple(uneven_pairs()), "seed": 3, **fields})


def same(one: Path, two: Path, atol: float = 1e-5) -> bool:
    first, second = weights(one), weights(two)
    return all(torch.allclose(first[key], second[key], atol=atol) for key in first)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "sft"])
def test_micro_batches_and_grouping_change_no_more_than_rounding(kind: str, tmp_path: Path) -> None:
    """Also in the last step of a pass, which has fewer examples, and for the log-likelihood term, a mean of tokens."""
    extra = {"nll": 0.5} if kind == "dpo" else {"responses": "pairs", "per_problem": 0}
    common = {"steps": 4, "batch_size": 4, **extra}
    train(kind, uneven_job(tmp_path / "whole"), micro_batch_size=4, **common)
    for micro in (1, 2):
        train(kind, uneven_job(tmp_path / f"micro-{micro}"), micro_batch_size=micro, **common)
        assert same(tmp_path / "whole", tmp_path / f"micro-{micro}")
    moved = [(weights(tmp_path / "whole")[key] - old).abs().max() for key, old in weights(POLICY).items()]
    assert max(moved) > 2e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "sft"])
def test_a_step_of_one_micro_batch_is_trls_to_the_bit(kind: str, tmp_path: Path) -> None:
    for name, grouping in (("ours", True), ("trl", False)):
        job = make_job(tmp_path / name, seed=3)
        train(kind, job, steps=3, batch_size=2, micro_batch_size=2, length_grouping=grouping, **(
            {"reference_logprobs": "compute"} if kind == "dpo" else {}))  # fmt: skip
    if kind == "sft":  # the reference of dpo is computed in other batches
        assert sha256(tmp_path / "ours" / "model.safetensors") == sha256(tmp_path / "trl" / "model.safetensors")
    assert same(tmp_path / "ours", tmp_path / "trl", atol=2e-6)


def sampled(pair: Pair, off: float = 0.0) -> Pair:
    """The pair as the policy would have sampled it: with its log-probabilities, wrong by ``off`` nats a response."""
    model = AutoModelForCausalLM.from_pretrained(POLICY)

    def known(response: Response) -> Response:
        ids = torch.tensor([[*pair.prompt_ids, *response.token_ids]])
        with torch.inference_mode():
            logps = torch.log_softmax(model(input_ids=ids).logits[0, len(pair.prompt_ids) - 1 : -1], -1)
        own = logps.gather(1, torch.tensor(response.token_ids)[:, None])[:, 0]
        return replace(response, logprobs=tuple((own + off / len(own)).tolist()))

    return replace(pair, chosen=known(pair.chosen), rejected=known(pair.rejected))


def test_the_rollouts_log_probabilities_are_the_reference_if_they_are_its_own(tmp_path: Path) -> None:
    pairs = tuple(sampled(pair) for pair in uneven_pairs())
    computed = train("dpo", uneven_job(tmp_path / "computed", pairs=pairs), reference_logprobs="compute")
    reused = train("dpo", uneven_job(tmp_path / "reused", pairs=pairs))
    assert (computed.metrics["reference_reused"], reused.metrics["reference_reused"]) == (0, 1)
    assert reused.metrics["reference_gap"] < 1e-3
    assert same(tmp_path / "computed", tmp_path / "reused")


@pytest.mark.slow
def test_stale_log_probabilities_are_not_reused(tmp_path: Path) -> None:
    stale = tuple(sampled(pair, off=0.5) for pair in uneven_pairs())
    computed = train("dpo", uneven_job(tmp_path / "computed", pairs=stale), reference_logprobs="compute")
    auto = train("dpo", uneven_job(tmp_path / "auto", pairs=stale))
    assert auto.metrics["reference_reused"] == 0
    assert auto.metrics["reference_gap"] == pytest.approx(0.5, abs=0.01)
    assert auto.metrics["loss_last"] == computed.metrics["loss_last"]
    with pytest.raises(SaidpoError, match=r"differ by 0.5 nats a response, 0.1 at most .*reference_logprobs=auto"):
        train("dpo", uneven_job(tmp_path / "rollouts", pairs=stale), reference_logprobs="rollouts")


@pytest.mark.slow
def test_the_first_policy_as_reference_is_never_taken_from_the_rollouts(tmp_path: Path) -> None:
    pairs = tuple(sampled(pair) for pair in uneven_pairs())
    train("dpo", uneven_job(tmp_path / "round-1", pairs=pairs))
    report = train("dpo", uneven_job(tmp_path / "2", pairs=pairs, policy=tmp_path / "round-1"), reference="initial")
    assert report.metrics["reference_reused"] == 0
    assert report.metrics["loss_first"] < math.log(2) - 0.01
    with pytest.raises(UsageError, match=r"reference_logprobs=rollouts needs --trainer.reference=previous"):
        build_options(DPOOptions, {"reference": "initial", "reference_logprobs": "rollouts"}, dict.fromkeys(
            ("reference", "reference_logprobs"), ""))  # fmt: skip


@pytest.mark.slow
def test_reusing_asks_the_reference_about_a_few_pairs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trl

    asked: list[int] = []
    ask = trl.DPOTrainer.compute_ref_log_probs

    def spy(self: Any, model: Any, inputs: Any) -> Any:
        asked.append(len(inputs["input_ids"]))
        return ask(self, model, inputs)

    monkeypatch.setattr(trl.DPOTrainer, "compute_ref_log_probs", spy)
    pairs = tuple(sampled(pair) for pair in uneven_pairs()) * 10
    train("dpo", uneven_job(tmp_path / "new", pairs=pairs), steps=1)
    assert 0 < sum(asked) <= 2 * 16
    asked.clear()
    train("dpo", uneven_job(tmp_path / "all", pairs=pairs), steps=1, reference_logprobs="compute")
    assert sum(asked) == 2 * len(pairs)


@pytest.mark.parametrize(
    "kind", ["dpo", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("sft", "kto", "grpo"))]
)
def test_adapters_are_merged_into_a_whole_policy(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    from saidpo_plugins.trainers import saving

    ids = torch.tensor([[*prompt_ids(TEXTS[0][0]), *respond(TEXTS[0][1]).token_ids]])
    adapted: list[Any] = []
    save = saving.save_policy

    def spy(trainer: Any, *args: Any) -> None:
        trainer.model.eval()
        with torch.inference_mode():
            adapted.append(trainer.model(input_ids=ids).logits)
        save(trainer, *args)

    monkeypatch.setattr(saving, "save_policy", spy)
    models = watch_models(monkeypatch)
    job = make_job(tmp_path / "new")
    report = train(kind, job, lora_r=4, lr=1e-2, steps=2)
    with torch.inference_mode():
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "new")(input_ids=ids).logits
        before = AutoModelForCausalLM.from_pretrained(POLICY)(input_ids=ids).logits
    assert torch.allclose(merged, adapted[0], atol=1e-4)
    assert (merged - before).abs().max() > 0.05
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip
    assert len(models) == 1  # the reference is this one without its adapters
    if kind == "dpo":
        assert report.metrics["loss_first"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.slow
def test_adapters_leave_what_is_not_linear_alone_and_are_the_same_twice(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    for name in "ab":
        train("dpo", make_job(tmp_path / name), lora_r=4, lr=1e-2, steps=2)
    assert sha256(tmp_path / "a" / "model.safetensors") == sha256(tmp_path / "b" / "model.safetensors")
    old, new = load_file(POLICY / "model.safetensors"), load_file(tmp_path / "a" / "model.safetensors")
    changed = {key for key in old if not torch.equal(old[key], new[key])}
    assert changed == {key for key in old if key.endswith("_proj.weight")}


@pytest.mark.slow
def test_mixed_precision_keeps_whole_weights(tmp_path: Path) -> None:
    """bfloat16 arithmetic on float32 weights: small steps are not rounded away."""
    train("sft", make_job(tmp_path / "mixed"), lr=5e-7, dtype="mixed")
    train("sft", make_job(tmp_path / "float32"), lr=5e-7, dtype="float32")
    old = load_file(POLICY / "model.safetensors")
    mixed, full = (load_file(tmp_path / name / "model.safetensors") for name in ("mixed", "float32"))
    assert all(tensor.dtype == torch.float32 for tensor in mixed.values())
    changed = sum(int((old[key] != mixed[key]).sum()) for key in old) / sum(tensor.numel() for tensor in old.values())
    assert changed > 0.8
    assert any(not torch.equal(mixed[key], full[key]) for key in old)  # the arithmetic was another


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"qlora": True, "lora_r": 8}, "--trainer.qlora needs a CUDA device"),
        ({"liger": True}, "--trainer.liger needs a CUDA device"),
        ({"launch": "fsdp2"}, "--trainer.launch=fsdp2 needs a CUDA device"),
        ({"launch": "zero3"}, "--trainer.launch=zero3 needs a CUDA device"),
    ],
)
def test_what_needs_a_gpu_is_refused_without_one(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=message):
        DPO(DPOOptions(**options))


def test_a_missing_package_is_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "saidpo_plugins.trainers.requirements.find_spec", lambda name: None if name == "peft" else find(name)
    )
    with pytest.raises(UsageError, match=r"--trainer.lora_r needs the package peft: pip install 'saidpo\[peft\]'"):
        DPO(DPOOptions(lora_r=8))


def test_quantised_weights_cannot_be_trained_themselves() -> None:
    with pytest.raises(UsageError, match=r"--trainer.qlora needs --trainer.lora_r"):
        build_options(SFTOptions, {"qlora": True}, {"qlora": ""})


def devices(monkeypatch: pytest.MonkeyPatch, count: int, memory: int) -> None:
    """As if this machine had so many CUDA devices, with so many bytes each."""
    properties = type("Properties", (), {"total_memory": memory})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)


def test_several_devices_are_used_in_shards_only_if_they_must(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = parameters_in(POLICY)
    assert parameters == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(POLICY).parameters())
    whole = training_bytes(DPOOptions(), POLICY)
    assert whole == 16 * parameters
    devices(monkeypatch, 1, whole // 2)
    assert plan_for(DPOOptions(), POLICY) is None
    devices(monkeypatch, 4, 2 * whole)
    plan = plan_for(DPOOptions(), POLICY)
    assert plan is not None
    assert (plan.config.name, plan.processes) == ("ddp.yaml", 4)
    devices(monkeypatch, 4, whole)
    plan = plan_for(DPOOptions(), POLICY)
    assert plan is not None
    assert plan.config.name == "fsdp2.yaml"
    plan = plan_for(DPOOptions(dtype="bfloat16", processes=2), POLICY)
    assert plan is not None
    assert (plan.config.name, plan.processes) == ("ddp.yaml", 2)
    assert plan_for(DPOOptions(launch="none"), POLICY) is None
    with pytest.raises(UsageError, match=r"--trainer.processes=5: this machine has 4 CUDA device"):
        plan_for(DPOOptions(processes=5), POLICY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file; expected auto, none, ddp, fsdp2, zero3 or a file"),
        ("{not yaml", "not a config file of accelerate"),
        (
            "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nnum_machines: 2\n",
            "num_machines must be 1",
        ),
    ],
)
def test_a_config_file_that_cannot_be_used_is_named(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=rf"--trainer.launch={file}: .*{message}"):
        plan_for(DPOOptions(launch=file), POLICY)


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero3"])
def test_the_shipped_config_files_are_ones_of_accelerate(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    import saidpo_plugins.trainers.launch as launch

    config = load_config_from_file(str(Path(launch.__file__).with_name(f"{name}.yaml")))
    assert config.distributed_type == {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}[name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "sft", "kto"])
def test_a_training_that_is_stopped_goes_on_to_the_same_bits(kind: str, tmp_path: Path) -> None:
    """Within a pass over the data, with accumulation."""
    common = {"steps": 7, "batch_size": 2, "micro_batch_size": 2 if kind == "kto" else 1, "scheduler": "cosine"}

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    train(kind, uneven_job(tmp_path / "whole"), **common)
    with pytest.raises(KeyboardInterrupt):
        train(kind, uneven_job(tmp_path / "new", progress=stop), save_every=2, **common)
    shutil.rmtree(tmp_path / "new")  # as the loop does
    told: list[int] = []
    report = train(
        kind, uneven_job(tmp_path / "new", progress=lambda done, total: told.append(done)), save_every=2, **common
    )
    assert told == [5, 6, 7]
    assert report.steps == 7
    assert sha256(tmp_path / "whole" / "model.safetensors") == sha256(tmp_path / "new" / "model.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "new"}


@pytest.mark.slow
def test_a_training_that_is_stopped_while_it_removes_a_checkpoint_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = {"steps": 7, "batch_size": 2, "micro_batch_size": 1, "scheduler": "cosine"}

    def stop_amid(folder: Path) -> None:
        (folder / "optimizer.pt").unlink()
        raise KeyboardInterrupt

    train("dpo", uneven_job(tmp_path / "whole"), **common)
    with monkeypatch.context() as patched:
        patched.setattr("saidpo_plugins.trainers.within_round.shutil", SimpleNamespace(rmtree=stop_amid))
        with pytest.raises(KeyboardInterrupt):
            train("dpo", uneven_job(tmp_path / "new"), save_every=2, **common)
    steps = tmp_path / "new.steps"
    assert {path.name for path in steps.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-4"}
    assert last_whole(steps, 1) == steps / "checkpoint-4"
    shutil.rmtree(tmp_path / "new")
    told: list[int] = []
    train("dpo", uneven_job(tmp_path / "new", progress=lambda done, total: told.append(done)), save_every=2, **common)
    assert told == [5, 6, 7]
    assert sha256(tmp_path / "whole" / "model.safetensors") == sha256(tmp_path / "new" / "model.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "new"}


def test_a_checkpoint_that_was_being_written_is_none(tmp_path: Path) -> None:
    for name, marks in (("checkpoint-9", 1), ("checkpoint-10", 2), ("checkpoint-11", 1)):
        (tmp_path / name).mkdir()
        for rank in range(marks):
            (tmp_path / name / f"whole-{rank}").touch()
    assert last_whole(tmp_path, 2) == tmp_path / "checkpoint-10"
    assert last_whole(tmp_path, 1) == tmp_path / "checkpoint-11"
    assert last_whole(tmp_path, 3) is None
    assert last_whole(tmp_path / "nothing", 1) is None


def test_grpo_does_not_go_on_from_a_step() -> None:
    with pytest.raises(UsageError, match=r"--trainer.save_every is not for grpo"):
        build_options(GRPOOptions, {"save_every": 5}, {"save_every": ""})
