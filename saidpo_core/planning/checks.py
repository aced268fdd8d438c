"""Checks of what components say when they are asked for a plan; a broken promise names the component's owner."""

from __future__ import annotations

import math
from typing import Any

from saidpo_core.contracts import require
from saidpo_core.planning.records import (
    Estimate,
    GenerationEstimate,
    Machine,
    Need,
    PoolSize,
    TrainingEstimate,
)
from saidpo_core.registry import Offer
from saidpo_core.values import is_count, is_text


def check_pool_size(size: Any, offer: Offer) -> None:
    require(isinstance(size, PoolSize), offer, "plan", f"expected a PoolSize, got {type(size).__name__}")
    good = is_count(size.problems) and size.problems > 0 and is_count(size.held_out)
    require(good, offer, "plan", "problems must be a whole number above 0, held_out one not below")
    require(_is_amount(size.question_characters), offer, "plan", "question_characters must be a number, not negative")
    require(is_text(size.source), offer, "plan", "source must be a text")


def check_generation_estimate(estimate: Any, machine: Machine, offer: Offer) -> None:
    good = isinstance(estimate, GenerationEstimate)
    require(good, offer, "plan", f"expected a GenerationEstimate, got {type(estimate).__name__}")
    _check_estimate(estimate, machine, offer)
    good = is_count(estimate.response_limit) and estimate.response_limit > 0
    require(good, offer, "plan", f"response_limit must be a whole number above 0, got {estimate.response_limit!r:.40}")


def check_training_estimate(estimate: Any, machine: Machine, offer: Offer) -> None:
    good = isinstance(estimate, TrainingEstimate)
    require(good, offer, "plan", f"expected a TrainingEstimate, got {type(estimate).__name__}")
    _check_estimate(estimate, machine, offer)
    require(is_count(estimate.steps), offer, "plan", f"steps must be a whole number, got {estimate.steps!r:.40}")
    require(_is_amount(estimate.checkpoint_bytes), offer, "plan", "checkpoint_bytes must be a number, not negative")


def _check_estimate(estimate: Estimate, machine: Machine, offer: Offer) -> None:
    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "plan", promise)

    must(isinstance(estimate.memory, tuple) and bool(estimate.memory), "memory must be a tuple of Needs, not empty")
    for need in estimate.memory:
        must(isinstance(need, Need), f"memory must hold Needs, got {type(need).__name__}")
        must(is_text(need.what) and is_text(need.formula), "what and formula of a Need must be texts")
        must(_is_amount(need.bytes), f"{need.what}: bytes must be a number, not negative, got {need.bytes!r:.40}")
    must(estimate.seconds is None or _is_amount(estimate.seconds), "seconds must be a number, not negative, or None")
    must(isinstance(estimate.notes, tuple) and all(map(is_text, estimate.notes)), "notes must be a tuple of texts")
    must(is_text(estimate.time_formula) and is_text(estimate.advice), "time_formula and advice must be texts")
    good = is_count(estimate.devices) and 0 < estimate.devices <= machine.devices
    must(good, f"devices must be 1 to {machine.devices}, as the machine has, got {estimate.devices!r:.40}")


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
