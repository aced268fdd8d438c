"""Pool ``reasoning-gym``: procedural problems of the package Reasoning Gym, as many of each task as of the others.

**Ours**, not the paper's. Tasks have their default settings. Every problem keeps its entry, so that the verifier
``reasoning-gym`` can put it to the task's own scorer. Problems follow from the run's seed; the held-out ones are made
from another seed, and a question that is held out is never in the pool.

Refused are tasks whose scorer would run a model's answer as Python code (by ``eval`` or SymPy's ``parse_expr``), and
those that cannot judge: without a gold answer as text, or whose scorer does not accept it once the entry has been
stored as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from saidpo_core import Component, MissingExtra, Pool, Problem, ProblemSets, UsageError, hookimpl, option
from saidpo_core.options import nearest
from saidpo_plugins.common.reasoning_gym import RUNS_ANSWERS

if TYPE_CHECKING:
    import numpy as np

_DEFAULT = (
    "basic_arithmetic",
    "calendar_arithmetic",
    "chain_sum",
    "count_primes",
    "decimal_chain_sum",
    "family_relationships",
    "fraction_simplification",
    "gcd",
    "knights_knaves",
    "lcm",
    "leg_counting",
    "letter_counting",
    "number_sequence",
    "products",
    "simple_equations",
    "syllogism",
)
_FRUITLESS = 200
"""A task that brings no new question this many times in a row has no more."""


@dataclass(frozen=True, kw_only=True)
class ReasoningGymOptions:
    datasets: tuple[str, ...] = option(_DEFAULT, "tasks by their Reasoning Gym names")
    size: int = option(2000, "problems in the pool, over all tasks", low=1)
    held_out: int = option(20, "held-out problems a task", low=0)


class ReasoningGymPool:
    def __init__(self, options: ReasoningGymOptions) -> None:
        self.options = options

    def load(self, rng: np.random.Generator) -> ProblemSets:
        if find_spec("reasoning_gym") is None:
            raise MissingExtra("--pool=reasoning-gym", "reasoning-gym", "reasoning-gym")
        names = tuple(dict.fromkeys(self.options.datasets))
        _check_names(names, self.options.size)
        problems: list[Problem] = []
        held_out: list[Problem] = []
        notes: list[str] = []
        for number, name in enumerate(names):
            wanted = self.options.size // len(names) + (number < self.options.size % len(names))
            pool_seed, held_out_seed = int(rng.integers(2**30)), int(2**30 + rng.integers(2**30))
            apart = _problems(name, f"{name}-held-out", held_out_seed, self.options.held_out, set())
            made = _problems(name, name, pool_seed, wanted, {problem.question for problem in apart})
            if not made:
                raise UsageError(
                    f"pool.datasets: {name} has no question left for the pool beside {len(apart)} held-out ones: "
                    "leave it out or lower pool.held_out"
                )
            if len(made) < wanted:
                notes.append(f"Reasoning Gym's {name} has only {len(made)} different questions, not {wanted}.")
            problems += made
            held_out += apart
        return ProblemSets(problems=tuple(problems), held_out=tuple(held_out), notes=tuple(notes))


def _check_names(names: tuple[str, ...], size: int) -> None:
    from reasoning_gym.factory import DATASETS

    if not names:
        raise UsageError("pool.datasets: expected at least one Reasoning Gym task, got none")
    for name in names:
        if name not in DATASETS:
            raise UsageError(f"pool.datasets: Reasoning Gym has no task {name}.{nearest(name, sorted(DATASETS))}")
        reason = _refusal(name)
        if reason:
            raise UsageError(f"pool.datasets: {name} cannot be used: {reason}. Leave it out.")
    if size < len(names):
        raise UsageError(f"pool.size: expected at least {len(names)}, one problem a task, got {size}")


def _refusal(name: str) -> str:
    """Why a known task cannot be used; empty if it can."""
    if name in RUNS_ANSWERS:
        return "its scorer would run a model's answer as Python code"
    if name == "composite":
        return "it is a mixture of other tasks; name these instead"
    if name == "game_of_life_halting":
        return "its scorer takes any answer for True"
    return ""


def _problems(name: str, prefix: str, seed: int, wanted: int, taken: set[str]) -> list[Problem]:
    """Up to ``wanted`` problems with different questions, none of them in ``taken``."""
    if not wanted:
        return []
    seen = set(taken)
    problems: list[Problem] = []
    fruitless = 0
    for category, entry in _entries(name, seed, 2 * wanted + _FRUITLESS):
        question = entry["question"]
        fruitless += 1
        if question not in seen:
            fruitless = 0
            seen.add(question)
            problems.append(
                Problem(
                    id=f"{prefix}-{len(problems)}",
                    question=question,
                    answer=entry["answer"],
                    tags=(category.replace("_", " "), name.replace("_", " ")),
                    domain="reasoning-gym",
                    group=name,
                    extra={"dataset": name, "entry": entry},
                )
            )
        if len(problems) == wanted or fruitless == _FRUITLESS:
            break
    return problems


def _entries(name: str, seed: int, most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Category and entry, as JSON gives it back, of up to ``most`` items; the first one is put to the scorer."""
    import reasoning_gym

    dataset = reasoning_gym.create_dataset(name, seed=seed, size=most)
    for index in range(most):
        made = dataset[index]
        if not isinstance(made["answer"], str) or not made["answer"].strip():
            raise UsageError(f"pool.datasets: {name} cannot be used: its problems have no gold answer. Leave it out.")
        try:
            entry = json.loads(json.dumps(made))
            accepted = index > 0 or dataset.score_answer(entry["answer"], json.loads(json.dumps(made))) == 1.0
        except (TypeError, KeyError):
            accepted = False
        if not accepted:
            raise UsageError(
                f"pool.datasets: {name} cannot be used: its scorer does not accept the gold answer of an entry that "
                "was stored as JSON. Leave it out."
            )
        yield dataset.category, entry


@hookimpl
def saidpo_pools() -> list[Component[Pool]]:
    return [
        Component(
            name="reasoning-gym",
            summary="procedural problems of Reasoning Gym, judged by its own scorers",
            options=ReasoningGymOptions,
            build=ReasoningGymPool,
            needs="reasoning_gym",
            extra="reasoning-gym",
        )
    ]
