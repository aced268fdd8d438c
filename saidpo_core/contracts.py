"""Checks of what components hand back, where it crosses into the core; a broken promise names the component's owner.

Whatever a component returns, it gives a verdict here and never a traceback further on. What a component is handed
cannot be changed by it: arrays are read-only, lists are tuples, records are frozen; the one thing that can be changed
all the same, ``Problem.extra``, is compared before and after.
"""

from __future__ import annotations

import math
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from saidpo_core.errors import PluginError, SaidpoError, disk_errno
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

if TYPE_CHECKING:
    from numpy.typing import NDArray


@contextmanager
def blame(offer: Offer, method: str) -> Iterator[None]:
    """Name the component and its owner in whatever goes wrong inside. The disk's errors are not the component's."""
    try:
        yield
    except SaidpoError:
        raise
    except Exception as error:
        if disk_errno(error) is not None:
            raise
        text = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
        raise PluginError(f"{offer} failed in {method}: {reason}{_place(error, offer)}") from error


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

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "load", promise)

    must(isinstance(sets, ProblemSets), f"expected ProblemSets, got {type(sets).__name__}")
    must(bool(sets.problems), "the pool is empty")
    seen: set[str] = set()
    for problem in (*sets.problems, *sets.held_out):
        must(isinstance(problem, Problem), f"expected Problem objects, got {type(problem).__name__}")
        must(isinstance(problem.id, str), f"the id {problem.id!r} is not a text")
        must(problem.id not in seen, f"the id {problem.id!r} occurs twice")
        seen.add(problem.id)
        for name in ("id", "question", "answer"):
            value = getattr(problem, name)
            must(isinstance(value, str) and bool(value.strip()), f"problem {problem.id} has no {name}")
            must(_writable(value), f"the {name} of problem {problem.id!r} holds characters that are not Unicode text")
        must(isinstance(problem.tags, tuple), f"problem {problem.id}: expected a tuple of tags, got {problem.tags!r}")
        must(_is_json(problem.extra), f"problem {problem.id}: extra holds a value that JSON cannot hold")
    questions = {problem.question for problem in sets.problems}
    for problem in sets.held_out:
        must(problem.question not in questions, f"the held-out problem {problem.id} is in the pool too")


def check_tags(tags: Any, n: int, offer: Offer) -> None:
    _require_length(tags, n, offer, "tag", "tuples of tags")
    for item in tags:
        good = isinstance(item, tuple) and all(isinstance(tag, str) and _writable(tag) for tag in item)
        require(good, offer, "tag", f"expected a tuple of strings, got {item!r:.80}")


