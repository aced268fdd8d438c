"""Evaluator ``benchmarks``: the paper's eight benchmarks, greedy or avg@n, each with its 95% interval.

Problems come from files of one's own or from the hub (``saidpo_plugins/common/benchmarks.py``), and are judged by the
run's verifier. The paper reports accuracy a benchmark and says little of how; what is recorded with the result is
**ours**: prompt, limits and temperature (with the run's settings), number of samples, source and hash of each set.

A response that was cut off counts as not right and is not judged; an unverifiable one counts as not right. Both are
reported.

    saidpo eval --model MODEL --benchmarks aime24,amc23 --samples 32
    saidpo --evaluator=benchmarks --evaluator.names=math500,aime24
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import (
    Component,
    Engine,
    Evaluation,
    Evaluator,
    GroupScore,
    Problem,
    Progress,
    Request,
    Trial,
    UsageError,
    Verifier,
    hookimpl,
    option,
)
from saidpo_plugins.evaluators.scores import group_of, mean_accuracy

_RESPONSES = 512
"""Asked for in one call: what a kill can cost, and what waits in memory."""


@dataclass(frozen=True, kw_only=True)
class BenchmarksOptions:
    names: tuple[str, ...] = option(
        (),
        "gsm8k, math500, minerva, gaokao2023en, olympiadbench, collegemath, aime24, amc23 or names of files, with "
        "commas; without any: all files, or all eight",
    )
    files: Path | None = option(None, "folder with NAME.jsonl or NAME.parquet; what is not there comes from the hub")
    samples: int = option(1, "responses a problem: 1 is greedy, more are sampled and averaged (avg@n)", low=1)
    temperature: float | None = option(None, "while measuring, for samples above 1; none: the generator's", low=0.01)
    top_p: float | None = option(None, "while measuring, for samples above 1; none: the generator's", low=0.01, high=1)
    max_new_tokens: int | None = option(None, "while measuring; none: the generator's", low=1)
    seed: int = option(0, "the samples follow from it, the same ones each round", low=0)

    def __post_init__(self) -> None:
        if self.samples == 1 and (self.temperature is not None or self.top_p is not None):
            raise ValueError(
                "--evaluator.temperature and top_p are for sampled responses, and one response is greedy; "
                "give --evaluator.samples=N with N above 1"
            )


class BenchmarksEvaluator:
    def __init__(self, options: BenchmarksOptions) -> None:
        self.options = options

    def problems(self, held_out: Sequence[Problem]) -> Sequence[Problem]:
        from saidpo_plugins.common.benchmarks import load_benchmarks

        return load_benchmarks(self.options.names, self.options.files)

    def engine_options(self) -> Mapping[str, Any]:
        options = self.options
        wanted = {"temperature": options.temperature, "top_p": options.top_p, "max_new_tokens": options.max_new_tokens}
        return {name: value for name, value in wanted.items() if value is not None}

    def evaluate(
        self,
        held_out: Sequence[Problem],
        pool_shares: Mapping[str, float],
        engine: Engine,
        verifier: Verifier,
        progress: Progress,
    ) -> Evaluation:
        samples = self.options.samples
        tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
        size = max(1, _RESPONSES // samples)
        for start in range(0, len(held_out), size):
            problems = held_out[start : start + size]
            requests = [Request(problem=problem, seeds=self._seeds(problem)) for problem in problems]
            generations = engine.generate(requests, greedy=samples == 1)
            finished = [
                (problem, response.text)
                for problem, generation in zip(problems, generations, strict=True)
                for response in generation.responses
                if not response.truncated
            ]
            verdicts = iter(verifier.verify(finished))
            for problem, generation in zip(problems, generations, strict=True):
                outcomes = [next(verdicts).outcome for response in generation.responses if not response.truncated]
                tallies[group_of(problem)].add(outcomes, sum(len(r.token_ids) for r in generation.responses), samples)
            progress(start + len(problems), len(held_out))
        return self._evaluation(held_out, pool_shares, {name: tally.score(samples) for name, tally in tallies.items()})

    def _seeds(self, problem: Problem) -> tuple[int, ...]:
        from saidpo_core.seeds import keyed_seed

        return tuple(keyed_seed(self.options.seed, "benchmarks", problem.id, k) for k in range(self.options.samples))

    def _evaluation(
        self, problems: Sequence[Problem], pool_shares: Mapping[str, float], groups: Mapping[str, GroupScore]
    ) -> Evaluation:
        from saidpo_core.intervals import mean_interval

        intervals = [score.interval for score in groups.values() if score.interval]
        return Evaluation(
            groups=groups,
            accuracy_balanced=mean_accuracy(groups, dict.fromkeys(groups, 1.0)),
            accuracy_pool=mean_accuracy(groups, pool_shares),
            unverifiable=sum(score.unverifiable for score in groups.values()),
            truncated=sum(score.truncated for score in groups.values()),
            interval=mean_interval([score.accuracy for score in groups.values()], intervals) if groups else None,
            details=self._details(problems),
        )

    def _details(self, problems: Sequence[Problem]) -> dict[str, Any]:
        """How it was measured, beside what the run's own settings say."""
        from saidpo_plugins.common.benchmarks import BENCHMARKS, content_hash

        members: defaultdict[str, list[Problem]] = defaultdict(list)
        for problem in problems:
            members[group_of(problem)].append(problem)
        sets = {
            name: {
                "problems": len(mine),
                **({"whole_set": BENCHMARKS[name].size} if name in BENCHMARKS else {}),
                "source": mine[0].extra.get("source", "the pool"),
                "sha256": content_hash(mine),
            }
            for name, mine in members.items()
        }
        options = self.options
        decoding = "greedy" if options.samples == 1 else f"avg@{options.samples}"
        return {"decoding": decoding, "samples": options.samples, "seed": options.seed, "benchmarks": sets}


