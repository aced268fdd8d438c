"""The command: facts and probes together, then the plan, then what a person or a program wants to read."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from saidpo_core.doctor.facts import (
    advice_on,
    component_facts,
    default_run_problems,
    extra_facts,
    importable,
    machine_facts,
    package_versions,
)
from saidpo_core.doctor.probes import Answer, asked
from saidpo_core.doctor.show import show_doctor
from saidpo_core.errors import SaidpoError, first_line
from saidpo_core.planning.command import existing
from saidpo_core.planning.plan import Plan
from saidpo_core.planning.show import lines_of
from saidpo_core.registry import Registry

QUICK, FULL = 2.3, 90.0
"""Seconds for all probes together."""
_TRIED = ("torch", "transformers", "trl")
"""Modules that every run imports; then those that components need."""
_TRIED_IN_FULL = ("accelerate", "datasets", "sentence_transformers", "sklearn", "math_verify", "peft", "ray", "vllm")


def doctor_of(registry: Registry, flags: dict[str, Any]) -> None:
    """``saidpo doctor`` with its flags."""
    from saidpo_core.cli.flags import settings_from
    from saidpo_core.planning.command import plan_of

    config, runs = flags.pop("config"), flags.pop("run_dir") or Path("runs")
    as_json, full = flags.pop("as_json"), flags.pop("full")
    settings = settings_from(registry, config, flags)
    doctor(registry, lambda: plan_of(registry, settings, config, runs, flags), runs, as_json=as_json, full=full)


def doctor(registry: Registry, plan: Callable[[], Plan], runs: Path, *, as_json: bool, full: bool) -> None:
    """Print it; ends with exit code 1 if a run without options could not work here, else 0."""
    deadline = time.monotonic() + (FULL if full else QUICK)
    components = component_facts(registry)
    needed = [row["needs"] for row in components if row["needs"] and row["works"]]
    modules = importable(dict.fromkeys([*_TRIED, *needed, *(_TRIED_IN_FULL if full else ())]))
    ready = [(row["kind"], row["name"]) for row in components if row["works"] and _diagnoses(registry, row)]
    folder = existing(runs)
    with asked(modules, ready, deadline) as futures:
        facts: dict[str, Any] = {"machine": machine_facts(folder), "packages": package_versions()}
        facts["extras"] = extra_facts()
        facts["broken_plugins"] = [str(item) for item in registry.broken]
        problems = default_run_problems(registry, folder)
        planned, reason = _planned(plan)
    answers: dict[str, Answer] = {name: future.result() for name, future in futures.items()}
    facts["imports"] = {module: _told(answers[module]) for module in modules}
    facts["components"] = [_completed(row, answers) for row in components]
    facts["advice"] = advice_on(facts, answers)
    facts["plan"] = planned.as_tree() if planned else None
    facts["plan_problem"] = reason
    problems += [f"{name} cannot be imported: {answers[name].problem}" for name in _TRIED if _fails(answers, name)]
    facts["default_run"] = {"works": not problems, "problems": problems}
    if as_json:
        click.echo(json.dumps(facts, indent=1, default=str))
    else:
        show_doctor(facts, list(lines_of(planned)) if planned else [])
    sys.exit(1 if problems else 0)


def _planned(plan: Callable[[], Plan]) -> tuple[Plan | None, str]:
    try:
        return plan(), ""
    except SaidpoError as error:
        return None, str(error)
    except Exception as error:  # of a package that is not whole
        return None, first_line(error)


def _diagnoses(registry: Registry, row: dict[str, Any]) -> bool:
    return registry.find(row["kind"], row["name"], "saidpo doctor").component.diagnose is not None


def _fails(answers: dict[str, Answer], name: str) -> bool:
    return name in answers and bool(answers[name].problem)


def _told(answer: Answer) -> dict[str, Any]:
    if answer.problem:
        return {"state": "broken", "problem": answer.problem}
    return {"state": "imports", **answer.facts} if answer.facts is not None else {"state": "not tried in time"}


def _completed(row: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Any]:
    """With what its package and the component itself answered."""
    if not row["works"]:
        return row
    said = answers.get(f"{row['kind']}/{row['name']}")
    package = answers.get(row["needs"])
    if package is not None and package.problem:
        return {**row, "works": False, "says": f"{row['needs']} cannot be imported: {package.problem}"}
    if said is not None:
        if said.problem or (said.facts and said.facts.get("problem")):
            return {**row, "works": False, "says": said.problem or (said.facts or {})["problem"]}
        if said.facts is None:
            return {**row, "works": None, "says": "not tried in time; --full waits for it"}
        return {**row, "says": said.facts.get("works", "")}
    if package is not None and package.facts is None:
        return {**row, "works": None, "says": f"{row['needs']} is installed; not imported in time, --full waits for it"}
    return row
