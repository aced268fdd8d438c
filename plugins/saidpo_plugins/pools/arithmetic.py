"""Pool ``arithmetic``: school arithmetic in two dozen families with noisy knowledge points, made on the spot.

**Ours**, not the paper's. It goes with the embedded policy, which is weak in some of the families because it was made
so. Problems and held-out problems are the same whatever the seed of the run; no held-out problem occurs in the pool
or in the corpus of the embedded policy (see ``saidpo_plugins/embedded/problems.py``).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

from saidpo_core import Component, Pool, Problem, ProblemSets, UsageError, hookimpl, option

if TYPE_CHECKING:
    import numpy as np

    from saidpo_plugins.embedded.families import Family, Operands
    from saidpo_plugins.embedded.problems import ArithmeticProblem

_TIERS = ("mastered", "middling", "weak")


@dataclass(frozen=True, kw_only=True)
class ArithmeticOptions:
    size: int = option(5000, "problems in the pool, about", low=24)
    mix: tuple[float, ...] = option((82.0, 13.5, 5.0), "shares of mastered, middling and weak families")
    split: Literal["test", "dev"] = option("test", "held-out problems; dev was used for tuning, test was not")
    held_out: int = option(25, "held-out problems a family", low=0)

    def __post_init__(self) -> None:
        good = len(self.mix) == 3 and all(share >= 0 and math.isfinite(share) for share in self.mix)
        if not good or not sum(self.mix) > 0:
            raise UsageError(
                "pool.mix: expected three shares (mastered, middling, weak), none negative and not all 0, such as "
                f"82,13.5,5, got {','.join(f'{share:g}' for share in self.mix)}"
            )


class ArithmeticPool:
    def __init__(self, options: ArithmeticOptions) -> None:
        self.options = options

    def load(self, rng: np.random.Generator) -> ProblemSets:
        """The problems; ``rng`` is left alone, the pool is a fixed one."""
        from saidpo_plugins.embedded.problems import held_out_problems, pool_problems

        options = self.options
        self._check_enough()
        mastered, middling, weak = options.mix
        made = pool_problems(options.size, (mastered, middling, weak), Random("pool"))
        held_out = held_out_problems(options.split, options.held_out)
        return ProblemSets(
            problems=_records(made, "", Random("tags")),
            held_out=_records(held_out, f"{options.split}-", Random(f"tags {options.split}")),
            notes=(
                "The arithmetic pool was made for the embedded policy, whose weaknesses were planted; "
                "which families it is weak in is known (extra.tier), and nothing but reports looks at it.",
            ),
        )

    def _check_enough(self) -> None:
        """Raise UsageError if a family cannot give as many different problems as the options ask for."""
        from saidpo_plugins.embedded.families import FAMILIES

        options = self.options
        in_tier = Counter(family.tier for family in FAMILIES)
        too_few: list[tuple[int, str]] = []
        for family in FAMILIES:
            share = options.mix[_TIERS.index(family.tier)] / sum(options.mix)
            needed = round(options.size * share / in_tier[family.tier])
            known = _different_questions(family, "pool", needed)
            if known < needed:
                too_few.append((int(known * in_tier[family.tier] / share), f"{family.name} has {known}, not {needed}"))
            known = _different_questions(family, options.split, options.held_out)
            if known < options.held_out:
                raise UsageError(
                    f"pool.held_out: expected at most {known}, got {options.held_out}: the family {family.name} has no "
                    f"more different problems in the split {options.split}"
                )
        if too_few:
            most, reason = min(too_few)
            raise UsageError(
                f"pool.size: with this pool.mix expected at most {most}, got {options.size}: the family {reason} "
                "different problems. Ask for fewer or change pool.mix."
            )


def _different_questions(family: Family, split: str, enough: int) -> int:
    """How many different questions a family can ask in a split; counting ends at ``enough``.

    Counts the operands that come up until 2,000 draws in a row bring no new ones: a lower bound, and nearly exact.
    """
    from saidpo_plugins.embedded.families import NAMES, THINGS
    from saidpo_plugins.embedded.problems import split_of

    wordings = 0
    for template in family.questions:
        names = ("{n}" in template) + ("{m}" in template)
        wordings += math.perm(len(NAMES), names) * (len(THINGS) if "{t}" in template else 1)
    rng = Random(f"count {family.name} {split}")
    seen: set[Operands] = set()
    fruitless = 0
    while fruitless < 2000 and len(seen) * wordings < enough:
        operands = family.operands(rng)
        fruitless += 1
        if operands not in seen and split_of(family, operands) == split:
            seen.add(operands)
            fruitless = 0
    return len(seen) * wordings


def _records(made: list[ArithmeticProblem], prefix: str, rng: Random) -> tuple[Problem, ...]:
    """Problems with ids such as ``discount-0007``, numbered within the family, and noisy tags drawn from ``rng``."""
    from saidpo_plugins.embedded.problems import noisy_tags

    count: Counter[str] = Counter()
    records = []
    for item in made:
        family = item.family
        record = Problem(
            id=f"{prefix}{family.name}-{count[family.name]:04d}",
            question=item.question,
            answer=str(item.answer),
            tags=noisy_tags(family, rng),
            group=family.name,
            extra={"tier": family.tier},
        )
        count[family.name] += 1
        records.append(record)
    return tuple(records)


@hookimpl
def saidpo_pools() -> list[Component[Pool]]:
    return [
        Component(
            name="arithmetic",
            summary="about 5,000 school arithmetic problems in two dozen families, for the embedded policy",
            options=ArithmeticOptions,
            build=ArithmeticPool,
            default=True,
        )
    ]
