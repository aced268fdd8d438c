"""A training job as files, for workers to read: JSON only. Problems stay with the run, which judges by their ids."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import TrainingJob, Verifier
from saidpo_core.codecs import (
    attempts_from_json,
    attempts_to_json,
    pair_from_json,
    pair_to_json,
    problem_from_json,
    problem_to_json,
    read_json,
    read_lines,
    write_json,
    write_lines,
)
from saidpo_core.options import build_options, plain

if TYPE_CHECKING:
    from saidpo_plugins.trainers.launch import Spreadable


def write_job(folder: Path, trainer: Spreadable, job: TrainingJob) -> None:
    write_lines(folder / "pairs.jsonl", map(pair_to_json, job.pairs))
    write_lines(folder / "attempts.jsonl", map(attempts_to_json, job.attempts))
    write_lines(folder / "problems.jsonl", map(problem_to_json, job.problems.values()))
    write_json(
        folder / "job.json",
        {
            "trainer": _name(type(trainer)),
            "options": [_name(type(trainer.options)), {**plain(trainer.options), "launch": "none", "processes": 1}],
            **{key: str(getattr(job, key).absolute()) for key in ("policy", "initial_policy", "out")},
            **{key: getattr(job, key) for key in ("samples", "round", "seed")},
        },
    )


def read_job(folder: Path, verifier: Verifier, progress: Callable[[int, int], None]) -> tuple[Spreadable, TrainingJob]:
    row: dict[str, Any] = read_json(folder / "job.json")
    name, values = row.pop("options")
    options = build_options(_named(name), values, {key: f"--trainer.{key}" for key in values})
    trainer: Spreadable = _named(row.pop("trainer"))(options)
    row |= {key: Path(row[key]) for key in ("policy", "initial_policy", "out")}
    attempts = read_lines(folder / "attempts.jsonl", lambda a: attempts_from_json(a, [0.0] * len(a["responses"])))
    return trainer, TrainingJob(
        **row,
        pairs=tuple(read_lines(folder / "pairs.jsonl", pair_from_json)),
        attempts=tuple(attempts),
        problems={problem.id: problem for problem in read_lines(folder / "problems.jsonl", problem_from_json)},
        verifier=verifier,
        progress=progress,
    )


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _named(name: str) -> Any:
    module, _, kind = name.partition(":")
    return getattr(import_module(module), kind)
