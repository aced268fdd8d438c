"""What a study found: curves, budgets, scores, and the differences between arms with their intervals (**ours**).

Runs are paired: arms of one first policy (base) and seed share their pool, their first probe and their limit of tokens.
A difference is the mean over all pairs. Its error comes from the spread between seeds *within* the bases, so that its
interval speaks of new seeds on these very bases; with three bases or more a second interval, from the spread of the
bases' means, speaks of other bases made in the same way. p-values are two-sided, and corrected by Holm's method for the
number of arms that are compared with the reference, on the one score that the study names. Other scores are shown with
their intervals and without p-values: they were not what was asked.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import saidpo_core
from saidpo_core.codecs import without_nan
from saidpo_core.errors import SaidpoError, readable
from saidpo_core.hookspecs import KINDS
from saidpo_core.run_record import finished_record
from saidpo_core.statistics import Difference, difference, holm, mean_and_sd
from saidpo_core.study.plan import Job, Study
from saidpo_core.summary import spent

Block = tuple[str, int]
"""Base and seed: what a pair of runs shares."""
_UNEQUAL = 0.05
_BUDGETS = ("tokens", "explored", "steps", "pairs", "seconds")


@dataclass(frozen=True)
class Run:
    """One finished run, as far as a study looks at it."""

    curve: tuple[float, ...]
    """Balanced held-out accuracy before training and after each round, in [0, 1]; a run that stopped early stays."""
    totals: Mapping[str, float]
    """Tokens generated, problems explored, optimiser steps, pairs and seconds, over all rounds."""

    def score(self, name: str) -> float:
        """``final``, ``mean`` and ``round-N`` in [0, 1]; ``per-100k-tokens`` is accuracy gained for 100,000 tokens."""
        if name == "final":
            return self.curve[-1]
        if name == "mean":
            return sum(self.curve[1:]) / len(self.curve[1:])
        if name == "per-100k-tokens":
            return 1e5 * (self.curve[-1] - self.curve[0]) / max(1.0, self.totals["tokens"])
        return self.curve[min(int(name.removeprefix("round-")), len(self.curve) - 1)]


def analyse(study: Study) -> dict[str, Any]:
    """All figures of a study, as JSON holds them (None for what there is not). Failed runs are left out and counted."""
    runs = {job: found for job in study.jobs if (found := read_run(job)) is not None}
    rounds = min(job.settings.run.rounds for job in study.jobs)
    others = [*(f"round-{t}" for t in range(1, rounds)), "final", "mean", "per-100k-tokens"]
    scores = list(dict.fromkeys([study.score, *others]))
    arms = {arm: _arm(study, arm, runs, scores) for arm in study.arms}
    common, differing = settings_of(study)
    for arm, own in differing.items():
        arms[arm]["settings"] = own
    primary: dict[str, Difference] = {}
    comparisons: dict[str, dict[str, Any]] = {arm: {} for arm in study.arms[1:]}
    for name in scores:
        for arm in study.arms[1:]:
            paired = _paired(study, arm, runs, name)
            tested = difference({base: list(of.values()) for base, of in paired.items()})
            comparisons[arm][name] = asdict(tested)
            if name == study.score:
                primary[arm] = tested
                comparisons[arm][name]["paired"] = paired
    corrected = holm({arm: tested.p for arm, tested in primary.items()})
    for arm, p in corrected.items():
        comparisons[arm][study.score]["p_corrected"] = p
    tree: dict[str, Any] = {
        "title": study.title,
        **study.texts,
        "reference": study.reference,
        "score": study.score,
        "bases": list(study.bases),
        "seeds": list(study.seeds),
        "budget": {"tokens": study.tokens, "steps": study.steps, "warnings": _budget_warnings(study, arms)},
        "runs": {"planned": len(study.jobs), "finished": len(runs)},
        "arms": arms,
        "comparisons": comparisons,
        "settings": common,
        "command": shlex.join(["saidpo", *study.command]),
        "saidpo": saidpo_core.__version__,
    }
    return {key: without_nan(value) for key, value in tree.items()}


def read_run(job: Job) -> Run | None:
    """None if the run has not ended."""
    tree = finished_record(job.folder)
    if tree is None:
        return None
    with readable(job.folder / "summary.json"):
        rows = tree["rounds"]
        curve = [row["accuracy_balanced"] for row in rows]
    if None in curve:
        raise SaidpoError(f"{job.folder}: no held-out problems, so nothing to compare; give the pool some")
    curve += [curve[-1]] * (1 + job.settings.run.rounds - len(curve))
    return Run(tuple(curve), {key: float(spent(tree, key)) for key in _BUDGETS})


def _arm(study: Study, arm: str, runs: Mapping[Job, Run], scores: Sequence[str]) -> dict[str, Any]:
    mine = {job: run for job, run in runs.items() if job.arm == arm}
    planned = sum(job.arm == arm for job in study.jobs)
    if not mine:
        return {"runs": 0, "planned": planned}
    curves = list(zip(*(run.curve for run in mine.values()), strict=True))
    totals = {key: sum(run.totals[key] for run in mine.values()) / len(mine) for key in _BUDGETS}
    return {
        "runs": len(mine),
        "planned": planned,
        "mean": [mean_and_sd(values)[0] for values in curves],
        "sd": [mean_and_sd(values)[1] for values in curves],
        "scores": {name: mean_and_sd([run.score(name) for run in mine.values()]) for name in scores},
        **totals,
        "yield": totals["pairs"] / totals["explored"] if totals["explored"] else math.nan,
        "accuracy": {f"{job.base}/seed-{job.seed}": list(run.curve) for job, run in mine.items()},
    }


def settings_of(study: Study) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What was set for all arms, flat; and, of each arm, what was set otherwise in another one.

    Values are those that the runs had, also where an arm leaves to the default what another sets. All else, which is
    in the ``run.toml`` of each run, follows from the first policy and the version.
    """
    first = {arm: next(job for job in study.jobs if job.arm == arm) for arm in study.arms}
    keys = dict.fromkeys(key for job in first.values() for key in job.values if key not in ("model", "seed"))
    trees = {arm: job.settings.as_tree() for arm, job in first.items()}
    found = {arm: {key: _value_of(tree, key) for key in keys} for arm, tree in trees.items()}
    of_reference = found[study.reference]
    alike = {key for key in keys if all(own[key] == of_reference[key] for own in found.values())}
    common = {key: value for key, value in of_reference.items() if key in alike and value is not None}
    return common, {arm: {k: v for k, v in own.items() if k not in alike} for arm, own in found.items()}


