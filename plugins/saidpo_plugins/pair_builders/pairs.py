"""What pair builders share. No component lives here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Pair, Response

if TYPE_CHECKING:
    import numpy as np


def pair_of(attempts: Attempts, chosen: Response, rejected: Response) -> Pair:
    return Pair(problem_id=attempts.problem_id, prompt_ids=attempts.prompt_ids, chosen=chosen, rejected=rejected)


def random_pair(attempts: Attempts, rng: np.random.Generator) -> Pair:
    chosen = pick(attempts.right, rng)
    return pair_of(attempts, chosen, pick(attempts.wrong, rng))


def pick(responses: Sequence[Response], rng: np.random.Generator) -> Response:
    return responses[int(rng.integers(len(responses)))]


def right_and_wrong(attempts: Attempts) -> Iterable[tuple[Response, Response]]:
    """Every right response with every wrong one, in the order in which they were sampled, the right ones first."""
    return product(attempts.right, attempts.wrong)
