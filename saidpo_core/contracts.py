"""Checks of what components hand back, where it crosses into the core; a broken promise names the component's owner.

Whatever a component returns, it gives a verdict here and never a traceback further on. What a component is handed
cannot be changed by it: arrays are read-only, lists are tuples, records are frozen; the one thing that can be changed
all the same, ``Problem.extra``, is compared before and after.
"""

from __future__ import annotations

import math
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from saidpo_core.errors import PluginError, SaidpoError, disk_errno, first_line, place_in
from saidpo_core.records import (
    Attempts,
    Evaluation,
    Generation,
    GroupScore,
    Pair,
    Problem,
    ProblemSets,
    Request,
    Response,
    TrainingReport,
    Verdict,
)
from saidpo_core.registry import Offer
from saidpo_core.values import is_count, is_duration, is_ids, is_json, is_real, is_tags, is_text, shape_text

if TYPE_CHECKING:
    from numpy.typing import NDArray


@contextmanager
def blame(offer: Offer, method: str) -> Iterator[None]:
    """Name the component and its owner in whatever goes wrong inside. The disk's errors are not the component's.

    A stranger's own ``SaidpoError`` stays one, with its name before it. Nor may a component end the run by exiting.
    """
    try:
        yield
    except SaidpoError as error:
        if not (offer.bundled or error.blamed):
            error.args = (f"{offer}: {error}",)
            error.blamed = True
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, Exception) and disk_errno(error) is not None:
            raise
        place = place_in(offer.owner.module, traceback.walk_tb(error.__traceback__))
        where = f" ({place})" if place else ""
        raise PluginError(f"{offer} failed in {method}: {first_line(error)}{where}") from error


def require(condition: bool, offer: Offer, method: str, promise: str) -> None:
    if not condition:
        _broken(offer, method, promise)


@contextmanager
def unchanged(offer: Offer, method: str, problems: Sequence[Problem]) -> Iterator[None]:
    """The problems are the same after what happens inside; only their ``extra`` could be another."""
    before = [repr(problem.extra) for problem in problems]
    yield
    for problem, old in zip(problems, before, strict=True):
        if repr(problem.extra) != old:
            _broken(offer, method, f"it changed the problem {problem.id!r} that it was handed (its extra)")


def check_problems(sets: Any, offer: Offer) -> None:
    """Problems have unique ids, texts that can be written down, and no question is both trained on and measured."""
    for _ in checked_problems(sets, offer):
        pass


def checked_problems(sets: Any, offer: Offer) -> Iterator[Problem]:
    """The problems to train on, one by one, each after it was checked; the held-out ones are checked first."""

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "load", promise)

    must(isinstance(sets, ProblemSets), f"expected ProblemSets, got {type(sets).__name__}")
    good = isinstance(sets.problems, Sequence) and not isinstance(sets.problems, str)
    must(good, f"problems must be a sequence, got {type(sets.problems).__name__}")
    for name in ("held_out", "notes"):
        value = getattr(sets, name)
        must(isinstance(value, tuple), f"{name} must be a tuple, got {type(value).__name__}")
    must(bool(sets.problems), "the pool is empty")
    must(all(map(is_text, sets.notes)), "notes must be texts")
    seen: set[str] = set()
    held_out: dict[str, str] = {}
    for problem in sets.held_out:
        _check_one(problem, seen, must)
        held_out[problem.question] = problem.id
    for problem in sets.problems:
        _check_one(problem, seen, must)
        copy = held_out.get(problem.question)
        must(copy is None, f"the held-out problem {copy} is in the pool too")
        yield problem


def check_own_problems(problems: Any, offer: Offer) -> None:
    """The problems that an evaluator brings; there is at least one."""

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "problems", promise)

    good = isinstance(problems, Sequence) and not isinstance(problems, str)
    must(good, f"expected a list of Problems, got {type(problems).__name__}")
    must(len(problems) > 0, "there are none")
    seen: set[str] = set()
    for problem in problems:
        _check_one(problem, seen, must)


