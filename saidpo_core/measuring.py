"""Measuring a policy, in a run (``loop.py``) and alone (``saidpo eval``): with which problems, and one measurement.

Every response is kept beside the result. A measurement that was killed goes on: what was generated is read again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saidpo_core import codecs
from saidpo_core.components import BringsProblems, Progress
from saidpo_core.contracts import blame, check_evaluation, check_own_problems, require, unchanged
from saidpo_core.engines import NO_CHANGES
from saidpo_core.parts import Parts
from saidpo_core.records import Evaluation, Generation, Problem, Request, Verdict
from saidpo_core.run_dir import RunDir, write_atomically


def problems_to_measure(run_dir: RunDir, parts: Parts, held_out: Sequence[Problem]) -> tuple[Problem, ...]:
    """Those that the evaluator brings, asked once a run and kept; without any, the held-out ones of the pool."""
    evaluator, offer = parts.evaluator, parts.offer("evaluator")
    if not isinstance(evaluator, BringsProblems):
        return tuple(held_out)

    def make(folder: Path, progress: Progress) -> None:
        with blame(offer, "problems"), unchanged(offer, "problems", held_out):
            problems = evaluator.problems(held_out)
        check_own_problems(problems, offer)
        codecs.write_lines(folder / "problems.jsonl", map(codecs.problem_to_json, problems))

    def read(folder: Path) -> tuple[Problem, ...]:
        return tuple(codecs.read_lines(folder / "problems.jsonl", codecs.problem_from_json))

    def describe(problems: Sequence[Problem]) -> dict[str, Any]:
        return {"problems": len(problems), **Counter(map(group_of, problems))}

    return run_dir.keep(0, "01-problems-to-measure", make, read, unit="problems", describe=describe)


def measure(
    run_dir: RunDir, parts: Parts, t: int, policy: Path, problems: Sequence[Problem], shares: Mapping[str, float]
) -> Evaluation:
    """The evaluation of ``policy``, as a stage; ``shares`` of the groups in the pool."""
    evaluator, offer = parts.evaluator, parts.offer("evaluator")

    def make(folder: Path, progress: Progress) -> None:
        changes: Mapping[str, Any] = NO_CHANGES
        if isinstance(evaluator, BringsProblems):
            with blame(offer, "engine_options"):
                changes = evaluator.engine_options()
                require(isinstance(changes, Mapping), offer, "engine_options", "expected a mapping of options")
        verifier = _NotedVerifier(parts)
        engine = _NotedEngine(parts, policy, changes, folder)
        with run_dir.clock("evaluate"), blame(offer, "evaluate"), unchanged(offer, "evaluate", problems):
            evaluation = evaluator.evaluate(problems, shares, engine, verifier, progress)
        check_evaluation(evaluation, problems, offer)
        codecs.write_lines(folder / "verdicts.jsonl", verifier.rows())
        codecs.write_json(folder / "evaluation.json", codecs.evaluation_to_json(evaluation))

    name = "06-evaluate" if t else "05-evaluate"
    return run_dir.keep(t, name, make, _read, unit="problems", goes_on=True, describe=_describe)


def _read(folder: Path) -> Evaluation:
    return codecs.evaluation_from_json(codecs.read_json(folder / "evaluation.json"))


def _describe(evaluation: Evaluation) -> dict[str, Any]:
    low, high = evaluation.interval or (None, None)
    return {
        "accuracy_balanced": codecs.finite_or_none(evaluation.accuracy_balanced),
        "low": low,
        "high": high,
        "accuracy_pool": codecs.finite_or_none(evaluation.accuracy_pool),
        "held_out": sum(score.problems for score in evaluation.groups.values()),
    }


def seen_in_training(pool: Sequence[Problem], measured: Sequence[Problem]) -> list[str]:
    """What to say if questions to measure with are in the pool, word for word."""
    groups: dict[str, list[str]] = {}
    for problem in measured:
        groups.setdefault(" ".join(problem.question.split()), []).append(group_of(problem))
    found = Counter(group for p in pool for group in groups.get(" ".join(p.question.split()), ()))
    if not found:
        return []
    listed = ", ".join(f"{count} of {group}" for group, count in found.items())
    return [
        f"problems to measure with are in the pool too ({listed}), so the policy trains on them; take them out of it"
    ]


def group_of(problem: Problem) -> str:
    return problem.group or problem.domain


# ---- What was asked and answered -------------------------------------------------------------------------------------


class _NotedEngine:
    """Keeps the answers to each call in a file, and gives those of a killed process again. Loads when it has to."""

    def __init__(self, parts: Parts, policy: Path, changes: Mapping[str, Any], folder: Path) -> None:
        self._parts = parts
        self._policy = policy
        self._changes = changes
        self._folder = folder
        self._calls = 0

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        path = self._folder / f"answers-{self._calls:05}.jsonl"
        timing = path.with_name(f"timing-{path.name}")
        self._calls += 1
        asked = [[r.problem.id, r.problem.question, r.seeds] for r in requests]
        call = hashlib.sha256(json.dumps([greedy, asked]).encode()).hexdigest()
        if path.is_file():
            first, *rows = codecs.read_lines(path, lambda row: row)
            if first == {"call": call}:
                seconds = codecs.read_lines(timing, lambda row: row)
                return [codecs.generation_from_json(row, next(seconds)) for row in rows]
            for old in self._folder.glob("answers-*.jsonl"):  # another evaluator's: these and all that came after
                if old.name >= path.name:
                    old.unlink()
        generations = self._parts.engine(self._policy, self._changes).generate(requests, greedy=greedy)
        write_atomically(timing, _lines(map(codecs.seconds_to_json, generations)))
        pairs = zip(requests, generations, strict=True)
        rows = [codecs.generation_to_json(request.problem, generation) for request, generation in pairs]
        write_atomically(path, _lines([{"call": call}, *rows]))
        return generations


def _lines(rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)


class _NotedVerifier:
    """The run's verifier, its verdicts noted. What it is asked more than once is noted once."""

    def __init__(self, parts: Parts) -> None:
        self._verifier = parts.verifier
        self._noted: dict[tuple[str, str], Verdict] = {}

    def self_test(self) -> None:
        self._verifier.self_test()

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        verdicts = self._verifier.verify(cases)
        self._noted |= {
            (problem.id, text_key(text)): verdict for (problem, text), verdict in zip(cases, verdicts, strict=True)
        }
        return verdicts

    def close(self) -> None:
        """The run closes it."""

    def rows(self) -> Iterator[list[Any]]:
        for (id, key), verdict in self._noted.items():
            yield [id, key, verdict.outcome, verdict.extracted, verdict.reason]


def text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_answers(folder: Path) -> Iterator[tuple[str, Generation]]:
    """(problem id, responses) of every call of a finished measurement, in order."""
    for path in sorted(folder.glob("answers-*.jsonl")):
        _, *rows = codecs.read_lines(path, lambda row: row)
        seconds = codecs.read_lines(path.with_name(f"timing-{path.name}"), lambda row: row)
        for row in rows:
            yield row["problem_id"], codecs.generation_from_json(row, next(seconds))


def read_verdicts(folder: Path) -> dict[tuple[str, str], Verdict]:
    """Verdicts of a finished measurement by problem id and ``text_key`` of the response."""
    rows = codecs.read_lines(folder / "verdicts.jsonl", lambda row: row)
    return {(id, key): Verdict(outcome=o, extracted=e, reason=r) for id, key, o, e, r in rows}
