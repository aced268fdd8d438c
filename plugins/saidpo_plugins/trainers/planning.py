"""What trainers need of a device and how long they take, for ``saidpo --dry-run``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from saidpo_core import Machine, ModelShape, TrainingEstimate, TrainingWork
from saidpo_plugins.common.estimates import (
    Decoding,
    Sharding,
    Training,
    decoding_seconds,
    gb,
    speed_notes,
    training_memory,
    training_seconds,
)

if TYPE_CHECKING:
    from saidpo_plugins.trainers.dpo import DPOOptions
    from saidpo_plugins.trainers.grpo import GRPOOptions
    from saidpo_plugins.trainers.responses import ResponseOptions
    from saidpo_plugins.trainers.trl_options import TRLOptions

    T = TypeVar("T", bound=TRLOptions)

_QLORA_BYTES = 0.55
"""Of a linear map's parameter in 4 bits with its scales."""
_MORE_DEVICES = (2, 4, 8, 16, 32)


def plan_dpo(options: DPOOptions, model: ModelShape, machine: Machine, work: TrainingWork) -> TrainingEstimate:
    """Two sequences a pair; each passes once through the reference."""
    return _plan(options, model, machine, work, examples=work.pairs, sequences=2, reference=1)


def plan_sft(options: ResponseOptions, model: ModelShape, machine: Machine, work: TrainingWork) -> TrainingEstimate:
    return _plan(options, model, machine, work, examples=_responses(options, work, sides=1), sequences=1, reference=0)


def plan_kto(options: ResponseOptions, model: ModelShape, machine: Machine, work: TrainingWork) -> TrainingEstimate:
    """Each response comes with a second one for the KL term, which passes forward only."""
    examples = _responses(options, work, sides=2)
    return _plan(options, model, machine, work, examples=examples, sequences=1, reference=3)


def plan_grpo(options: GRPOOptions, model: ModelShape, machine: Machine, work: TrainingWork) -> TrainingEstimate:
    """Responses are sampled by transformers while it trains; the time for that comes on top."""
    group = work.samples if options.group_size == "auto" else options.group_size
    groups = max(1, round(options.batch_size / group))
    problems = options.steps * groups if options.steps else max(1, round(options.epochs * work.pairs))
    limit = options.max_new_tokens
    if model.positions is not None:
        limit = max(1, min(limit, model.positions - work.longest_prompt))
    own = replace(work, response_tokens=min(work.response_tokens, limit), longest_response=limit)
    estimate = _plan(
        options, model, machine, own, examples=problems * group, sequences=1, reference=1 if options.beta else 0
    )
    how = Decoding(slots=groups * group, width=_widths(options, machine)[1], devices=estimate.devices)
    sampling, formula = decoding_seconds(model, machine, how, problems * group, work.prompt_tokens, own.response_tokens)
    known = estimate.seconds is not None and sampling is not None
    return replace(
        estimate,
        seconds=(estimate.seconds or 0.0) + (sampling or 0.0) if known else None,
        time_formula=f"{estimate.time_formula}; and sampling: {formula}",
    )