def _check_one(problem: Any, seen: set[str], must: Callable[[bool, str], None]) -> None:
    """It is a problem with texts that can be written down, and an id that was not ``seen`` before."""
    must(isinstance(problem, Problem), f"expected Problem objects, got {type(problem).__name__}")
    must(isinstance(problem.id, str), f"the id {problem.id!r} is not a text")
    must(problem.id not in seen, f"the id {problem.id!r} occurs twice")
    seen.add(problem.id)
    for name in ("id", "question", "answer"):
        value = getattr(problem, name)
        must(isinstance(value, str) and bool(value.strip()), f"problem {problem.id} has no {name}")
        must(is_text(value), f"the {name} of problem {problem.id!r} holds characters that are not Unicode text")
    must(is_tags(problem.tags), f"problem {problem.id}: expected a tuple of tags, got {problem.tags!r:.80}")
    for name in ("domain", "group"):
        value = getattr(problem, name)
        must(is_text(value), f"problem {problem.id}: {name} must be a text, got {value!r:.80}")
    good = isinstance(problem.extra, Mapping) and is_json(problem.extra)
    must(good, f"problem {problem.id}: extra must be a mapping of what JSON can hold")


def check_tags(tags: Any, n: int, offer: Offer) -> None:
    _require_length(tags, n, offer, "tag", "tuples of tags")
    for item in tags:
        require(is_tags(item), offer, "tag", f"expected a tuple of strings, got {item!r:.80}")


