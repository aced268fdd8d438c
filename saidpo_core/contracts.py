"""Checks of what components hand back, where it crosses into the core; a broken promise names the component's owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from saidpo_core.errors import PluginError, SaidpoError, disk_errno
from saidpo_core.records import Attempts, Generation, Pair, ProblemSets, Request, Verdict
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
        raise PluginError(f"{offer} failed in {method}: {reason}") from error


def require(condition: bool, offer: Offer, method: str, promise: str) -> None:
    if not condition:
        raise PluginError(f"{offer} broke its promise in {method}: {promise}")


def check_problems(sets: ProblemSets, offer: Offer) -> None:
    require(bool(sets.problems), offer, "load", "the pool is empty")
    seen: set[str] = set()
    for problem in (*sets.problems, *sets.held_out):
        require(problem.id not in seen, offer, "load", f"the id {problem.id!r} occurs twice")
        require(bool(problem.question.strip()), offer, "load", f"problem {problem.id} has no question")
        require(bool(problem.answer.strip()), offer, "load", f"problem {problem.id} has no answer")
        seen.add(problem.id)


def check_tags(tags: Sequence[Any], n: int, offer: Offer) -> None:
    require(len(tags) == n, offer, "tag", f"expected {n} tuples of tags, got {len(tags)}")
    for item in tags:
        good = isinstance(item, tuple) and all(isinstance(tag, str) for tag in item)
        require(good, offer, "tag", f"expected a tuple of strings, got {item!r:.80}")


def check_embeddings(vectors: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(vectors, "shape", None)
    require(
        shape is not None and len(shape) == 2 and shape[0] == n, offer, "embed", f"expected shape [{n}, d], got {shape}"
    )
    require(bool(np.isfinite(vectors).all()), offer, "embed", "a vector is not finite")


def check_labels(labels: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(labels, "shape", None)
    require(shape == (n,), offer, "cluster", f"expected labels of shape [{n}], got {shape}")
    require(np.issubdtype(labels.dtype, np.integer), offer, "cluster", f"expected whole numbers, got {labels.dtype}")
    used = np.unique(labels)
    compact = used.size == 0 or (used[0] == 0 and used[-1] == used.size - 1)
    require(bool(compact), offer, "cluster", "labels must be 0..C-1 with every one used")


def check_weights(weights: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(weights, "shape", None)
    require(shape == (n,), offer, "weights", f"expected weights of shape [{n}], got {shape}")
    require(bool(np.isfinite(weights).all()), offer, "weights", "a weight is not finite")
    require(
        bool((weights >= 0).all()) and bool((weights > 0).any()), offer, "weights", "weights must be >= 0, some > 0"
    )


def check_keys(keys: NDArray[Any], n: int, offer: Offer) -> None:
    import numpy as np

    shape = getattr(keys, "shape", None)
    good = shape is not None and len(shape) == 2 and shape[0] == n and shape[1] > 0
    require(good, offer, "keys", f"expected keys of shape [{n}, m], got {shape}")
    require(not bool(np.isnan(keys).any()), offer, "keys", "a key is NaN")


def check_generations(generations: Sequence[Generation], requests: Sequence[Request], offer: Offer) -> None:
    require(len(generations) == len(requests), offer, "generate", "expected one result for each request")
    for generation, request in zip(generations, requests, strict=True):
        good = len(generation.responses) == len(request.seeds)
        require(good, offer, "generate", f"problem {request.problem.id}: expected {len(request.seeds)} responses")
        for response in generation.responses:
            same = len(response.token_ids) == len(response.logprobs)
            require(
                same,
                offer,
                "generate",
                f"problem {request.problem.id}: token ids and log-probabilities differ in length",
            )


def check_verdicts(verdicts: Sequence[Verdict], n: int, offer: Offer) -> None:
    require(len(verdicts) == n, offer, "verify", f"expected {n} verdicts, got {len(verdicts)}")
    for verdict in verdicts:
        good = verdict.outcome in ("right", "wrong", "unverifiable")
        require(good, offer, "verify", f"expected right, wrong or unverifiable, got {verdict.outcome!r}")


def check_pairs(pairs: Sequence[Pair], attempts: Attempts, offer: Offer) -> None:
    for pair in pairs:
        where = f"problem {attempts.problem_id}"
        require(pair.problem_id == attempts.problem_id, offer, "build", f"{where}: a pair of another problem")
        require(pair.chosen in attempts.right, offer, "build", f"{where}: the chosen response was not judged right")
        require(pair.rejected in attempts.wrong, offer, "build", f"{where}: the rejected response was not judged wrong")
