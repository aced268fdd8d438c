"""The plan of a run: what each round does, what it needs of a device, and how long all of it takes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from saidpo_core.contracts import blame, require
from saidpo_core.errors import UsageError
from saidpo_core.kind_options import RolloutOptions
from saidpo_core.models import locate_folder
from saidpo_core.planning.checks import check_generation_estimate, check_training_estimate
from saidpo_core.planning.measured import Measured
from saidpo_core.planning.pools import PoolFacts, look_at_pool
from saidpo_core.planning.records import (
    Estimate,
    GenerationEstimate,
    GenerationWork,
    Machine,
    ModelShape,
    TrainingEstimate,
    TrainingWork,
)
from saidpo_core.planning.shapes import shape_of
from saidpo_core.registry import Registry
from saidpo_core.selection import draw_size, pair_budget, probe_size
from saidpo_core.settings import RunOptions, Settings
from saidpo_core.values import is_count

HELD_BYTES = 80
"""Of a token of a response that is held: its id, log-probability, width and text. A test measures it."""


@dataclass(frozen=True, kw_only=True)
class RoundCounts:
    """What one round does, at most."""

    probed: int
    drawn: int
    """Problems explored besides the probe."""
    responses: int
    pairs: int
    tokens: float | None
    """Generated; None: not known."""

    @property
    def explored(self) -> int:
        return self.probed + self.drawn


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is said of a run before it starts."""

    model: ModelShape
    machine: Machine
    elsewhere: bool
    """Whether it is for another machine than this one."""
    pool: PoolFacts
    rounds: int
    counts: RoundCounts
    generation: GenerationEstimate | None
    """Of one round; None: its component does not say."""
    evaluation_seconds: float | None
    """Of one evaluation."""
    training: TrainingEstimate | None
    names: dict[str, str]
    """Which generator and which trainer."""
    missing: tuple[str, ...]
    """Components whose package is not installed here, with what to install."""
    problems: tuple[str, ...]
    """Why the run would fail on that machine, each with numbers and what to do."""

    @property
    def seconds(self) -> float | None:
        """Of the whole run; None if a part is not known."""
        generation, training = self.generation, self.training
        parts = (generation and generation.seconds, training and training.seconds, self.evaluation_seconds)
        if any(part is None for part in parts):
            return None
        generate, train, evaluate = (float(part or 0.0) for part in parts)
        return self.rounds * (generate + train) + (self.rounds + 1) * evaluate

    @property
    def disk(self) -> float | None:
        """Bytes of the policies that the run keeps; None: not known."""
        return self.rounds * self.training.checkpoint_bytes if self.training else None

    def as_tree(self) -> dict[str, Any]:
        """As JSON can hold it."""
        tree = asdict(self)
        for name in ("generation", "training"):
            estimate: Estimate | None = getattr(self, name)
            if estimate is not None:
                tree[name]["bytes"] = estimate.bytes
        tree["counts"]["explored"] = self.counts.explored
        return {**tree, "usable_bytes": self.machine.usable, "seconds": self.seconds, "disk_bytes": self.disk}


