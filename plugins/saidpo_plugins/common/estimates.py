"""Memory and time of a causal language model, as formulas with their numbers put in (**ours**).

Every item comes with its formula, so that a reader can check it; ``tests/plugins/test_estimates.py`` holds the sums
against the peak memory of real runs on the CPU. Nothing was measured on an accelerator: what is assumed says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from saidpo_core import Machine, ModelShape, Need

Sharding = Literal["none", "ddp", "fsdp2", "zero3"]

UTILISATION = 0.35
"""Assumed share of a device's dense speed that training reaches; ``--plan-from`` replaces it by what a run took."""
BANDWIDTH_SHARE = 0.6
"""Assumed share of a device's memory bandwidth that decoding reaches."""
PROCESS = 0.4e9
"""Bytes of a process with torch and transformers before any model: measured on Linux, CPU build of torch."""
TRL = 0.15e9
"""What TRL, accelerate and datasets add to it, measured likewise."""
CONTEXT = 1.0e9
"""Assumed bytes of a CUDA context, its kernels and its libraries' workspaces."""
LAYER_SECONDS = 0.3e-3
"""Time of one layer in one decoding step of transformers, however small it is: measured on one CPU core."""
_TILE = 4096, 32768
"""Tokens and logits of a tile of TRL 1.16's loss."""
_TILE_COPIES = 8.5
"""Tiles that its backward pass holds at once where it has no Triton; with Triton it works in place."""


def gb(amount: float) -> str:
    return f"{amount / 1e9:,.1f} GB" if amount >= 1e8 else f"{amount / 1e6:,.1f} MB"


def process(machine: Machine, *, trains: bool) -> Need:
    if machine.is_cpu:
        packages = "Python, torch, transformers" + (", TRL" if trains else "")
        return Need(what="process", bytes=PROCESS + TRL * trains, formula=f"{packages}; measured")
    return Need(what="CUDA context", bytes=CONTEXT, formula="context, kernels, workspaces; assumed")


def weights(model: ModelShape, width: float, what: str = "weights", shards: int = 1) -> Need:
    """``width`` bytes a parameter, spread over ``shards`` devices."""
    spread = f" / {shards} devices" if shards > 1 else ""
    return Need(
        what=what,
        bytes=model.parameters * width / shards,
        formula=f"{model.parameters:,} parameters x {width:g} bytes{spread}",
    )


def kv_cache(model: ModelShape, width: int, sequences: int, tokens: float, shards: int = 1) -> Need:
    """Keys and values of ``sequences`` of ``tokens`` each, ``width`` bytes a number."""
    spread = f" / {shards} devices" if shards > 1 else ""
    return Need(
        what="KV cache",
        bytes=model.kv_bytes_per_value * width * sequences * tokens / shards,
        formula=f"2 x {model.layers} layers x {model.kv_heads} KV heads x {model.head_size} x {width} bytes x "
        f"{sequences:,} sequences x {tokens:,.0f} tokens{spread}",
    )


# Generation -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How an engine decodes: ``slots`` sequences side by side on each of ``devices``, ``split`` devices for a model."""

    slots: int
    width: int
    """Bytes of a weight, and of a number in the KV cache."""
    devices: int = 1
    split: int = 1
    layer_seconds: float = 0.0
    """Time of a layer in a step that no larger device makes shorter."""


