"""Records as JSON lines and back, exactly: what is read is equal to what was written, floats included."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from saidpo_core.records import (
    Attempts,
    Evaluation,
    Generation,
    GroupScore,
    Pair,
    Problem,
    Response,
    TrainingReport,
    Verdict,
)

T = TypeVar("T")


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Each row as one line of JSON."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_lines(path: Path, decode: Callable[[Any], T]) -> Iterator[T]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield decode(json.loads(line))


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def problem_to_json(problem: Problem) -> dict[str, Any]:
    row: dict[str, Any] = {"id": problem.id, "question": problem.question, "answer": problem.answer}
    row |= {"tags": problem.tags, "domain": problem.domain, "group": problem.group, "extra": dict(problem.extra)}
    return row


def problem_from_json(row: Any) -> Problem:
    return Problem(**{**row, "tags": tuple(row["tags"])})


def response_to_json(response: Response) -> dict[str, Any]:
    """Without ``seconds``: what is measured differs from run to run, and must not make equal runs look unequal."""
    row: dict[str, Any] = {
        "text": response.text,
        "token_ids": response.token_ids,
        "logprobs": response.logprobs,
        "finish_reason": response.finish_reason,
    }
    return {**row, "widths": response.widths} if response.widths else row


def _response_from_json(row: Any, seconds: float = 0.0) -> Response:
    return Response(
        text=row["text"],
        token_ids=tuple(row["token_ids"]),
        logprobs=tuple(row["logprobs"]),
        finish_reason=row["finish_reason"],
        seconds=seconds,
        widths=tuple(row.get("widths", ())),
    )


def attempts_to_json(attempts: Attempts) -> dict[str, Any]:
    return {
        "problem_id": attempts.problem_id,
        "prompt_ids": attempts.prompt_ids,
        "responses": [response_to_json(response) for response in attempts.responses],
        "verdicts": [[v.outcome, v.extracted, v.reason] for v in attempts.verdicts],
    }


def seconds_to_json(made: Attempts | Generation) -> list[float]:
    return [round(response.seconds, 6) for response in made.responses]


def attempts_from_json(row: Any, seconds: list[float]) -> Attempts:
    return Attempts(
        problem_id=row["problem_id"],
        prompt_ids=tuple(row["prompt_ids"]),
        responses=tuple(_response_from_json(r, s) for r, s in zip(row["responses"], seconds, strict=True)),
        verdicts=tuple(Verdict(outcome=o, extracted=e, reason=r) for o, e, r in row["verdicts"]),
    )


def pair_to_json(pair: Pair) -> dict[str, Any]:
    return {
        "problem_id": pair.problem_id,
        "prompt_ids": pair.prompt_ids,
        "chosen": response_to_json(pair.chosen),
        "rejected": response_to_json(pair.rejected),
    }


def pair_from_json(row: Any) -> Pair:
    return Pair(
        problem_id=row["problem_id"],
        prompt_ids=tuple(row["prompt_ids"]),
        chosen=_response_from_json(row["chosen"]),
        rejected=_response_from_json(row["rejected"]),
    )


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "accuracy_balanced": finite_or_none(evaluation.accuracy_balanced),
        "accuracy_pool": finite_or_none(evaluation.accuracy_pool),
        "unverifiable": evaluation.unverifiable,
        "truncated": evaluation.truncated,
        "groups": {name: _score_to_json(score) for name, score in evaluation.groups.items()},
        **({"interval": evaluation.interval} if evaluation.interval else {}),
        **({"details": dict(evaluation.details)} if evaluation.details else {}),
    }


def _score_to_json(score: GroupScore) -> list[Any]:
    """[right, total], and a third item with whatever else is known."""
    row: list[Any] = [score.right, score.total]
    more = {name: getattr(score, name) for name in _SCORE if getattr(score, name) != getattr(_PLAIN, name)}
    return [*row, more] if more else row


_PLAIN = GroupScore(right=0, total=0)
_SCORE = ("samples", "interval", "truncated", "unverifiable", "tokens")


def _score_from_json(row: list[Any]) -> GroupScore:
    more = dict(row[2]) if len(row) > 2 else {}
    if "interval" in more:
        more["interval"] = tuple(more["interval"])
    return GroupScore(right=row[0], total=row[1], **more)


def evaluation_from_json(row: Any) -> Evaluation:
    nan = float("nan")
    return Evaluation(
        groups={name: _score_from_json(score) for name, score in row["groups"].items()},
        accuracy_balanced=nan if row["accuracy_balanced"] is None else row["accuracy_balanced"],
        accuracy_pool=nan if row["accuracy_pool"] is None else row["accuracy_pool"],
        unverifiable=row["unverifiable"],
        truncated=row["truncated"],
        interval=tuple(row["interval"]) if "interval" in row else None,
        details=row.get("details", {}),
    )


def generation_to_json(problem: Problem, generation: Generation) -> dict[str, Any]:
    return {
        "problem_id": problem.id,
        "prompt_ids": generation.prompt_ids,
        "responses": [response_to_json(response) for response in generation.responses],
    }


def generation_from_json(row: Any, seconds: list[float]) -> Generation:
    return Generation(
        prompt_ids=tuple(row["prompt_ids"]),
        responses=tuple(_response_from_json(r, s) for r, s in zip(row["responses"], seconds, strict=True)),
    )


def report_to_json(report: TrainingReport) -> dict[str, Any]:
    metrics = {key: finite_or_none(float(value)) for key, value in report.metrics.items()}
    return {"steps": report.steps, "metrics": metrics, "generated_tokens": report.generated_tokens}


def report_from_json(row: Any) -> TrainingReport:
    metrics = {key: float("nan") if value is None else value for key, value in row["metrics"].items()}
    return TrainingReport(steps=row["steps"], metrics=metrics, generated_tokens=row.get("generated_tokens", 0))


def finite_or_none(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def without_nan(value: Any) -> Any:
    """The same tables and lists, with None for every number that JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return finite_or_none(value) if isinstance(value, float) else value