def check_embeddings(vectors: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(vectors, "shape", None)
    good = shape is not None and len(shape) == 2 and shape[0] == n and shape[1] > 0
    require(good, offer, "embed", f"expected shape [{n}, d], got {shape_text(shape)}")
    require(bool(np.isfinite(vectors).all()), offer, "embed", "a vector is not finite")


def check_labels(labels: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(labels, "shape", None)
    require(shape == (n,), offer, "cluster", f"expected labels of shape [{n}], got {shape_text(shape)}")
    require(np.issubdtype(labels.dtype, np.integer), offer, "cluster", f"expected whole numbers, got {labels.dtype}")
    used = np.unique(labels)
    compact = used.size == 0 or (used[0] == 0 and used[-1] == used.size - 1)
    require(bool(compact), offer, "cluster", "labels must be 0..C-1 with every one used")


def check_weights(weights: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(weights, "shape", None)
    require(shape == (n,), offer, "weights", f"expected weights of shape [{n}], got {shape_text(shape)}")
    require(not bool(np.isnan(weights).any()), offer, "weights", "a weight is NaN")
    require(bool(np.isfinite(weights).all()), offer, "weights", "a weight is not finite")
    good = bool((weights >= 0).all()) and bool((weights > 0).any())
    require(good, offer, "weights", "weights must be >= 0, some > 0")


def check_keys(keys: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(keys, "shape", None)
    good = shape is not None and len(shape) == 2 and shape[0] == n and shape[1] > 0
    require(good, offer, "keys", f"expected keys of shape [{n}, m], got {shape_text(shape)}")
    require(not bool(np.isnan(keys).any()), offer, "keys", "a key is NaN")


def check_generations(generations: Any, requests: Sequence[Request], offer: Offer) -> None:
    _require_length(generations, len(requests), offer, "generate", "generations, one for each request")
    for generation, request in zip(generations, requests, strict=True):
        where, method = f"problem {request.problem.id}", "generate"
        require(isinstance(generation, Generation), offer, method, f"{where}: expected a Generation")
        good = isinstance(generation.responses, tuple)
        require(good, offer, method, f"{where}: responses must be a tuple, got {type(generation.responses).__name__}")
        count, due = len(generation.responses), len(request.seeds)
        require(count == due, offer, method, f"{where}: expected {due} responses, got {count}")
        require(is_ids(generation.prompt_ids), offer, method, f"{where}: prompt_ids must be a tuple of token ids")
        require(bool(generation.prompt_ids), offer, method, f"{where}: the prompt has no tokens")
        for response in generation.responses:
            flaw = _flaw_of(response)
            require(not flaw, offer, method, f"{where}: {flaw}")


def _flaw_of(response: Any) -> str:
    """What is wrong with a response, whoever made it; empty if nothing is."""
    if not isinstance(response, Response):
        return f"expected Response objects, got {type(response).__name__}"
    if not is_text(response.text):
        return "the text of a response is not Unicode text"
    if not is_ids(response.token_ids) or not response.token_ids:
        return "token_ids must be a tuple of token ids, not an empty one"
    if not isinstance(response.logprobs, tuple) or len(response.token_ids) != len(response.logprobs):
        return "token ids and log-probabilities differ in length"
    if not all(isinstance(value, float) and -math.inf < value <= 1e-3 for value in response.logprobs):
        return "log-probabilities must be floats, not above 0, not NaN nor infinite"
    if not isinstance(response.finish_reason, str) or response.finish_reason not in ("stop", "length"):
        return f"unknown finish_reason {response.finish_reason!r:.80}"
    if not is_duration(response.seconds):
        return f"seconds must be a number, not negative, got {response.seconds!r:.80}"
    widths = response.widths
    if not is_ids(widths) or (widths and (len(widths), sum(widths)) != (len(response.token_ids), len(response.text))):
        return "widths must share the text among the tokens"
    return ""


def check_verdicts(verdicts: Any, n: int, offer: Offer) -> None:
    _require_length(verdicts, n, offer, "verify", "verdicts")
    for verdict in verdicts:
        require(isinstance(verdict, Verdict), offer, "verify", f"expected a Verdict, got {type(verdict).__name__}")
        good = isinstance(verdict.outcome, str) and verdict.outcome in ("right", "wrong", "unverifiable")
        require(good, offer, "verify", f"expected right, wrong or unverifiable, got {verdict.outcome!r:.80}")
        good = is_text(verdict.reason) and (verdict.extracted is None or is_text(verdict.extracted))
        require(good, offer, "verify", "reason must be a text, extracted a text or None")
        said = f"seconds must be a number, not negative, got {verdict.seconds!r:.80}"
        require(is_duration(verdict.seconds), offer, "verify", said)


def check_pairs(pairs: Any, attempts: Attempts, offer: Offer) -> None:
    """Every pair is a right and a wrong response of this problem, cut at most by a beginning that both share."""

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "build", f"problem {attempts.problem_id}: {promise}")

    must(isinstance(pairs, Sequence), f"expected a list of pairs, got {type(pairs).__name__}")
    for pair in pairs:
        must(isinstance(pair, Pair), f"expected Pair objects, got {type(pair).__name__}")
        good = isinstance(pair.problem_id, str) and pair.problem_id == attempts.problem_id
        must(good, "a pair of another problem")
        must(is_ids(pair.prompt_ids), "prompt_ids must be a tuple of token ids")
        own = len(attempts.prompt_ids)
        must(pair.prompt_ids[:own] == attempts.prompt_ids, "the prompt of a pair is not that of its problem")
        shared = pair.prompt_ids[own:]
        must(_came_of(attempts.right, pair.chosen, shared), "the chosen response was not judged right")
        must(_came_of(attempts.wrong, pair.rejected, shared), "the rejected response was not judged wrong")


def _came_of(responses: Sequence[Response], part: Any, shared: tuple[int, ...]) -> bool:
    """Whether ``part`` is one of ``responses``, or what one of them holds after the tokens ``shared``."""
    if _flaw_of(part):
        return False
    if not shared:
        return part in responses
    cut = len(shared)
    return any(
        r.token_ids == shared + part.token_ids
        and r.logprobs[cut:] == part.logprobs
        and r.finish_reason == part.finish_reason
        and r.text.endswith(part.text)
        for r in responses
    )


def check_training(report: Any, out: Path, offer: Offer) -> None:
    """The report is one, and ``out`` holds what ``from_pretrained`` needs, weights as safetensors only."""

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "train", promise)

    must(isinstance(report, TrainingReport), f"expected a TrainingReport, got {type(report).__name__}")
    must(is_count(report.steps), f"steps must be a whole number, got {report.steps!r:.40}")
    must(isinstance(report.metrics, Mapping), "metrics must be a mapping of names to numbers")
    for name, value in report.metrics.items():
        must(is_text(name) and is_real(value), f"the metric {name!r} is not a number: {value!r:.40}")
    tokens = report.generated_tokens
    must(is_count(tokens), f"generated_tokens must be a whole number, got {tokens!r:.40}")
    for name in ("config.json", "tokenizer_config.json"):
        must((out / name).is_file(), f"the new policy has no {name}")
    must(any(out.glob("*.safetensors")), "the new policy has no *.safetensors weights")


def check_evaluation(evaluation: Any, held_out: Sequence[Problem], offer: Offer) -> None:
    """Accuracies are shares, and the groups count every held-out problem once."""

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "evaluate", promise)

    must(isinstance(evaluation, Evaluation), f"expected an Evaluation, got {type(evaluation).__name__}")
    for name in ("accuracy_balanced", "accuracy_pool"):
        value = getattr(evaluation, name)
        must(isinstance(value, float | int) and is_real(value), f"{name} is not a number: {value!r:.40}")
        must(math.isnan(value) or -1e-9 <= value <= 1 + 1e-9, f"{name} must be in [0, 1], got {value!r}")
    for name in ("unverifiable", "truncated"):
        value = getattr(evaluation, name)
        must(is_count(value), f"{name} must be a whole number, got {value!r:.40}")
    must(isinstance(evaluation.groups, Mapping), "groups must be a mapping of names to GroupScores")
    totals = Counter(problem.group or problem.domain for problem in held_out)
    must(set(evaluation.groups) == set(totals), "groups must be those of the held-out problems")
    for name, score in evaluation.groups.items():
        must(isinstance(score, GroupScore), f"group {name}: expected a GroupScore")
        must(is_count(score.right) and is_count(score.total), f"group {name}: right and total must be whole numbers")
        must(is_count(score.samples) and score.samples > 0, f"group {name}: samples must be a whole number, at least 1")
        must(score.right <= score.total, f"group {name}: {score.right} right of {score.total}")
        due = totals[name] * score.samples
        must(
            score.total == due, f"group {name}: expected {due} responses to {totals[name]} problems, got {score.total}"
        )
        for key in ("truncated", "unverifiable", "tokens"):
            value = getattr(score, key)
            must(is_count(value), f"group {name}: {key} must be a whole number, got {value!r:.40}")
        must(_is_interval(score.interval), f"group {name}: interval must be (low, high) in [0, 1], or None")
    must(_is_interval(evaluation.interval), "interval must be (low, high) in [0, 1], or None")
    must(isinstance(evaluation.details, Mapping) and is_json(evaluation.details), "details must be what JSON can hold")


def _is_interval(value: Any) -> bool:
    if value is None:
        return True
    good = isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, float) for end in value)
    return good and 0 <= value[0] <= value[1] <= 1


def check_warnings(warnings: Any, offer: Offer) -> None:
    good = isinstance(warnings, list) and all(map(is_text, warnings))
    require(good, offer, "preflight", f"expected a list of texts, got {warnings!r:.80}")


def _require_length(value: Any, n: int, offer: Offer, method: str, what: str) -> None:
    good = isinstance(value, Sequence) and not isinstance(value, str)
    require(good, offer, method, f"expected a list of {n} {what}, got {type(value).__name__}")
    require(len(value) == n, offer, method, f"expected {n} {what}, got {len(value)}")


def _broken(offer: Offer, method: str, promise: str) -> NoReturn:
    raise PluginError(f"{offer} broke its promise in {method}: {promise}")