def check_embeddings(vectors: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(vectors, "shape", None)
    good = shape is not None and len(shape) == 2 and shape[0] == n and shape[1] > 0
    require(good, offer, "embed", f"expected shape [{n}, d], got {_shape(shape)}")
    require(bool(np.isfinite(vectors).all()), offer, "embed", "a vector is not finite")


def check_labels(labels: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(labels, "shape", None)
    require(shape == (n,), offer, "cluster", f"expected labels of shape [{n}], got {_shape(shape)}")
    require(np.issubdtype(labels.dtype, np.integer), offer, "cluster", f"expected whole numbers, got {labels.dtype}")
    used = np.unique(labels)
    compact = used.size == 0 or (used[0] == 0 and used[-1] == used.size - 1)
    require(bool(compact), offer, "cluster", "labels must be 0..C-1 with every one used")


def check_weights(weights: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(weights, "shape", None)
    require(shape == (n,), offer, "weights", f"expected weights of shape [{n}], got {_shape(shape)}")
    require(not bool(np.isnan(weights).any()), offer, "weights", "a weight is NaN")
    require(bool(np.isfinite(weights).all()), offer, "weights", "a weight is not finite")
    good = bool((weights >= 0).all()) and bool((weights > 0).any())
    require(good, offer, "weights", "weights must be >= 0, some > 0")


def check_keys(keys: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(keys, "shape", None)
    good = shape is not None and len(shape) == 2 and shape[0] == n and shape[1] > 0
    require(good, offer, "keys", f"expected keys of shape [{n}, m], got {_shape(shape)}")
    require(not bool(np.isnan(keys).any()), offer, "keys", "a key is NaN")


def check_generations(generations: Any, requests: Sequence[Request], offer: Offer) -> None:
    _require_length(generations, len(requests), offer, "generate", "generations, one for each request")
    for generation, request in zip(generations, requests, strict=True):
        where, method = f"problem {request.problem.id}", "generate"
        require(isinstance(generation, Generation), offer, method, f"{where}: expected a Generation")
        count = len(generation.responses)
        good = isinstance(generation.responses, tuple) and count == len(request.seeds)
        require(good, offer, method, f"{where}: expected a tuple of {len(request.seeds)} responses, got {count}")
        require(_is_ids(generation.prompt_ids), offer, method, f"{where}: prompt_ids must be a tuple of token ids")
        require(bool(generation.prompt_ids), offer, method, f"{where}: the prompt has no tokens")
        for response in generation.responses:
            _check_response(response, where, offer)


def _check_response(response: Any, where: str, offer: Offer) -> None:
    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "generate", f"{where}: {promise}")

    must(isinstance(response, Response), f"expected Response objects, got {type(response).__name__}")
    must(isinstance(response.text, str) and _writable(response.text), "the text of a response is not Unicode text")
    must(_is_ids(response.token_ids), "token_ids must be a tuple of token ids")
    must(bool(response.token_ids), "a response without a token")
    same = isinstance(response.logprobs, tuple) and len(response.token_ids) == len(response.logprobs)
    must(same, "token ids and log-probabilities differ in length")
    good = all(isinstance(value, float) and value <= 1e-3 for value in response.logprobs)
    must(good, "log-probabilities must be floats, not above 0, not NaN")
    must(response.finish_reason in ("stop", "length"), f"unknown finish_reason {response.finish_reason!r}")
    good = isinstance(response.seconds, int | float) and response.seconds >= 0
    must(good, f"seconds must be a number, not negative, got {response.seconds!r}")
    if response.widths != ():
        good = _is_ids(response.widths) and len(response.widths) == len(response.token_ids)
        must(good and sum(response.widths) == len(response.text), "widths must share the text among the tokens")


def check_verdicts(verdicts: Any, n: int, offer: Offer) -> None:
    _require_length(verdicts, n, offer, "verify", "verdicts")
    for verdict in verdicts:
        require(isinstance(verdict, Verdict), offer, "verify", f"expected a Verdict, got {type(verdict).__name__}")
        good = verdict.outcome in ("right", "wrong", "unverifiable")
        require(good, offer, "verify", f"expected right, wrong or unverifiable, got {verdict.outcome!r}")
        good = isinstance(verdict.reason, str) and isinstance(verdict.extracted, str | None)
        require(good, offer, "verify", "reason must be a text, extracted a text or None")


def check_pairs(pairs: Any, attempts: Attempts, offer: Offer) -> None:
    """Every pair is a right and a wrong response of this problem, cut at most by a beginning that both share."""

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "build", f"problem {attempts.problem_id}: {promise}")

    must(isinstance(pairs, Sequence), f"expected a list of pairs, got {type(pairs).__name__}")
    for pair in pairs:
        must(isinstance(pair, Pair), f"expected Pair objects, got {type(pair).__name__}")
        must(pair.problem_id == attempts.problem_id, "a pair of another problem")
        own = len(attempts.prompt_ids)
        must(pair.prompt_ids[:own] == attempts.prompt_ids, "the prompt of a pair is not that of its problem")
        shared = pair.prompt_ids[own:]
        must(_came_of(attempts.right, pair.chosen, shared), "the chosen response was not judged right")
        must(_came_of(attempts.wrong, pair.rejected, shared), "the rejected response was not judged wrong")


def _came_of(responses: Sequence[Response], part: Any, shared: tuple[int, ...]) -> bool:
    """Whether ``part`` is one of ``responses``, or what one of them holds after the tokens ``shared``."""
    if not isinstance(part, Response) or not part.token_ids:
        return False
    if not shared:
        return part in responses
    cut = len(shared)
    return any(r.token_ids == shared + part.token_ids and r.logprobs[cut:] == part.logprobs for r in responses)


def check_training(report: Any, out: Path, offer: Offer) -> None:
    """The report is one, and ``out`` holds what ``from_pretrained`` needs, weights as safetensors only."""

    def must(condition: bool, promise: str) -> None:
        require(condition, offer, "train", promise)

    must(isinstance(report, TrainingReport), f"expected a TrainingReport, got {type(report).__name__}")
    must(isinstance(report.steps, int) and report.steps >= 0, f"steps must be a whole number, got {report.steps!r}")
    must(isinstance(report.metrics, Mapping), "metrics must be a mapping of names to numbers")
    for name, value in report.metrics.items():
        must(isinstance(name, str) and isinstance(value, Real), f"the metric {name!r} is not a number: {value!r:.40}")
    tokens = report.generated_tokens
    must(isinstance(tokens, int) and tokens >= 0, f"generated_tokens must be a whole number, got {tokens!r}")
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
        must(isinstance(value, Real), f"{name} is not a number: {value!r:.40}")
        must(math.isnan(value) or -1e-9 <= value <= 1 + 1e-9, f"{name} must be in [0, 1], got {value!r}")
    totals = Counter(problem.group or problem.domain for problem in held_out)
    must(set(evaluation.groups) == set(totals), "groups must be those of the held-out problems")
    for name, score in evaluation.groups.items():
        must(isinstance(score, GroupScore), f"group {name}: expected a GroupScore")
        must(0 <= score.right <= score.total, f"group {name}: {score.right} right of {score.total}")
        must(score.total == totals[name], f"group {name}: expected {totals[name]} problems, got {score.total}")


def _require_length(value: Any, n: int, offer: Offer, method: str, what: str) -> None:
    good = isinstance(value, Sequence) and not isinstance(value, str)
    require(good, offer, method, f"expected a list of {n} {what}, got {type(value).__name__}")
    require(len(value) == n, offer, method, f"expected {n} {what}, got {len(value)}")


def _broken(offer: Offer, method: str, promise: str) -> NoReturn:
    raise PluginError(f"{offer} broke its promise in {method}: {promise}")


def _place(error: Exception, offer: Offer) -> str:
    """`` (FILE:LINE)`` of the innermost frame in the owner's package, for its author."""
    package = offer.owner.module.partition(":")[0].partition(".")[0]
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package:
            place = f" ({Path(frame.f_code.co_filename).name}:{line})"
    return place


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else f"[{', '.join(map(str, shape))}]"


def _is_ids(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is int and item >= 0 for item in value)


def _writable(text: str) -> bool:
    """Whether it can be written as UTF-8; lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_JSON_SCALARS: tuple[type, ...] = (str, int, float, bool, type(None))


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _writable(key) and _is_json(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return isinstance(value, _JSON_SCALARS) and (not isinstance(value, str) or _writable(value))
