"""Which responses the trainers learn from that need no pairs: those of the problems that the round's pairs came from.

So sampler, difficulty and the budget of pairs decide for them as they do for DPO.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from saidpo_core import Response, TrainingJob, option
from saidpo_plugins.trainers.trl_options import TRLOptions


@dataclass(frozen=True, kw_only=True)
class ResponseOptions(TRLOptions):
    responses: Literal["all", "pairs"] = option(
        "all", "all distinct responses of the problems in the pairs, or those in the pairs only"
    )
    per_problem: int = option(
        4, "at most so many responses a problem, right and wrong ones counted apart; 0: no limit", low=0
    )


@dataclass(frozen=True, kw_only=True)
class Example:
    """A response after its prompt; the prompt of a pair may go on with tokens that both its responses begin with."""

    problem_id: str
    prompt_ids: tuple[int, ...]
    response: Response


def examples(job: TrainingJob, options: ResponseOptions, outcome: Literal["right", "wrong"]) -> list[Example]:
    """Right or wrong responses, each token sequence once; up to the limit the first, since samples have no order."""
    limit = options.per_problem
    found: dict[tuple[str, tuple[int, ...]], Example] = {}
    taken: Counter[str] = Counter()
    for example in _of_pairs(job, outcome) if options.responses == "pairs" else _of_attempts(job, outcome):
        key = (example.problem_id, example.prompt_ids + example.response.token_ids)
        if key not in found and (not limit or taken[example.problem_id] < limit):
            found[key] = example
            taken[example.problem_id] += 1
    return list(found.values())


def pair_problems(job: TrainingJob) -> list[str]:
    """The ids of the problems that the pairs came from, each once, in their order."""
    return list(dict.fromkeys(pair.problem_id for pair in job.pairs))


def of_pair_problems(job: TrainingJob) -> TrainingJob:
    """The job without the attempts at other problems: what its trainers need of it."""
    ids = set(pair_problems(job))
    return replace(
        job,
        attempts=tuple(item for item in job.attempts if item.problem_id in ids),
        problems={id: problem for id, problem in job.problems.items() if id in ids},
    )


def _of_pairs(job: TrainingJob, outcome: Literal["right", "wrong"]) -> list[Example]:
    return [
        Example(
            problem_id=pair.problem_id,
            prompt_ids=pair.prompt_ids,
            response=pair.chosen if outcome == "right" else pair.rejected,
        )
        for pair in job.pairs
    ]


def _of_attempts(job: TrainingJob, outcome: Literal["right", "wrong"]) -> list[Example]:
    attempts = {item.problem_id: item for item in job.attempts}
    return [
        Example(problem_id=id, prompt_ids=attempts[id].prompt_ids, response=response)
        for id in pair_problems(job)
        for response in (attempts[id].right if outcome == "right" else attempts[id].wrong)
    ]
