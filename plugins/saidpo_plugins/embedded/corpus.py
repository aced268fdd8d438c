"""The corpus that the embedded policy is trained on, with its planted weaknesses.

A mastered family appears with right solutions only. A middling or weak one appears with its right solution in
``right_share`` of the cases and with its typical misconception otherwise: the skill is there, the behaviour is
inconsistent, as it is in real base models. (Families that were merely under-trained could not be moved by any
method; latent skill can.)
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from saidpo_plugins.embedded.families import FAMILIES
from saidpo_plugins.embedded.problems import ArithmeticProblem, draw_problem

# What a policy of this size needs more practice in to master it.
_PRACTICE = {
    "multiplication": 2.0,
    "doubling": 1.5,
    "missing-addend": 1.5,
    "remainder": 2.0,
    "brackets": 1.5,
    "discount": 1.5,
}


def corpus(seed: int) -> Iterator[tuple[ArithmeticProblem, str]]:
    """Endless (problem, response) examples of the ``corpus`` split."""
    rng = Random(f"corpus {seed}")
    weights = [_PRACTICE.get(family.name, 1.0) for family in FAMILIES]
    while True:
        family = rng.choices(FAMILIES, weights)[0]
        problem = draw_problem(family, "corpus", rng)
        right = rng.random() < family.right_share
        yield problem, problem.solution if right else problem.wrong_solution