def decoding_seconds(
    model: ModelShape, machine: Machine, how: Decoding, responses: int, prompt: float, tokens: float
) -> tuple[float | None, str]:
    """(seconds, formula) of ``responses`` of ``tokens`` each after prompts of ``prompt`` tokens.

    A step reads all weights and the keys and values of all its sequences, or takes the time of its arithmetic.
    """
    if machine.bandwidth is None or machine.flops is None:
        return None, "not known: neither bandwidth nor speed of this device is known"
    replicas = max(1, how.devices // how.split)
    slots = max(1, min(how.slots, -(-responses // replicas)))
    read = (model.parameters * how.width + slots * model.kv_bytes_per_value * how.width * (prompt + tokens / 2)) / (
        machine.bandwidth * BANDWIDTH_SHARE * how.split
    )
    count = 2 * model.parameters * slots / (machine.flops * UTILISATION * how.split)
    step = max(read, count) + how.layer_seconds * model.layers
    steps = -(-responses // (slots * replicas)) * tokens
    prefill = 2 * model.parameters * responses * prompt / (machine.flops * UTILISATION * how.split * replicas)
    formula = (
        f"{steps:,.0f} steps of {slots * replicas:,} sequences x {step * 1e3:,.2f} ms (the longer of: weights and KV "
        f"cache / {BANDWIDTH_SHARE:g} of {machine.bandwidth / 1e9:,.0f} GB/s; 2 x parameters x sequences / "
        f"{UTILISATION:g} of {machine.flops / 1e12:,.3g} TFLOP/s"
        + (f"; and {how.layer_seconds * 1e3:g} ms a layer" if how.layer_seconds else "")
        + f") + {prefill:,.0f} s for the prompts"
    )
    return steps * step + prefill, formula


# Training -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a trainer trains, as far as memory and time depend on it."""

    sequences: int
    """On a device at once: two a pair."""
    longest: int
    """Tokens of the longest sequence, to which its micro-batch is padded."""
    tokens: float
    """Of all sequences that are trained in a round, every epoch counted."""
    reference_tokens: float = 0.0
    """Of those that pass once through the reference."""
    weight_bytes: int = 4
    """Of a parameter that is trained, of its gradient, and of each of its two moments."""
    frozen_bytes: float = 4
    """Of a parameter below adapters."""
    arithmetic_bytes: int = 4
    """Of an activation: 2 with bfloat16 arithmetic."""
    lora_r: int = 0
    checkpointing: bool = True
    sharding: Sharding = "none"
    devices: int = 1


def lora_parameters(model: ModelShape, r: int) -> int:
    """r x (inputs + outputs) of every linear map of every layer."""
    return model.layers * r * sum(inputs + outputs for inputs, outputs in model.linear_widths)


def training_memory(model: ModelShape, machine: Machine, how: Training) -> tuple[Need, ...]:
    """Weights, gradients, AdamW's two moments, activations and the loss, as they are held when backward begins."""
    sharded = how.sharding in ("fsdp2", "zero3")
    shards = how.devices if sharded else 1
    trained = lora_parameters(model, how.lora_r) if how.lora_r else model.parameters
    needs = [process(machine, trains=True)]
    if how.lora_r:
        needs.append(weights(model, how.frozen_bytes, "frozen weights", shards))
    over = f" / {shards} devices" if shards > 1 else ""
    named = f"{trained:,} {'adapter ' if how.lora_r else ''}parameters"
    for what, copies in (("trained weights", 1), ("gradients", 1), ("optimiser (AdamW)", 2)):
        times = f"{copies} x " if copies > 1 else ""
        amount = copies * trained * how.weight_bytes / shards
        needs.append(Need(what=what, bytes=amount, formula=f"{times}{named} x {how.weight_bytes} bytes{over}"))
    copy = _working_copy(model, how, sharded)
    return (*needs, *([copy] if copy else []), _activations(model, how), _loss(model, machine, how))


def _working_copy(model: ModelShape, how: Training, sharded: bool) -> Need | None:
    """What is held besides the kept weights to compute with: a gathered layer, or bfloat16 copies of autocast."""
    biggest = max(_layer_parameters(model), model.vocabulary * model.hidden)
    if sharded:
        return Need(
            what="gathered weights",
            bytes=2.0 * biggest * how.arithmetic_bytes,
            formula=f"2 x the largest gathered block, {biggest:,} parameters x {how.arithmetic_bytes} bytes",
        )
    if how.arithmetic_bytes < how.weight_bytes and not how.lora_r:
        return weights(model, how.arithmetic_bytes, "autocast copies of weights")
    return None


def _layer_parameters(model: ModelShape) -> int:
    return sum(inputs * outputs for inputs, outputs in model.linear_widths)


def _activations(model: ModelShape, how: Training) -> Need:
    """What the backward pass needs of the forward pass: every layer's numbers, or its input and one layer's numbers."""
    kv = model.kv_heads * model.head_size
    # Of a decoder layer: norms, q, k, v before and after rotation, attention, residuals; and gate, up, activation and
    # product of the feed-forward block.
    layer = 12 * model.hidden + 4 * kv + 4 * model.intermediate
    if how.checkpointing:
        numbers = model.layers * model.hidden + layer
        text = f"{model.layers} layers x {model.hidden:,} + {layer:,} numbers of the layer being recomputed"
    else:
        numbers, text = model.layers * layer, f"{model.layers} layers x {layer:,} numbers"
    return Need(
        what="activations",
        bytes=float(how.sequences * how.longest * numbers * how.arithmetic_bytes),
        formula=f"{how.sequences} sequences x {how.longest:,} tokens x ({text}) x {how.arithmetic_bytes} bytes",
    )


def _loss(model: ModelShape, machine: Machine, how: Training) -> Need:
    """TRL computes the log-probabilities tile by tile and never holds all logits; it sums the head's gradient apart."""
    tokens = min(how.sequences * how.longest, _TILE[0])
    columns = min(model.vocabulary, _TILE[1])
    copies, width = (_TILE_COPIES, 4) if machine.is_cpu else (1.0, how.arithmetic_bytes)
    tile = tokens * columns * width * copies
    gradient = 0 if how.lora_r else model.vocabulary * model.hidden * 4
    text = f"a tile of {tokens:,} tokens x {columns:,} logits x {width} bytes x {copies:g}"
    return Need(
        what="loss",
        bytes=float(tile + gradient),
        formula=text
        + (f", and the output head's gradient: {model.vocabulary:,} x {model.hidden:,} x 4" if gradient else ""),
    )


def training_seconds(model: ModelShape, machine: Machine, how: Training) -> tuple[float | None, str]:
    """(seconds, formula): 2 x parameters operations a token forward, twice that backward, once more if recomputed."""
    if machine.flops is None:
        return None, "not known: the speed of this device is not known"
    passes = (4 if how.lora_r else 6) + (2 if how.checkpointing else 0)
    work = model.parameters * (passes * how.tokens + 2 * how.reference_tokens)
    speed = machine.flops * UTILISATION * how.devices
    formula = (
        f"{model.parameters:,} parameters x ({passes} x {how.tokens:,.0f} tokens trained + 2 x "
        f"{how.reference_tokens:,.0f} through the reference) / ({how.devices} x {UTILISATION:g} of "
        f"{machine.flops / 1e12:,.3g} TFLOP/s)"
    )
    return work / speed, formula


def speed_notes(machine: Machine) -> tuple[str, ...]:
    """Where the constants of a time come from."""
    if not machine.source:
        return ()
    return (
        f"speed of {machine.device}: {machine.source}",
        f"reached shares are assumed: {UTILISATION:g} of the arithmetic, {BANDWIDTH_SHARE:g} of the bandwidth; "
        "--plan-from=RUN takes what a run of yours took",
    )
