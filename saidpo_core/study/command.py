"""``saidpo study FILE``: run what is not there yet, then say what was found."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from saidpo_core.cli.listing import say_broken_briefly
from saidpo_core.errors import NothingToDo, SaidpoError
from saidpo_core.events import Observers
from saidpo_core.registry import Registry
from saidpo_core.run_dir import disk_errors, locked, write_atomically
from saidpo_core.study.analysis import analyse
from saidpo_core.study.file import read_study
from saidpo_core.study.jobs import Outcome, run_jobs
from saidpo_core.study.plan import Study
from saidpo_core.study.tables import as_markdown


def study_file(
    registry: Registry, path: Path, *, on: str | None, out: Path | None, jobs: int, plan: bool, as_json: bool
) -> None:
    """As ``saidpo study --help`` says."""
    say_broken_briefly(registry)
    where = out or Path("runs") / (f"{path.stem}-{on}" if on else path.stem)
    study = read_study(registry, path, on, where)
    if plan:
        print(describe(study))
        return
    run_study(registry, study, where, jobs, as_json=as_json)


def describe(study: Study) -> str:
    """What would run."""
    lines = [study.title, *study.texts.values(), ""]
    lines.append(f"{len(study.jobs)} runs: {len(study.arms)} arms, {len(study.bases)} bases, {len(study.seeds)} seeds")
    lines.append(f"reference: {study.reference}; score: {study.score}; tokens: {study.tokens}; steps: {study.steps}")
    return "\n".join([*lines, *(shlex.join(["saidpo", *job.flags]) for job in study.jobs)])


def run_study(registry: Registry, study: Study, out: Path, jobs: int, *, as_json: bool = False) -> None:
    """Run, analyse, write ``study.json`` and ``study.md`` into ``out``, tell observers, print, name what failed."""
    with disk_errors(out), locked(out):
        outcome = run_jobs(study, jobs or os.cpu_count() or 1)
        result = analyse(study)
        write_result(result, out)
        Observers(registry.manager).after_study(out, result)
    print(json.dumps(result, indent=1) if as_json else f"\n{as_markdown(result)}\n{_where(out)}")
    _say_failed(study, outcome)
    if not outcome.ran:
        raise NothingToDo(f"nothing was run: all {len(study.jobs)} runs in {out} were complete already")


def write_result(result: dict[str, Any], out: Path) -> None:
    write_atomically(out / "study.json", json.dumps(result, indent=1) + "\n")
    write_atomically(out / "study.md", as_markdown(result))


def _where(out: Path) -> str:
    page = f"; page: {out}/study.html" if (out / "study.html").is_file() else ""
    return f"all runs: {out}; figures: {out}/study.json{page}"


def _say_failed(study: Study, outcome: Outcome) -> None:
    if not outcome.failed:
        return
    job = next(job for job in study.jobs if job in outcome.failed)  # the first one, not that which failed first
    raise SaidpoError(
        f"{len(outcome.failed)} of {len(study.jobs)} runs failed, the others are kept. {job}: {outcome.failed[job]}\n"
        f"repeat it alone: {shlex.join(['saidpo', *job.flags])}"
    )