def _responses(options: ResponseOptions, work: TrainingWork, sides: int) -> int:
    """An upper bound: of each pair's problem half of the samples are right, half are wrong."""
    if options.responses == "pairs":
        return sides * work.pairs
    each = max(1, work.samples // 2)
    return sides * work.pairs * (min(options.per_problem, each) if options.per_problem else each)


def _plan(
    options: TRLOptions,
    model: ModelShape,
    machine: Machine,
    work: TrainingWork,
    *,
    examples: int,
    sequences: int,
    reference: int,
) -> TrainingEstimate:
    """``sequences`` an example, each ``reference`` times through the model without training."""
    steps = options.steps or math.ceil(options.epochs * examples / options.batch_size)
    trained = (
        min(steps * options.batch_size, math.ceil(options.epochs * examples))
        if not options.steps
        else (steps * options.batch_size)
    )
    tokens = sequences * (work.prompt_tokens + work.response_tokens)
    base = Training(
        sequences=sequences,
        longest=work.longest_prompt + work.longest_response,
        tokens=trained * tokens,
        reference_tokens=reference * examples * tokens,
    )

    def layout(options: TRLOptions, machine: Machine) -> Training:
        return _layout(base, options, model, machine, sequences)

    how = layout(options, machine)
    seconds, formula = training_seconds(model, machine, how)
    memory = training_memory(model, machine, how)
    fits = sum(need.bytes for need in memory) <= machine.usable
    custom = isinstance(getattr(options, "launch", None), Path)
    notes = ["how an accelerate file of your own spreads the weights is not known: taken as ddp"] if custom else []
    if how.sharding == "fsdp2":
        held = (2 if reference else 1) * model.parameters * (how.frozen_bytes if how.lora_r else how.weight_bytes)
        whose = "the policy and its reference" if reference else "the policy"
        notes.append(
            f"host: each of {how.devices} processes loads {whose} before the weights are spread: up to "
            f"{gb(how.devices * held)} of this machine's own memory"
        )
    return TrainingEstimate(
        memory=memory,
        seconds=seconds,
        time_formula=formula,
        notes=(f"spread: {how.sharding} over {how.devices} device(s)", *notes, *speed_notes(machine)),
        devices=how.devices,
        advice="" if fits else _advice(options, model, machine, layout),
        steps=steps,
        checkpoint_bytes=model.parameters * (2.0 if options.dtype == "bfloat16" else 4.0),
    )


def _widths(options: TRLOptions, machine: Machine) -> tuple[int, int]:
    """Bytes of a trained weight, and of an activation."""
    if options.dtype == "bfloat16":
        return 2, 2
    mixed = str(options.dtype) == "mixed" or (options.dtype == "auto" and not machine.is_cpu)
    return 4, 2 if mixed else 4


def _layout(base: Training, options: TRLOptions, model: ModelShape, machine: Machine, sequences: int) -> Training:
    """What the options come to on a machine; not every trainer has every one of them."""
    weight, arithmetic = _widths(options, machine)
    rank = getattr(options, "lora_r", 0)
    sharding, devices = _spread(options, machine)
    micro = max(1, min(options.micro_batch_size, options.batch_size // devices))
    checkpointing = options.gradient_checkpointing
    how = replace(
        base,
        sequences=sequences * micro,
        weight_bytes=4 if rank else weight,
        frozen_bytes=_frozen_bytes(model, arithmetic) if getattr(options, "qlora", False) else arithmetic,
        arithmetic_bytes=arithmetic,
        lora_r=rank,
        checkpointing=not machine.is_cpu if checkpointing == "auto" else checkpointing == "on",
        sharding=sharding,
        devices=devices,
    )
    if sharding == "ddp" and getattr(options, "launch", "") == "auto":
        whole = sum(need.bytes for need in training_memory(model, machine, how))
        return how if whole <= machine.usable else replace(how, sharding="fsdp2")
    return how


def _spread(options: TRLOptions, machine: Machine) -> tuple[Sharding, int]:
    launch: Any = getattr(options, "launch", "none")
    processes: Any = getattr(options, "processes", "auto")
    devices = machine.devices if processes == "auto" else min(processes, machine.devices)
    if launch == "none" or (launch == "auto" and (devices == 1 or machine.is_cpu)):
        return "none", 1
    if launch in ("fsdp2", "zero3"):
        return launch, devices
    return "ddp", devices


def _frozen_bytes(model: ModelShape, arithmetic: int) -> float:
    """Mean of a parameter under QLoRA: linear maps in 4 bits, embeddings and head as they are."""
    linear = model.layers * sum(inputs * outputs for inputs, outputs in model.linear_widths)
    return (linear * _QLORA_BYTES + (model.parameters - linear) * arithmetic) / model.parameters


def _advice(
    options: TRLOptions, model: ModelShape, machine: Machine, layout: Callable[[TRLOptions, Machine], Training]
) -> str:
    """The first change with which it fits here, and the fewest such devices that hold the whole training."""
    found: list[str] = []
    for changes, on in _candidates(options, machine):
        own = on.devices == machine.devices
        if (own and any(item.startswith("--") for item in found)) or (not own and len(found) > 1):
            continue
        need = sum(item.bytes for item in training_memory(model, on, layout(replace(options, **changes), on)))
        if need <= on.usable:
            flags = " ".join(f"--trainer.{key}={str(value).lower()}" for key, value in changes.items())
            found.append(
                f"{flags} ({gb(need)})" if own else f"{on.devices} such devices with {flags} ({gb(need)} each)"
            )
            if not own:
                break
    return "; or ".join(found)


def _candidates(options: TRLOptions, machine: Machine) -> Iterator[tuple[dict[str, Any], Machine]]:
    """Changes of options, and the machine to try them on, the mildest first."""
    known = {field.name for field in fields(options)}
    small: dict[str, Any] = {"micro_batch_size": 1}
    if options.gradient_checkpointing == "off":
        small["gradient_checkpointing"] = "on"
    yield small, machine
    if "launch" in known and machine.devices > 1:
        yield {**small, "launch": "fsdp2"}, machine
    if "lora_r" in known:
        for rank in (64, 16):
            yield {**small, "lora_r": rank}, machine
        if not machine.is_cpu:
            yield {**small, "lora_r": 16, "qlora": True}, machine
    if "launch" in known:
        for count in _MORE_DEVICES:
            if count > machine.devices and options.batch_size % count == 0:
                yield {**small, "launch": "fsdp2"}, replace(machine, devices=count)