class _Tally:
    """Counts of one benchmark."""

    def __init__(self) -> None:
        self.right: list[int] = []
        """Right responses of each problem."""
        self.counts: Counter[str] = Counter()

    def add(self, outcomes: Sequence[str], tokens: int, samples: int) -> None:
        self.right.append(outcomes.count("right"))
        self.counts["unverifiable"] += outcomes.count("unverifiable")
        self.counts["truncated"] += samples - len(outcomes)
        self.counts["tokens"] += tokens

    def score(self, samples: int) -> GroupScore:
        from saidpo_core.intervals import accuracy_interval

        return GroupScore(
            right=sum(self.right),
            total=len(self.right) * samples,
            samples=samples,
            interval=accuracy_interval(self.right, samples),
            truncated=self.counts["truncated"],
            unverifiable=self.counts["unverifiable"],
            tokens=self.counts["tokens"],
        )


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """Two small files: one like AIME24's, one of one's own."""
    aime = [{"id": n, "problem": f"What is {n} + 30?", "solution": f"\\boxed{{{n + 30:03}}}"} for n in range(6)]
    own = [{"question": f"What is {n} + 1?", "answer": n + 1} for n in range(9)]
    for name, rows in (("aime24", aime), ("sums", own)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield Trial(options={"files": str(folder)})


def _plan(options: BenchmarksOptions, held_out: int) -> int:
    """The whole sets of the paper's, which are known; files of one's own have to be read to be counted."""
    from saidpo_plugins.common.benchmarks import BENCHMARKS

    names = options.names or tuple(BENCHMARKS)
    if options.files is not None or not set(names) <= set(BENCHMARKS):
        raise UsageError("how many problems files hold is not known without reading them")
    return options.samples * sum(BENCHMARKS[name].size for name in dict.fromkeys(names))


@hookimpl
def saidpo_evaluators() -> list[Component[Evaluator]]:
    return [
        Component(
            name="benchmarks",
            summary="the paper's eight benchmarks, from files or the hub: greedy or avg@n, with 95% intervals",
            options=BenchmarksOptions,
            build=BenchmarksEvaluator,
            plan=_plan,
            trial=_trial,
        )
    ]
