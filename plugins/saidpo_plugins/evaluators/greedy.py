"""Evaluator ``greedy``: one greedy response to every held-out problem, judged by the verifier.

Accuracy is reported a group (``Problem.group``, else the domain), as the mean over groups and as the mean weighted by
the groups' shares in the pool. A truncated response counts as not right, is reported and is not judged; an
unverifiable one counts as not right and is reported. **Ours**: the paper reports accuracy a benchmark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saidpo_core import (
    Component,
    Engine,
    Evaluation,
    Evaluator,
    GroupScore,
    Problem,
    Progress,
    Request,
    Verifier,
    hookimpl,
    option,
)
from saidpo_plugins.evaluators.scores import group_of, mean_accuracy


@dataclass(frozen=True, kw_only=True)
class GreedyOptions:
    per_batch: int = option(512, "problems handed to the generator and verifier at a time", low=1)


class GreedyEvaluator:
    def __init__(self, options: GreedyOptions) -> None:
        self.options = options

    def evaluate(
        self,
        held_out: Sequence[Problem],
        pool_shares: Mapping[str, float],
        engine: Engine,
        verifier: Verifier,
        progress: Progress,
    ) -> Evaluation:
        right: Counter[str] = Counter()
        unverifiable = truncated = 0
        for start in range(0, len(held_out), self.options.per_batch):
            problems = held_out[start : start + self.options.per_batch]
            requests = [Request(problem=problem, seeds=(0,)) for problem in problems]
            responses = [generation.responses[0] for generation in engine.generate(requests, greedy=True)]
            finished = [(p, r.text) for p, r in zip(problems, responses, strict=True) if not r.truncated]
            truncated += len(problems) - len(finished)
            for (problem, _), verdict in zip(finished, verifier.verify(finished), strict=True):
                right[group_of(problem)] += verdict.outcome == "right"
                unverifiable += verdict.outcome == "unverifiable"
            progress(start + len(problems), len(held_out))
        totals = Counter(map(group_of, held_out))
        groups = {name: GroupScore(right=right[name], total=total) for name, total in totals.items()}
        return Evaluation(
            groups=groups,
            accuracy_balanced=mean_accuracy(groups, dict.fromkeys(groups, 1.0)),
            accuracy_pool=mean_accuracy(groups, pool_shares),
            unverifiable=unverifiable,
            truncated=truncated,
        )


@hookimpl
def saidpo_evaluators() -> list[Component[Evaluator]]:
    return [
        Component(
            name="greedy",
            summary="accuracy of one greedy response to each held-out problem, balanced over groups and by pool share",
            options=GreedyOptions,
            build=GreedyEvaluator,
            default=True,
        )
    ]
