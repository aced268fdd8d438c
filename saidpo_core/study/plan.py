"""A study that can run: its arms, first policies, seeds and budgets, every run's settings checked beforehand."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core.errors import UsageError
from saidpo_core.options import nearest, plain, shown
from saidpo_core.registry import Registry
from saidpo_core.settings import Settings, flat_settings, over, resolve

SCORES = ("final", "mean", "per-100k-tokens")
"""What can be tested, besides ``round-N``."""
_SETS_THE_PROBE = ("samples", "probe_share", "probe_min", "generator", "pool", "model", "prompt")


@dataclass(frozen=True, eq=False)
class Job:
    """One run of one arm, from one first policy, with one seed."""

    arm: str
    base: str
    seed: int
    folder: Path
    values: Mapping[str, Any]
    """Its settings, flat."""
    settings: Settings

    @property
    def flags(self) -> list[str]:
        """The run's own command line, as one may repeat it alone."""
        return [
            *(f"--{key if '.' in key else key.replace('_', '-')}={typed(value)}" for key, value in self.values.items()),
            f"--run-dir={self.folder}",
        ]

    def __str__(self) -> str:
        return f"{self.arm}, {self.base}, seed {self.seed}"


@dataclass(frozen=True)
class Study:
    """A study that can run: every job's settings were checked."""

    title: str
    texts: Mapping[str, str]
    """What the file says of it: question, source, about."""
    arms: tuple[str, ...]
    """The reference first."""
    bases: tuple[str, ...]
    seeds: tuple[int, ...]
    score: str
    tokens: str
    """How generated tokens are held equal: auto, free, or a number a round."""
    steps: str
    """How optimiser steps are held equal: the number a round, or free."""
    command: tuple[str, ...]
    """What asks for this study once more, after ``saidpo``; where runs are kept is left out."""
    jobs: tuple[Job, ...]
    """Every seed of all arms and bases, one seed after the other, so that what is there early can be looked at."""

    @property
    def reference(self) -> str:
        return self.arms[0]


def make_study(
    registry: Registry,
    *,
    arms: Mapping[str, tuple[str, Mapping[str, Any]]],
    common: Mapping[str, Mapping[str, Any]],
    bases: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    out: Path,
    title: str,
    texts: Mapping[str, str],
    reference: Any = None,
    score: Any = "final",
    tokens: Any = "auto",
    steps: Any = "settings",
    command: Sequence[str],
    where: str,
) -> Study:
    """A checked study. ``arms`` holds a place (for errors) and settings for each, ``common`` settings by place."""
    if len(arms) < 2:
        raise UsageError(f"{where}: a study needs at least two arms; it has {', '.join(arms) or 'none'}")
    reference = next(iter(arms)) if reference is None else reference
    if not isinstance(reference, str):
        raise UsageError(f"{where}: reference: expected the name of an arm, got {reference!r}")
    if reference not in arms:
        raise UsageError(f"{where}: reference: no arm is called {reference!r}.{nearest(reference, arms)}")
    _check_limits(tokens, steps, where)
    order = [reference, *(arm for arm in arms if arm != reference)]
    jobs = []
    for seed, base, arm in itertools.product(seeds, bases, order):
        sources = (*common.items(), (f"{where}: bases", bases[base]), arms[arm])
        values, places = _merged(sources, tokens, steps)
        values["seed"] = seed
        settings = resolve(registry, values, {key: places.get(key, f"{where}: budget") for key in values})
        jobs.append(Job(arm, base, seed, out / _slug(base) / _slug(arm) / f"seed-{seed}", values, settings))
    folders = [job.folder for job in jobs]
    if len(set(folders)) < len(folders):
        raise UsageError(f"{where}: two arms or two bases have names that are alike as folders; name them otherwise")
    _check_score(score, min(job.settings.run.rounds for job in jobs), where)
    _check_blocks(jobs, tokens, steps, where)
    return Study(
        title=title,
        texts=dict(texts),
        arms=tuple(order),
        bases=tuple(bases),
        seeds=tuple(seeds),
        score=score,
        tokens=str(tokens),
        steps="free" if steps == "free" else str(_steps_of(jobs[0])),
        command=tuple(command),
        jobs=tuple(jobs),
    )


