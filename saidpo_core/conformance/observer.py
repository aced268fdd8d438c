"""Checks of observers: told of a whole run, told again after a kill, of a run that failed, and of studies."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from saidpo_core.conformance.kit import Subject, check, must
from saidpo_core.events import StageEvent

_HOOKS = (
    "saidpo_before_stage",
    "saidpo_stage_progress",
    "saidpo_after_stage",
    "saidpo_after_round",
    "saidpo_after_run",
)
_OF_STUDIES = "saidpo_after_study"


def inputs(subject: Subject) -> Mapping[str, Any]:
    return {"ordinary": _record(2), "one": _record(0)}


def work(subject: Subject, component: Any, record: dict[str, Any], seed: int) -> list[str]:
    """Tell the run; what comes of it lies outside, so the result is which hooks it has."""
    _tell(subject, component, record)
    return [hook for hook in _HOOKS if hasattr(component, hook)]


@check("observer")
def looks_at_something(subject: Subject) -> None:
    """It has at least one of the hooks that observe a run; each that it has carries its mark."""
    component = subject.fresh()
    hooks = [hook for hook in (*_HOOKS, "saidpo_diagnose", _OF_STUDIES) if hasattr(component, hook)]
    must(hooks not in ([], [_OF_STUDIES]), f"it has none of {', '.join(_HOOKS)}")
    unmarked = [hook for hook in hooks if not hasattr(getattr(component, hook), "saidpo_impl")]
    must(not unmarked, f"{', '.join(unmarked)} carries no hookimpl, so it is never called")


@check("observer")
def bears_being_told_again(subject: Subject) -> None:
    """A run that goes on after a kill tells a fresh observer of its earlier rounds once more."""
    folder = subject.new_folder()
    _tell(subject, subject.fresh(), _record(1), folder, end=False)
    _tell(subject, subject.fresh(), _record(2), folder)


@check("observer")
def bears_a_run_that_fails(subject: Subject) -> None:
    """The end of a failed run, without any round, is an end as well."""
    component = subject.fresh()
    _call(component, "saidpo_after_run", run_dir=subject.new_folder(), record={"rounds": []}, problem="Error: x")


@check("observer")
def bears_a_study_whose_runs_failed(subject: Subject) -> None:
    """It is told of a study of which some runs ended, and of one of which none did; both are the same afterwards."""
    for result in (_study(ended=True), _study(ended=False)):
        before = copy.deepcopy(result)
        _call(subject.fresh(), _OF_STUDIES, study_dir=subject.new_folder(), result=result)
        must(result == before, "it changed the result of the study")


@check("observer")
def leaves_the_record_alone(subject: Subject) -> None:
    """What it is told is the same afterwards."""
    record = _record(2)
    before = copy.deepcopy(record)
    _tell(subject, subject.fresh(), record)
    must(record == before, "it changed the record of the run")


def _tell(subject: Subject, component: Any, record: dict[str, Any], folder: Any = None, *, end: bool = True) -> None:
    run_dir = folder or subject.new_folder()
    for row in record["rounds"]:
        event = StageEvent(run_dir=run_dir, round=row["round"], stage="evaluate", unit="problems")
        _call(component, "saidpo_before_stage", event=event)
        _call(component, "saidpo_stage_progress", event=event, done=1, total=2)
        _call(component, "saidpo_after_stage", event=event)
        so_far = {**record, "rounds": record["rounds"][: row["round"] + 1]}
        _call(component, "saidpo_after_round", row=row, record=so_far)
    if end:
        _call(component, "saidpo_after_run", run_dir=run_dir, record=record, problem="")


def _call(component: Any, hook: str, **arguments: Any) -> None:
    """As the core does: with those arguments that the function takes."""
    import inspect

    function = getattr(component, hook, None)
    if function is not None:
        function(**{name: arguments[name] for name in inspect.signature(function).parameters})


def _record(rounds: int) -> dict[str, Any]:
    """``summary.json`` of a small run, as far as observers are promised it."""
    counts = {"too_easy": 5, "usable": 3, "too_hard": 2, "unknown": 0, "right": 50, "wrong": 30}
    told = {"explored": 10, "pairs": 3, "yield": 0.3, "tokens": 800, "responses": 80, "unverifiable": 0, "truncated": 0}
    probe = {"pass_rate": 0.6, "pass_rate_error": 0.1, "length": 10.0, "repetition": 0.0, "truncated": 0.0}
    row = {**counts, **told, "probe": probe, "lengths": {"right": 9.0, "wrong": 11.0}, "training": {"loss_last": 0.6}}
    start = {"explored": 0, "pairs": 0, "yield": None, "tokens": 0}
    measured = {"accuracy_balanced": 0.5, "accuracy_pool": None, "seconds": 1.0}
    cluster = {"right": 25, "counted": 40, "explored": 5, "intended_share": 0.5, "achieved_share": 0.5}
    return {
        "rounds": [{"round": t, **measured, **(row if t else start)} for t in range(rounds + 1)],
        "clusters": [
            {"name": f"area {c}/x", "size": 10, "rounds": [{"round": t, **cluster} for t in range(1, rounds + 1)]}
            for c in range(2)
        ],
        "groups": {},
        "settings": {"rounds": 2, "seed": 0, "sampler": {"name": "uniform"}},
        "warnings": [],
        "findings": [],
        "finished": True,
    }


def _study(*, ended: bool) -> dict[str, Any]:
    """``study.json`` of two arms, as far as observers are promised it; of the second arm no run ended, or of both."""
    scores = {"final": [0.6, 0.0], "mean": [0.6, 0.0], "per-100k-tokens": [0.1, 0.0]}
    used = {"tokens": 800.0, "explored": 10.0, "steps": 3.0, "pairs": 3.0, "seconds": 1.0, "yield": 0.3}
    curve = {"mean": [0.5, 0.6], "sd": [0.0, 0.0], "accuracy": {"base/seed-0": [0.5, 0.6]}}
    unknown = ("mean", "low", "high", "p", "effect", "effect_low", "effect_high", "bases_low", "bases_high")
    difference: dict[str, Any] = {"pairs": 0, **dict.fromkeys(unknown)}
    tested = {**difference, "p_corrected": None, "paired": {"base": {}}}
    first: dict[str, Any] = {"runs": 1, "scores": scores, **used, **curve} if ended else {"runs": 0}
    return {
        "title": "One against another",
        "reference": "one",
        "score": "final",
        "bases": ["base"],
        "seeds": [0],
        "budget": {"tokens": "auto", "steps": "3", "warnings": []},
        "runs": {"planned": 2, "finished": int(ended)},
        "arms": {
            "one": {"planned": 1, **first, "settings": {"sampler": "uniform"}},
            "other": {"planned": 1, "runs": 0, "settings": {"sampler": "static"}},
        },
        "comparisons": {"other": {name: tested if name == "final" else difference for name in scores}},
        "settings": {"rounds": 1},
        "command": "saidpo compare --samplers=uniform,static",
        "saidpo": "0",
    }
