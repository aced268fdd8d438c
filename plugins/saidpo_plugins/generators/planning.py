"""What generators need of a device and how long they take, for ``saidpo --dry-run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from saidpo_core import GenerationEstimate, GenerationWork, Machine, ModelShape, Need, UsageError
from saidpo_plugins.common.estimates import (
    LAYER_SECONDS,
    Decoding,
    decoding_seconds,
    gb,
    kv_cache,
    process,
    speed_notes,
    weights,
)

if TYPE_CHECKING:
    from saidpo_plugins.generators.transformers import TransformersOptions

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}


def width_of(dtype: str, machine: Machine) -> int:
    """Bytes of a number; ``auto`` is float32 on a CPU and bfloat16 elsewhere."""
    return _WIDTHS.get(dtype, 4 if machine.is_cpu else 2)


def response_limit(model: ModelShape, wanted: int, longest_prompt: int) -> int:
    """New tokens that fit behind the longest prompt, at most ``wanted``."""
    return wanted if model.positions is None else max(1, min(wanted, model.positions - longest_prompt))


def expected_tokens(work: GenerationWork, limit: int) -> tuple[float, tuple[str, ...]]:
    """(mean tokens of a response, what to note): the limit is an upper bound where nothing is known."""
    if work.response_tokens is not None:
        return min(work.response_tokens, limit), ()
    return float(limit), (f"every response is taken to be {limit:,} tokens long, its limit: an upper bound",)


def plan_transformers(
    options: TransformersOptions, model: ModelShape, machine: Machine, work: GenerationWork
) -> GenerationEstimate:
    """One device; all sequences of a batch grow to the longest one's length, in a cache that grows with them."""
    width = width_of(options.dtype, machine)
    limit = response_limit(model, options.max_new_tokens, work.longest_prompt)
    batch = min(options.batch_size, max(1, min(work.responses, work.at_once)))
    tokens, notes = expected_tokens(work, limit)

    def memory(batch: int) -> tuple[Need, ...]:
        prompt = batch * work.longest_prompt * (4 * model.hidden + 3 * model.intermediate) * width
        cache = kv_cache(model, width, batch, work.longest_prompt + limit)
        return (
            process(machine, trains=False),
            weights(model, width),
            cache,
            Need(what="cache, growing", bytes=cache.bytes / model.layers, formula="one layer's part is copied"),
            Need(
                what="prompts",
                bytes=float(prompt),
                formula=f"{batch:,} sequences x {work.longest_prompt:,} tokens x (4 x {model.hidden:,} + 3 x "
                f"{model.intermediate:,}) x {width} bytes: one layer's numbers",
            ),
            Need(
                what="choosing tokens",
                bytes=5.0 * batch * model.vocabulary * 4,
                formula=f"5 copies x {batch:,} sequences x {model.vocabulary:,} logits x 4 bytes",
            ),
        )

    needs = memory(batch)
    fitting = [size for size in (128, 64, 32, 16, 8, 4, 2, 1) if size < batch]
    smaller = next((size for size in fitting if _sum(memory(size)) <= machine.usable), None)
    advice = f"--generator.batch_size={smaller} ({gb(_sum(memory(smaller)))})" if smaller else ""
    how = Decoding(slots=batch, width=width, layer_seconds=LAYER_SECONDS)
    # A batch takes as many steps as its longest response; where lengths are known, twice the mean is assumed for it.
    longest = tokens if work.response_tokens is None else min(limit, 2 * tokens)
    seconds, formula = decoding_seconds(model, machine, how, work.responses, work.prompt_tokens, longest)
    unused = (f"transformers uses one of {machine.devices} devices",) if machine.devices > 1 else ()
    return GenerationEstimate(
        memory=needs,
        seconds=seconds,
        time_formula=formula,
        notes=(*notes, *unused, *speed_notes(machine)),
        advice=advice,
        response_limit=limit,
    )