def _value_of(tree: Mapping[str, Any], key: str) -> Any:
    """Of a setting, flat; None if the component that was chosen has no such option, or the run no such setting."""
    kind, _, option = key.partition(".")
    return tree[kind].get(option.replace("-", "_") or "name") if kind in KINDS else tree.get(kind)


def _paired(study: Study, arm: str, runs: Mapping[Job, Run], score: str) -> dict[str, dict[str, float]]:
    """Base -> seed -> difference of the score, of the seeds that both arms finished."""
    by_block: dict[Block, dict[str, float]] = {}
    for job, run in runs.items():
        by_block.setdefault((job.base, job.seed), {})[job.arm] = run.score(score)
    found: dict[str, dict[str, float]] = {base: {} for base in study.bases}
    for (base, seed), values in by_block.items():
        if arm in values and study.reference in values:
            found[base][str(seed)] = values[arm] - values[study.reference]
    return found


def _budget_warnings(study: Study, arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where what was held equal did not come out equal."""
    held = [key for key, how in (("tokens", study.tokens), ("steps", study.steps)) if how != "free"]
    found = [f"{key} were left free: arms may have used more or less" for key in ("tokens", "steps") if key not in held]
    base = arms[study.reference]
    for arm in study.arms[1:]:
        for key in held:
            if not base.get(key) or key not in arms[arm]:
                continue
            ratio = arms[arm][key] / base[key] - 1
            if abs(ratio) > _UNEQUAL:
                found.append(
                    f"{arm} used {abs(ratio):.0%} {'more' if ratio > 0 else 'fewer'} {key} than {study.reference}"
                )
    return found