def _merged(
    sources: Sequence[tuple[str, Mapping[str, Any]]], tokens: Any, steps: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Flat settings of a run, what comes later over what came before, with the budgets; and the place of each."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for source, tree in sources:
        flat = flat_settings(as_table(tree, source), source)
        values, places = over(values, flat), {**places, **{key: _within(source, key) for key in flat}}
    if "seed" in values:
        raise UsageError(f"{places['seed']}: seeds are the same for all arms: give them by seeds and first_seed alone")
    for key, limit, name in (("round_tokens", tokens, "tokens"), ("trainer.steps", steps, "steps")):
        if limit in ("free", "settings"):
            continue
        if str(values.get(key, limit)) != str(limit):  # not heeded, an arm would not be what its name says
            raise UsageError(
                f"{places[key]}: {values[key]} contradicts the study's budget of {name}, which is {limit} for all; "
                f"leave one of them out, or make the budget of {name} free if that is the question"
            )
        values[key] = limit
    return values, places


def _within(source: str, key: str) -> str:
    """Where a setting stands, for errors: a key of a table of a file, or a flag."""
    return f"{source}{key.replace('_', '-')}" if source.endswith("--") else f"{source}.{key}"


def _check_score(score: Any, rounds: int, where: str) -> None:
    number = re.fullmatch(r"round-([1-9][0-9]*)", score) if isinstance(score, str) else None
    if score not in SCORES and not (number and int(number[1]) <= rounds):
        known = ", ".join((*SCORES, "round-N"))
        raise UsageError(f"{where}: score: expected one of {known} with N from 1 to {rounds}, got {score!r}")


def _check_limits(tokens: Any, steps: Any, where: str) -> None:
    good = tokens in ("auto", "free") or (isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0)
    if not good:
        raise UsageError(f"{where}: budget.tokens: expected auto, free or a number of tokens a round, got {tokens!r}")
    if steps not in ("settings", "free") and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise UsageError(f"{where}: budget.steps: expected a number of optimiser steps a round, or free")


def _check_blocks(jobs: Sequence[Job], tokens: Any, steps: Any, where: str) -> None:
    """Refuse what could not be equal, or not differ: it would be found out after hours."""
    by_block: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        by_block.setdefault((job.base, job.seed), []).append(job)
    for block in by_block.values():
        trees = [job.settings.as_tree() for job in block]
        for (one, tree), (other, same) in itertools.combinations(zip(block, trees, strict=True), 2):
            if tree == same:
                raise UsageError(
                    f"{where}: arms {one.arm!r} and {other.arm!r} have the same settings on {one.base}: a difference "
                    "between them would mean nothing; set what they are to differ in"
                )
        differ = [key for key in _SETS_THE_PROBE if any(tree.get(key) != trees[0].get(key) for tree in trees)]
        if tokens == "auto" and differ:
            raise UsageError(
                f"{where}: arms differ in {differ[0]}, which changes what the first probe costs, so that auto would "
                "give each arm another limit of tokens; set [budget] tokens to a number a round, the same for all"
            )
        numbers = {_steps_of(job) for job in block}
        if steps != "free" and (len(numbers) > 1 or not all(numbers)):
            raise UsageError(
                f"{where}: optimiser steps a round are not the same number in all arms ({_listed(numbers)}): one with "
                "more pairs would train longer. Set [budget] steps to a number, or to free if that is the question"
            )


def _steps_of(job: Job) -> int:
    """The trainer's optimiser steps a round, 0 if they depend on the data."""
    found = plain(job.settings.parts["trainer"].options).get("steps", 0)
    return found if isinstance(found, int) else 0


def _listed(numbers: set[int]) -> str:
    return ", ".join(str(number) if number else "by the data" for number in sorted(numbers))


def as_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected a table, got {value!r}")
    return dict(value)


def typed(value: Any) -> str:
    return shown(tuple(value) if isinstance(value, list) else value)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_.=," else "-" for letter in name)
