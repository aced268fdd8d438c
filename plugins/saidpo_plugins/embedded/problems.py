"""Embedded problems: which operands belong to which split, and how a question is made from them.

Every problem belongs to exactly one split, decided by a hash of its family and operands, whatever its wording:
so no held-out problem can occur in the corpus of the embedded policy or in the pool, and the split that was
used for tuning (``dev``) never meets the one on which figures are reported (``test``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random
from typing import Literal

from saidpo_plugins.embedded.families import FAMILIES, NAMES, THINGS, Family, Operands, Tier, Working

Split = Literal["corpus", "pool", "dev", "test"]
_SPLIT_OF_TENTH: tuple[Split, ...] = ("test", "dev", *("pool",) * 3, *("corpus",) * 5)
_TIERS: tuple[Tier, ...] = ("mastered", "middling", "weak")


@dataclass(frozen=True)
class ArithmeticProblem:
    """A question with its family and operands; ``solution`` and ``wrong_solution`` are full responses."""

    family: Family
    operands: Operands
    question: str

    @property
    def answer(self) -> int:
        return self.family.solve(*self.operands)[1]

    @property
    def solution(self) -> str:
        return written(self.family.solve(*self.operands))

    @property
    def wrong_solution(self) -> str:
        """The misconception's response; that of a mastered family is its solution."""
        return written((self.family.misconception or self.family.solve)(*self.operands))


def written(working: Working) -> str:
    """Worked lines and answer as the text of a response: one step a line, ``#### answer`` last."""
    lines, answer = working
    return "\n".join([*lines, f"#### {answer}"])


def split_of(family: Family, operands: Operands) -> Split:
    """The one split to which these operands of this family belong."""
    key = f"{family.name}:{operands}".encode()
    return _SPLIT_OF_TENTH[hashlib.sha256(key).digest()[0] * 10 // 256]


def draw_problem(family: Family, split: Split, rng: Random) -> ArithmeticProblem:
    """One problem of ``family`` from ``split``, operands and wording drawn from ``rng``."""
    while True:
        operands = family.operands(rng)
        if split_of(family, operands) == split:
            break
    name, other = rng.sample(NAMES, 2)
    values = dict(zip("abc", operands, strict=False))
    question = rng.choice(family.questions).format(**values, n=name, m=other, t=rng.choice(THINGS))
    return ArithmeticProblem(family, operands, question)


def distinct_problems(family: Family, split: Split, count: int, rng: Random) -> list[ArithmeticProblem]:
    """``count`` problems with different questions, those with new operands first where there are enough."""
    found: dict[str, ArithmeticProblem] = {}
    seen: set[Operands] = set()
    patience = 40 * count
    while len(found) < count:
        problem = draw_problem(family, split, rng)
        patience -= 1
        if patience > 0 and problem.operands in seen:
            continue
        seen.add(problem.operands)
        found.setdefault(problem.question, problem)
    return list(found.values())


def pool_problems(size: int, tier_shares: tuple[float, float, float], rng: Random) -> list[ArithmeticProblem]:
    """About ``size`` pool problems, shuffled, with the given shares of (mastered, middling, weak) families."""
    total = sum(tier_shares)
    problems: list[ArithmeticProblem] = []
    for tier, share in zip(_TIERS, tier_shares, strict=True):
        families = [family for family in FAMILIES if family.tier == tier]
        each = round(size * share / total / len(families))
        for family in families:
            problems += distinct_problems(family, "pool", each, rng)
    rng.shuffle(problems)
    return problems


def held_out_problems(split: Literal["dev", "test"], per_family: int) -> list[ArithmeticProblem]:
    """The balanced held-out set: ``per_family`` problems of every family, always the same ones."""
    rng = Random(f"held-out {split}")
    return [p for family in FAMILIES for p in distinct_problems(family, split, per_family, rng)]


def noisy_tags(family: Family, rng: Random) -> tuple[str, ...]:
    """Knowledge points as an external tagger might give them: synonyms, omissions and a stray general one."""
    tags = [rng.choice(synonyms) for synonyms in family.tags]
    if rng.random() < 0.15:
        tags.pop(rng.randrange(len(tags)))
    if rng.random() < 0.12:
        tags.append(rng.choice(("word problem", "elementary arithmetic", "whole numbers")))
    rng.shuffle(tags)
    return tuple(tags)