def make_plan(
    settings: Settings,
    registry: Registry,
    machine: Machine,
    *,
    elsewhere: bool,
    model_config: Path | None = None,
    measured: Measured | None = None,
    disk: Path | None = None,
) -> Plan:
    """``disk``: where the run is to be kept, if there has to be room for it. Raises ``UsageError`` for settings with
    which nothing can be planned; what does not fit is in ``problems``."""
    run, names = settings.run, [policy.name for policy in registry.policies]
    model = shape_of(run.model, settings.policy, model_config, names)
    folder = None if model_config else locate_folder(run.model, settings.policy, names)
    pool = look_at_pool(settings.parts["pool"], run.seed, folder)
    counts = _count(run, pool.problems, measured)
    asking: RolloutOptions = settings.parts["generator"].core
    waves = len(asking.waves(run.samples))
    work = GenerationWork(
        responses=counts.responses,
        prompt_tokens=pool.prompt_tokens,
        longest_prompt=pool.longest_prompt,
        response_tokens=measured.response_tokens if measured else None,
        problems_at_once=asking.chunk if waves == 1 else 2 * asking.chunk,
        samples=-(-run.samples // waves),
    )
    speeds = None if elsewhere else measured  # another machine has other speeds
    generation = _plan_generation(settings, model, machine, work)
    asked = _evaluation_responses(settings, pool.held_out)
    measuring = replace(work, responses=asked or 0, problems_at_once=None, samples=1)
    evaluation = _plan_generation(settings, model, machine, measuring) if asked else None
    training = _plan_training(settings, model, machine, counts, pool, generation, measured)
    tokens = _tokens(run, counts, generation, measured)
    if speeds and generation and tokens is not None:
        generation = replace(generation, **_measured_generation(speeds, model, tokens, counts.explored))
    if generation:
        generation = replace(generation, notes=(*generation.notes, *_host_notes(tokens)))
    if speeds and training:
        training = replace(training, **_measured_training(speeds, model, counts.pairs))
    seconds = evaluation.seconds if evaluation else None
    if speeds and asked is not None:
        seconds = asked * speeds.response_tokens / speeds.generated_per_second * speeds.scale(model.parameters)
    return Plan(
        model=model,
        machine=machine,
        elsewhere=elsewhere,
        pool=pool,
        rounds=run.rounds,
        counts=replace(counts, tokens=tokens),
        generation=generation,
        evaluation_seconds=0.0 if asked == 0 else seconds,
        training=training,
        names={kind: settings.parts[kind].offer.name for kind in ("generator", "trainer")},
        missing=tuple(f"--{kind}={c.offer.name}: pip install '{c.offer.missing}'"
                      for kind, c in settings.parts.items() if c.offer.missing),
        problems=tuple(_problems(machine, generation, training, run, disk)),
    )  # fmt: skip


def _count(run: RunOptions, n: int, measured: Measured | None) -> RoundCounts:
    probed = probe_size(n, run)
    drawn = min(n - probed, draw_size(n, run))
    explored = probed + drawn
    pairs = pair_budget(explored, run) or explored
    if measured:
        pairs = min(pairs, max(1, round(measured.pairs_per_problem * explored)))
    return RoundCounts(
        probed=probed, drawn=drawn, responses=explored * run.samples, pairs=min(pairs, explored), tokens=None
    )


def _plan_generation(
    settings: Settings, model: ModelShape, machine: Machine, work: GenerationWork
) -> GenerationEstimate | None:
    chosen = settings.parts["generator"]
    plan: Any = chosen.offer.component.plan
    if plan is None:
        return None
    with blame(chosen.offer, "plan"):
        estimate = plan(chosen.options, model, machine, work)
    check_generation_estimate(estimate, machine, chosen.offer)
    found: GenerationEstimate = estimate
    return found


def _evaluation_responses(settings: Settings, held_out: int) -> int | None:
    """Of one evaluation; None if it cannot be said."""
    chosen = settings.parts["evaluator"]
    plan: Any = chosen.offer.component.plan
    if plan is None:
        return held_out
    try:
        with blame(chosen.offer, "plan"):
            count: int = plan(chosen.options, held_out)
    except UsageError:
        return None
    require(is_count(count), chosen.offer, "plan", f"expected a number of responses, got {count!r:.40}")
    return count


def _plan_training(
    settings: Settings,
    model: ModelShape,
    machine: Machine,
    counts: RoundCounts,
    pool: PoolFacts,
    generation: GenerationEstimate | None,
    measured: Measured | None,
) -> TrainingEstimate | None:
    """Needs to know how long responses are, so it is not known where the generator's plan is not."""
    chosen = settings.parts["trainer"]
    plan: Any = chosen.offer.component.plan
    if plan is None or generation is None:
        return None
    limit = generation.response_limit
    work = TrainingWork(
        pairs=counts.pairs,
        explored=counts.explored,
        samples=settings.run.samples,
        prompt_tokens=pool.prompt_tokens,
        longest_prompt=pool.longest_prompt,
        response_tokens=min(measured.response_tokens, limit) if measured else limit,
        longest_response=limit,
    )
    with blame(chosen.offer, "plan"):
        estimate = plan(chosen.options, model, machine, work)
    check_training_estimate(estimate, machine, chosen.offer)
    found: TrainingEstimate = estimate
    return found


def _tokens(
    run: RunOptions, counts: RoundCounts, generation: GenerationEstimate | None, measured: Measured | None
) -> float | None:
    """Generated in a round: by the mean length of another run, or at most."""
    if measured is None and generation is None:
        return None
    length = measured.response_tokens if measured else float(generation.response_limit if generation else 0)
    tokens = counts.responses * length
    return min(tokens, run.round_tokens) if isinstance(run.round_tokens, int) and run.round_tokens else tokens


def _host_notes(tokens: float | None) -> list[str]:
    held = HELD_BYTES * (tokens or 0)
    said = "host: the run holds a round's responses while it selects and trains: up to"
    return [f"{said} {_gb(held)} of its own memory"] if held > 1e9 else []


def _measured_generation(measured: Measured, model: ModelShape, tokens: float, explored: int) -> dict[str, Any]:
    scale = measured.scale(model.parameters)
    seconds = tokens / measured.generated_per_second * scale + explored * measured.verify_seconds
    formula = (
        f"{tokens:,.0f} tokens / {measured.generated_per_second:,.0f} a second{_scaled(scale)}, and "
        f"{explored:,} problems x {measured.verify_seconds:.4f} s of judging; measured by the run {measured.run}"
    )
    return {"seconds": seconds, "time_formula": formula, "notes": ()}


def _measured_training(measured: Measured, model: ModelShape, pairs: int) -> dict[str, Any]:
    scale = measured.scale(model.parameters)
    formula = f"{pairs:,} pairs x {measured.training_seconds:.3f} s{_scaled(scale)}; measured by the run {measured.run}"
    return {"seconds": pairs * measured.training_seconds * scale, "time_formula": formula, "notes": ()}


def _scaled(scale: float) -> str:
    return "" if scale == 1 else f" x {scale:.3g} as many parameters"


def _problems(
    machine: Machine,
    generation: GenerationEstimate | None,
    training: TrainingEstimate | None,
    run: RunOptions,
    disk: Path | None,
) -> Sequence[str]:
    found = []
    for what, estimate in (("generation", generation), ("training", training)):
        if estimate is not None and estimate.bytes > machine.usable:
            found.append(
                f"{what} needs {_gb(estimate.bytes)} of each device, and {_gb(machine.usable)} of {machine.device}'s "
                f"{_gb(machine.memory)} can be used. "
                + (f"It fits with {estimate.advice}" if estimate.advice else "No change of its settings makes it fit: "
                   "take a smaller model or larger devices")
            )  # fmt: skip
    if disk is not None and training is not None:
        need = run.rounds * training.checkpoint_bytes
        free = shutil.disk_usage(disk).free
        if need > free:
            found.append(
                f"{run.rounds} policies of {_gb(training.checkpoint_bytes)} each take {_gb(need)} of disk, and "
                f"{disk} has {_gb(free)} free. Name another place with --run-dir, or fewer --rounds"
            )
    return found


def _gb(amount: float) -> str:
    return f"{amount / 1e9:,.1f} GB"
