"""A plan as a person reads it: plain lines, every number with its formula."""

from __future__ import annotations

from collections.abc import Iterator

import click

from saidpo_core.planning.plan import Plan
from saidpo_core.planning.records import Estimate, Machine, ModelShape

_WIDTH = 20


def show_plan(plan: Plan) -> None:
    for line in lines_of(plan):
        click.echo(line)


def lines_of(plan: Plan) -> Iterator[str]:
    yield f"model       {_model(plan.model)}"
    yield f"            ({plan.model.source})"
    yield f"machine     {_machine(plan.machine)}" + ("" if plan.elsewhere else ", this one")
    pool = plan.pool
    yield (
        f"pool        {pool.problems:,} problems, {pool.held_out:,} held out; prompts of {pool.prompt_tokens:,.0f} "
        f"tokens, the longest {pool.longest_prompt:,}"
    )
    yield f"            ({pool.source})"
    yield f"each round  {_counts(plan)}"
    yield ""
    yield from _step(f"generation  {plan.names['generator']}, each round", plan.generation, plan.machine)
    yield from _step(f"training    {plan.names['trainer']}, each round", plan.training, plan.machine)
    yield from _time(plan)
    notes = (*(plan.generation.notes if plan.generation else ()), *(plan.training.notes if plan.training else ()))
    for note in dict.fromkeys(notes):
        yield f"note: {note}"
    for item in plan.missing:
        yield f"not installed here: {item}"


def _model(model: ModelShape) -> str:
    context = f"context of {model.positions:,} tokens" if model.positions else "no limit of context named"
    stored = f", {gigabytes(model.bytes_on_disk)} stored" if model.bytes_on_disk else ""
    return f"{model.name}: {model.parameters:,} parameters, {model.layers} layers, {context}{stored}"


def _machine(machine: Machine) -> str:
    what = "processor" if machine.is_cpu else machine.device
    return f"{machine.devices} x {what}, {gigabytes(machine.memory)} each"


def _counts(plan: Plan) -> str:
    counts, training = plan.counts, plan.training
    tokens = "tokens not known" if counts.tokens is None else f"at most {counts.tokens:,.0f} tokens"
    steps = f", {training.steps:,} steps" if training else ""
    return (
        f"{counts.probed:,} problems probed + {counts.drawn:,} drawn = {counts.responses:,} responses, {tokens}; "
        f"at most {counts.pairs:,} pairs{steps}"
    )


def _step(title: str, estimate: Estimate | None, machine: Machine) -> Iterator[str]:
    if estimate is None:
        yield f"{title}: unknown, since it says nothing of what it needs"
        yield ""
        return
    share = 100 * estimate.bytes / machine.memory if machine.memory else 0
    yield f"{title}: {gigabytes(estimate.bytes)} of each device ({share:.0f}%), {duration(estimate.seconds)}"
    for need in estimate.memory:
        yield f"  {need.what:<{_WIDTH}} {gigabytes(need.bytes):>10}  {need.formula}"
    yield f"  {'time':<{_WIDTH}} {duration(estimate.seconds):>10}  {estimate.time_formula}"
    yield ""


def _time(plan: Plan) -> Iterator[str]:
    parts = (plan.generation and plan.generation.seconds, plan.training and plan.training.seconds)
    generate, train = (duration(part or None) for part in parts)
    yield (
        f"in all      {duration(plan.seconds)} = {plan.rounds} rounds x (generation {generate} + training {train}) + "
        f"{plan.rounds + 1} evaluations x {duration(plan.evaluation_seconds)}"
    )
    yield "            (without preparing the pool, and what of judging generation does not hide)"
    if plan.disk is not None:
        yield f"disk        {gigabytes(plan.disk)} for the policies of {plan.rounds} rounds"


def gigabytes(amount: float) -> str:
    """``1.5 GB``, ``12.0 MB``: powers of ten."""
    return f"{amount / 1e9:,.1f} GB" if amount >= 1e8 else f"{amount / 1e6:,.1f} MB"


def duration(seconds: float | None) -> str:
    """``12 s``, ``5 min``, ``3.2 h``, ``unknown``."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.2f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
