"""A run directory written by the run's own code, of a policy that is made up: any size, any text, in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from saidpo_core import Attempts, Evaluation, GroupScore, Pair, Problem, ProblemSets, Response, TrainingReport, Verdict
from saidpo_core.codecs import (
    evaluation_to_json,
    pair_to_json,
    problem_to_json,
    report_to_json,
    write_json,
    write_lines,
)
from saidpo_core.events import Observers
from saidpo_core.prepare import Knowledge
from saidpo_core.problem_file import outline_of
from saidpo_core.registry import load_registry
from saidpo_core.rollouts import write_attempts
from saidpo_core.run_dir import RunDir
from saidpo_core.selection import Draw
from saidpo_core.settings import resolve
from saidpo_core.summary import Summary


@dataclass
class MadeUp:
    """What is to be made up; the defaults are a run in which all went well."""

    problems: int = 240
    clusters: int = 6
    rounds: int = 3
    probe: int = 60
    draw: int = 60
    samples: int = 8
    seed: int = 0
    held_out: int = 25
    """Problems in each of ``clusters`` held-out groups."""
    dimensions: int = 16
    settings: dict[str, Any] = field(default_factory=dict)
    """As flags would give them: ``{"sampler": "uniform"}``."""
    tag: Callable[[int], str] = lambda c: f"area {c}"
    """Of a cluster."""
    question: Callable[[int], str] = lambda i: f"What is {i} + {i}?"
    text: Callable[[int, bool], str] = lambda i, right: f"{i}+{i}={2 * i}\n#### {2 * i if right else 2 * i + 1}"
    """Of a response to problem i."""
    pass_rate: Callable[[int, int], float] = lambda c, t: min(1.0, (0.3 if c < 2 else 0.9) + 0.2 * (t - 1))
    """Of a cluster in round t, by the policy that the round begins with."""
    weight: Callable[[int, int], float] = lambda c, t: 3.0 if c < 2 else 1.0
    accuracy: Callable[[int], float] = lambda t: 0.5 + 0.1 * t
    """Held-out, after round t."""
    length: Callable[[int], int] = lambda t: 20
    ids: Callable[[int], tuple[int, ...]] | None = None
    """Token ids of a response in round t, if its length is not enough."""
    truncated: float = 0.0
    unverifiable: float = 0.0
    """Shares of the responses."""
    training: Callable[[int], dict[str, float]] = lambda t: {
        "loss_last": 0.6, "chosen_logp_drift": 0.5, "rejected_logp_drift": -2.0 * t,
    }  # fmt: skip
    finished: bool = True

    def write(self, path: Path) -> dict[str, Any]:
        """Make the run directory and return its record."""
        return _Writer(self, path).write()


class _Writer:
    def __init__(self, wanted: MadeUp, path: Path) -> None:
        import tomli_w

        self.wanted = wanted
        self.rng = np.random.default_rng(wanted.seed)
        registry = load_registry()
        given = {"rounds": max(1, wanted.rounds), "samples": wanted.samples, "model": "made-up", **wanted.settings}
        tree = resolve(registry, given, {key: key for key in given}).as_tree()
        path.mkdir(parents=True)
        about = {"model": "0" * 64, "packages": {"python": "3"}, "components": {"pool": "saidpo/arithmetic"}}
        (path / "run.toml").write_text(tomli_w.dumps({**tree, "about": about}))
        self.run_dir = RunDir(path, Observers(registry.manager))
        self.summary = Summary(self.run_dir, tree, [], time.time(), (wanted.samples,))
        self.knowledge = self._knowledge()

    def write(self) -> dict[str, Any]:
        wanted = self.wanted
        self._knowledge_stages()
        self.summary.begin(self.knowledge, self._evaluate(0))
        for t in range(1, wanted.rounds + 1):
            self._round(t)
        if wanted.finished:
            self.summary.finish()
        return self.summary.tree

    def _knowledge(self) -> Knowledge:
        wanted = self.wanted
        labels = np.arange(wanted.problems, dtype=np.int64) % wanted.clusters
        problems = tuple(
            Problem(id=f"p{i}", question=wanted.question(i), answer=str(2 * i), group=f"group {labels[i]}")
            for i in range(wanted.problems)
        )
        held_out = tuple(
            Problem(id=f"h{c}-{i}", question="?", answer="0", group=f"group {c}")
            for c in range(wanted.clusters)
            for i in range(wanted.held_out)
        )
        tags: list[tuple[str, ...]] = [(wanted.tag(int(c)), f"kind {i % 7}") for i, c in enumerate(labels)]
        centres = self.rng.normal(size=(wanted.clusters, wanted.dimensions))
        self.unique = sorted(set(zip(labels.tolist(), (i % 7 for i in range(wanted.problems)), strict=True)))
        place = {key: row for row, key in enumerate(self.unique)}
        self.index = np.array([place[int(c), i % 7] for i, c in enumerate(labels)], dtype=np.int64)
        noise = 0.2 * self.rng.normal(size=(len(self.unique), wanted.dimensions))
        self.vectors = (centres[[c for c, _ in self.unique]] + noise).astype(np.float32)
        sets = ProblemSets(problems=problems, held_out=held_out)
        return Knowledge(sets, outline_of(problems), tags, labels, self.vectors[self.index])

    def _keep(self, t: int, name: str, make: Callable[[Path], None]) -> None:
        self.run_dir.keep(t, name, lambda folder, progress: make(folder), lambda folder: None)

    def _knowledge_stages(self) -> None:
        sets = self.knowledge.sets

        def pool(folder: Path) -> None:
            write_lines(folder / "problems.jsonl", map(problem_to_json, sets.problems))
            write_lines(folder / "held-out.jsonl", map(problem_to_json, sets.held_out))

        self._keep(0, "01-pool", pool)
        self._keep(0, "02-tag", lambda folder: write_lines(folder / "tags.jsonl", self.knowledge.tags))

        def embed(folder: Path) -> None:
            np.save(folder / "index.npy", self.index)
            for start in range(0, len(self.vectors), 20):
                np.save(folder / f"vectors-{start:07}.npy", self.vectors[start : start + 20])

        self._keep(0, "03-embed", embed)
        labels = {"labels": self.knowledge.labels}
        self._keep(0, "04-cluster", lambda folder: save_file(labels, folder / "clusters.safetensors"))

    def _evaluate(self, t: int) -> Evaluation:
        wanted = self.wanted
        accuracy = wanted.accuracy(t)
        score = GroupScore(right=round(accuracy * wanted.held_out), total=wanted.held_out)
        groups = {f"group {c}": score for c in range(wanted.clusters)} if wanted.held_out else {}
        value = score.right / score.total if wanted.held_out else float("nan")
        evaluation = Evaluation(groups=groups, accuracy_balanced=value, accuracy_pool=value)
        name = "06-evaluate" if t else "05-evaluate"
        self._keep(t, name, lambda folder: write_json(folder / "evaluation.json", evaluation_to_json(evaluation)))
        return evaluation

    def _round(self, t: int) -> None:
        wanted, labels = self.wanted, self.knowledge.labels
        probed = self.rng.choice(wanted.problems, wanted.probe, replace=False)
        weights = np.array([wanted.weight(int(c), t) for c in range(wanted.clusters)])[labels]
        drawn = self.rng.choice(wanted.problems, wanted.draw, replace=False, p=weights / weights.sum())
        shares = np.bincount(labels, weights, minlength=wanted.clusters) / weights.sum()
        draw = Draw(drawn, drawn[:0], [round(float(share), 6) for share in shares])
        probe = [self._attempt(int(row), t) for row in probed]
        explored = [*probe, *(self._attempt(int(row), t) for row in drawn if row not in set(probed.tolist()))]
        pairs = [
            Pair(problem_id=a.problem_id, prompt_ids=a.prompt_ids, chosen=a.right[0], rejected=a.wrong[0])
            for a in explored
            if a.usable
        ]
        report = TrainingReport(steps=10, metrics=wanted.training(t))
        rest = explored[len(probe) :]
        self._keep(t, "01-probe", lambda folder: write_attempts(folder / "attempts-0000000.jsonl", probe))
        self._keep(t, "02-weigh", lambda folder: write_json(folder / "draw.json", {"intended": draw.intended}))
        self._keep(t, "03-explore", lambda folder: write_attempts(folder / "attempts-0000000.jsonl", rest))
        self._keep(t, "04-pair", lambda folder: write_lines(folder / "pairs.jsonl", map(pair_to_json, pairs)))
        self._keep(t, "05-train", lambda folder: write_json(folder / "report.json", report_to_json(report)))
        self.summary.add_round(t, probe, draw, explored, pairs, report, self._evaluate(t))

    def _attempt(self, row: int, t: int) -> Attempts:
        wanted = self.wanted
        c = int(self.knowledge.labels[row])
        responses, verdicts = [], []
        for right in (self.rng.random(wanted.samples) < wanted.pass_rate(c, t)).tolist():
            ids = wanted.ids(t) if wanted.ids else tuple(range(wanted.length(t)))
            response = Response(
                text=wanted.text(row, right), token_ids=ids, logprobs=(-0.1,) * len(ids), finish_reason="stop"
            )
            verdict = Verdict(outcome="right" if right else "wrong", extracted="1")
            if self.rng.random() < wanted.truncated:
                response = replace(response, finish_reason="length")
                verdict = Verdict(outcome="unverifiable", reason="truncated")
            elif self.rng.random() < wanted.unverifiable:
                verdict = Verdict(outcome="unverifiable", reason="timeout")
            responses.append(response)
            verdicts.append(verdict)
        return Attempts(problem_id=f"p{row}", prompt_ids=(1, 2), responses=tuple(responses), verdicts=tuple(verdicts))