class AsksVllm(Protocol):
    """Options that name things as vLLM does."""

    @property
    def max_new_tokens(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    @property
    def max_model_len(self) -> int | Literal["auto"]: ...
    @property
    def gpu_memory_utilization(self) -> float: ...
    @property
    def tensor_parallel_size(self) -> int: ...


def plan_vllm(
    options: AsksVllm, model: ModelShape, machine: Machine, work: GenerationWork, *, everywhere: bool = False
) -> GenerationEstimate:
    """One engine, on the devices that share its weights; ``everywhere``: as many engines as there is room for."""
    split = options.tensor_parallel_size
    return plan_paged(
        model,
        machine,
        work,
        dtype=options.dtype,
        max_new_tokens=options.max_new_tokens,
        utilisation=options.gpu_memory_utilization,
        split=split,
        context=None if options.max_model_len == "auto" else options.max_model_len,
        devices=None if everywhere else split,
    )


def plan_paged(
    model: ModelShape,
    machine: Machine,
    work: GenerationWork,
    *,
    dtype: str,
    max_new_tokens: int,
    utilisation: float,
    split: int = 1,
    sequences: int = 256,
    context: int | None = None,
    devices: int | None = None,
    workspace: float = 2e9,
) -> GenerationEstimate:
    """An engine with a paged KV cache that fills ``utilisation`` of each device, such as vLLM.

    Args:
        split: devices that share one copy of the model (tensor parallelism).
        sequences: most that run side by side.
        context: longest sequence that it accepts; None: as long as this work needs.
        devices: how many work; None: all of the machine, as many copies as fit.
        workspace: bytes for activations and graphs, assumed.
    """
    width = width_of(dtype, machine)
    limit = response_limit(model, max_new_tokens, work.longest_prompt)
    if context is not None:
        limit = max(1, min(limit, context - work.longest_prompt))
    tokens, notes = expected_tokens(work, limit)
    if split > machine.devices:
        raise UsageError(f"tensor_parallel_size={split}, and the machine has {machine.devices} device(s)")
    used = max(split, (machine.devices if devices is None else min(devices, machine.devices)) // split * split)
    longest, mean = work.longest_prompt + limit, work.prompt_tokens + tokens / 2
    held = weights(model, width, shards=split)
    graphs = Need(what="workspace", bytes=workspace, formula="activations, graphs, CUDA context; assumed")
    room = utilisation * machine.memory - held.bytes - graphs.bytes
    one = kv_cache(model, width, 1, longest, split)
    room_for = int(max(0.0, room) / kv_cache(model, width, 1, mean, split).bytes)
    room_for = max(1, min(sequences, room_for, work.responses))
    slots = max(1, min(room_for, work.at_once // (used // split)))
    cache = kv_cache(model, width, slots, mean, split) if room >= one.bytes else one
    how = Decoding(slots=slots, width=width, devices=used, split=split)
    seconds, formula = decoding_seconds(model, machine, how, work.responses, work.prompt_tokens, tokens)
    return GenerationEstimate(
        memory=(held, graphs, cache),
        seconds=seconds,
        time_formula=formula,
        notes=(
            *notes,
            f"{gb(max(0.0, room))} of each device are left for the KV cache",
            *_idle_notes(work, slots, room_for),
            *speed_notes(machine),
        ),
        devices=used,
        advice=_paged_advice(model, machine, width, split, graphs.bytes + one.bytes, utilisation)
        if room < one.bytes
        else "",
        response_limit=limit,
    )


def _idle_notes(work: GenerationWork, slots: int, room_for: int) -> tuple[str, ...]:
    if slots >= room_for or work.problems_at_once is None:
        return ()
    return (
        f"{work.problems_at_once:,} problems at a time give each copy of the model {slots:,} sequences, and it has "
        f"room for {room_for:,}: more at a time are faster (--generator.chunk; with ray also --generator.task)",
    )


def _paged_advice(
    model: ModelShape, machine: Machine, width: int, split: int, besides: float, utilisation: float
) -> str:
    """The smallest number of devices of this size that hold the model and one sequence."""
    for wider in (2, 4, 8, 16):
        if wider > split and model.kv_heads % wider == 0:
            need = model.parameters * width / wider + besides
            if need <= utilisation * machine.memory:
                more = "" if wider <= machine.devices else f" on {wider} such devices"
                return f"--generator.tensor_parallel_size={wider}{more} ({gb(need)} each)"
    return ""


def _sum(needs: tuple[Need, ...]) -> float:
    return sum(need.bytes for need in needs)
