"""The 24 families of arithmetic problems behind the embedded pool and the embedded policy.

**Ours**, not the paper's. A family is one kind of problem: how operands are chosen, how the question reads,
which worked steps lead to the answer, and (for the families on which the embedded policy is *meant* to be
weak) which misconception leads elsewhere. The weaknesses are planted: see ``corpus.py``.

To add a family, append one ``Family(...)`` to ``FAMILIES`` and rebuild the policy with
``python -m saidpo_plugins.embedded.make_policy``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

Tier = Literal["mastered", "middling", "weak"]
Operands = tuple[int, ...]
Working = tuple[list[str], int]
"""The lines of a worked solution, without the final one, and its answer."""

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "June", "Kai", "Lea")
THINGS = ("apples", "books", "coins", "pens", "stamps", "shells", "cards", "stones")


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of problem.

    ``questions`` are templates over the operands ``{a} {b} {c}``, a name ``{n}``, another ``{m}`` and a thing
    ``{t}``. ``tags`` are knowledge points, each a tuple of synonyms of which the pool picks one at random.
    ``right_share`` is the share of right solutions in the corpus of the embedded policy, in [0, 1].
    """

    name: str
    tier: Tier
    tags: tuple[tuple[str, ...], ...]
    questions: tuple[str, ...]
    operands: Callable[[Random], Operands]
    solve: Callable[..., Working]
    misconception: Callable[..., Working] | None = None
    right_share: float = 1.0


def _ranges(*bounds: tuple[int, int]) -> Callable[[Random], Operands]:
    return lambda rng: tuple(rng.randint(low, high) for low, high in bounds)


def _two_descending(low: int, high: int, gap: int = 3) -> Callable[[Random], Operands]:
    def draw(rng: Random) -> Operands:
        small = rng.randint(low, high - gap)
        return rng.randint(small + gap, high), small

    return draw


def _times(a: int, b: int) -> Working:
    """``a * b`` for a two-digit ``b``, in the long way."""
    tens, ones = b // 10 * 10, b % 10
    if not tens or not ones:
        return [f"{a}*{b}={a * b}"], a * b
    return [f"{a}*{tens}={a * tens}", f"{a}*{ones}={a * ones}", f"{a * tens}+{a * ones}={a * b}"], a * b


def _even_sum(low: int, high: int) -> Callable[[Random], Operands]:
    def draw(rng: Random) -> Operands:
        a, b = rng.randint(low, high), rng.randint(low, high)
        return (a, b) if (a + b) % 2 == 0 else (a + 1, b)

    return draw


def _sum_and_difference(rng: Random) -> Operands:
    small = rng.randint(2, 40)
    large = rng.randint(small + 1, 58)
    return large + small, large - small


def _equation(rng: Random) -> Operands:
    a, x, b = rng.randint(2, 9), rng.randint(2, 12), rng.randint(2, 30)
    return a, b, a * x + b


def _not_divisible(rng: Random) -> Operands:
    b = rng.randint(3, 9)
    a = rng.randint(b * 2, b * 10 - 2)
    return (a if a % b else a + 1), b


def _sum_then_difference(rng: Random) -> Operands:
    a, b = rng.randint(5, 45), rng.randint(5, 45)
    return rng.choice((100, 120, 150)), a, b


FAMILIES: tuple[Family, ...] = (
    Family(
        name="addition",
        tier="mastered",
        tags=(("addition", "adding whole numbers", "sums"), ("combining amounts", "joining groups")),
        questions=(
            "{n} has {a} {t} and gets {b} more. How many {t} now?",
            "There are {a} {t} here and {b} {t} there. How many in all?",
        ),
        operands=_ranges((10, 99), (10, 99)),
        solve=lambda a, b: ([f"{a}+{b}={a + b}"], a + b),
    ),
    Family(
        name="subtraction",
        tier="mastered",
        tags=(("subtraction", "taking away", "subtracting whole numbers"), ("amount left", "what remains")),
        questions=("{n} had {a} {t} and lost {b}. How many {t} are left?", "Of {a} {t}, {b} are sold. How many stay?"),
        operands=_two_descending(10, 99),
        solve=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
    ),
    Family(
        name="how-many-more",
        tier="mastered",
        tags=(("comparison of two amounts", "comparing quantities"), ("how many more", "excess of one over another")),
        questions=("{n} has {a} {t}, {m} has {b}. How many more has {n}?", "How many more is {a} {t} than {b} {t}?"),
        operands=_two_descending(10, 99),
        solve=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
    ),
    Family(
        name="multiplication",
        tier="mastered",
        tags=(("multiplication", "times tables", "multiplying"), ("equal groups", "groups of the same size")),
        questions=("{a} boxes hold {b} {t} each. How many {t}?", "{n} buys {a} bags of {b} {t}. How many {t}?"),
        operands=_ranges((2, 9), (11, 69)),
        solve=_times,
    ),
    Family(
        name="doubling",
        tier="mastered",
        tags=(("doubling", "twice as many"), ("multiples", "scaling up")),
        questions=("{n} has {a} {t}. {m} has twice as many. How many has {m}?", "What is twice {a}?"),
        operands=_ranges((12, 480)),
        solve=lambda a: ([f"{a}+{a}={2 * a}"], 2 * a),
    ),
    Family(
        name="three-addends",
        tier="mastered",
        tags=(("adding three numbers", "sum of three terms"), ("running total", "grand total")),
        questions=("{n} finds {a}, then {b}, then {c} {t}. How many in total?", "Add up {a}, {b} and {c}."),
        operands=_ranges((5, 40), (5, 40), (5, 40)),
        solve=lambda a, b, c: ([f"{a}+{b}={a + b}", f"{a + b}+{c}={a + b + c}"], a + b + c),
    ),
    Family(
        name="change",
        tier="mastered",
        tags=(("money", "shopping"), ("change from a banknote", "giving change")),
        questions=(
            "{n} pays {a} for items at {b} and {c}. What change?",
            "Items cost {b} and {c}; {n} gives {a}. What comes back?",
        ),
        operands=_sum_then_difference,
        solve=lambda a, b, c: ([f"{b}+{c}={b + c}", f"{a}-{b + c}={a - b - c}"], a - b - c),
    ),
    Family(
        name="add-and-subtract",
        tier="mastered",
        tags=(("evaluating expressions", "numeric expressions"), ("left to right evaluation", "plus and minus")),
        questions=("Compute {a} + {b} - {c}.", "What is {a} plus {b} minus {c}?"),
        operands=_ranges((20, 60), (10, 60), (5, 30)),
        solve=lambda a, b, c: ([f"{a}+{b}={a + b}", f"{a + b}-{c}={a + b - c}"], a + b - c),
    ),
    Family(
        name="missing-addend",
        tier="mastered",
        tags=(("missing number", "unknown addend"), ("inverse operations", "fill in the blank")),
        questions=("What plus {b} makes {a}?", "Find the blank: _ + {b} = {a}."),
        operands=_two_descending(10, 120),
        solve=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
    ),
    Family(
        name="jars",
        tier="mastered",
        tags=(("two-step problems", "multi-step word problems"), ("totals of unequal groups", "containers")),
        questions=(
            "One jar holds {a} {t} and two jars hold {b} each. How many {t}?",
            "{n} fills a jar with {a} {t} and two jars with {b} {t} each. How many in all?",
        ),
        operands=_ranges((10, 70), (10, 60)),
        solve=lambda a, b: ([f"{b}+{b}={2 * b}", f"{a}+{2 * b}={a + 2 * b}"], a + 2 * b),
    ),
    Family(
        name="hours-to-minutes",
        tier="mastered",
        tags=(("time", "clock arithmetic"), ("unit conversion", "hours and minutes")),
        questions=(
            "How many minutes are {a} hours and {b} minutes?",
            "A film lasts {a} hours {b} minutes. How many minutes?",
        ),
        operands=_ranges((1, 9), (1, 59)),
        solve=lambda a, b: ([f"{a}*60={a * 60}", f"{a * 60}+{b}={a * 60 + b}"], a * 60 + b),
    ),
    Family(
        name="larger-number",
        tier="mastered",
        tags=(("ordering numbers", "greater than and less than"), ("place value", "digits")),
        questions=("Which is larger, {a} or {b}?", "Name the bigger one of {a} and {b}."),
        operands=_ranges((100, 999), (100, 999)),
        solve=lambda a, b: ([f"{max(a, b)}>{min(a, b)}"], max(a, b)),
    ),
    Family(
        name="order-of-operations",
        tier="middling",
        right_share=0.30,
        tags=(("order of operations", "operator precedence"), ("multiplication before addition", "mixed expressions")),
        questions=("Compute {a} + {b} * {c}.", "What is the value of {a} + {b} * {c}?"),
        operands=_ranges((2, 30), (2, 9), (2, 9)),
        solve=lambda a, b, c: ([f"{b}*{c}={b * c}", f"{a}+{b * c}={a + b * c}"], a + b * c),
        misconception=lambda a, b, c: ([f"{a}+{b}={a + b}", *_times(c, a + b)[0]], (a + b) * c),
    ),
    Family(
        name="brackets",
        tier="middling",
        right_share=0.35,
        tags=(("brackets", "parentheses"), ("distributive law", "expanding a product")),
        questions=("Compute {a} * ({b} + {c}).", "Work out {a} * ({b} + {c})."),
        operands=_ranges((2, 9), (2, 20), (2, 20)),
        solve=lambda a, b, c: ([f"{b}+{c}={b + c}", *_times(a, b + c)[0]], a * (b + c)),
        misconception=lambda a, b, c: ([f"{a}*{b}={a * b}", f"{a * b}+{c}={a * b + c}"], a * b + c),
    ),
    Family(
        name="average",
        tier="middling",
        right_share=0.42,
        tags=(("mean", "average of numbers"), ("statistics", "describing data")),
        questions=("What is the mean of {a} and {b}?", "{n} scored {a} and {b}. What is the average?"),
        operands=_even_sum(10, 80),
        solve=lambda a, b: ([f"{a}+{b}={a + b}", f"{a + b}/2={(a + b) // 2}"], (a + b) // 2),
        misconception=lambda a, b: ([f"{a}+{b}={a + b}"], a + b),
    ),
    Family(
        name="perimeter",
        tier="middling",
        right_share=0.38,
        tags=(("perimeter", "length around a shape"), ("rectangles", "plane geometry")),
        questions=(
            "A rectangle is {a} by {b}. What is its perimeter?",
            "{n} walks once around a field of {a} by {b} metres. How far?",
        ),
        operands=_ranges((5, 70), (5, 70)),
        solve=lambda a, b: ([f"{a}+{b}={a + b}", f"{a + b}*2={2 * (a + b)}"], 2 * (a + b)),
        misconception=lambda a, b: ([f"{a}+{b}={a + b}"], a + b),
    ),
    Family(
        name="below-zero",
        tier="middling",
        right_share=0.36,
        tags=(("negative numbers", "integers below zero"), ("signed subtraction", "temperature changes")),
        questions=("It is {b} degrees and falls by {a}. What is it now?", "Compute {b} - {a}."),
        operands=_two_descending(5, 80),
        solve=lambda a, b: ([f"{a}-{b}={a - b}", f"{b}-{a}=-{a - b}"], b - a),
        misconception=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
    ),
    Family(
        name="more-than-reversed",
        tier="middling",
        right_share=0.34,
        tags=(("relational language", "reversed comparison"), ("reading comprehension", "who has more")),
        questions=(
            "{n} has {a} {t}, which is {b} more than {m}. How many has {m}?",
            "{n} is {a} years old, {b} years older than {m}. How old is {m}?",
        ),
        operands=_two_descending(8, 90),
        solve=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
        misconception=lambda a, b: ([f"{a}+{b}={a + b}"], a + b),
    ),
    Family(
        name="fence-posts",
        tier="middling",
        right_share=0.37,
        tags=(("counting", "inclusive counting"), ("off by one", "intervals of integers")),
        questions=("How many whole numbers are there from {b} to {a}?", "{n} reads pages {b} to {a}. How many pages?"),
        operands=_two_descending(5, 99),
        solve=lambda a, b: ([f"{a}-{b}={a - b}", f"{a - b}+1={a - b + 1}"], a - b + 1),
        misconception=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
    ),
    Family(
        name="discount",
        tier="weak",
        right_share=0.08,
        tags=(("percentages", "percent of a number"), ("discount", "sale prices")),
        questions=("A coat of {a} is {b}% off. What does it cost?", "{n} gets {b}% off a price of {a}. What is paid?"),
        operands=lambda rng: (100 * rng.randint(2, 9), rng.randint(4, 60)),
        solve=lambda a, b: ([*_times(a // 100, b)[0], f"{a}-{a // 100 * b}={a - a // 100 * b}"], a - a // 100 * b),
        misconception=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
    ),
    Family(
        name="remainder",
        tier="weak",
        right_share=0.07,
        tags=(("remainders", "division with remainder"), ("modular arithmetic", "left over")),
        questions=(
            "{a} {t} are packed in boxes of {b}. How many are left over?",
            "What remains when {a} is divided by {b}?",
        ),
        operands=_not_divisible,
        solve=lambda a, b: ([f"{a // b}*{b}={a // b * b}", f"{a}-{a // b * b}={a % b}"], a % b),
        misconception=lambda a, b: ([f"{a}/{b}={a // b}"], a // b),
    ),
    Family(
        name="linear-equation",
        tier="weak",
        right_share=0.07,
        tags=(("linear equations", "solving for x"), ("algebra", "unknowns")),
        questions=("Solve {a}x + {b} = {c}.", "{a} times a number plus {b} is {c}. What is the number?"),
        operands=_equation,
        solve=lambda a, b, c: ([f"{c}-{b}={c - b}", f"{c - b}/{a}={(c - b) // a}"], (c - b) // a),
        misconception=lambda a, b, c: ([f"{c}-{b}={c - b}"], c - b),
    ),
    Family(
        name="squares",
        tier="weak",
        right_share=0.08,
        tags=(("exponents", "powers"), ("square numbers", "squaring")),
        questions=("Compute {a}^2 + {b}.", "Add {b} to the square of {a}."),
        operands=_ranges((3, 15), (3, 60)),
        solve=lambda a, b: ([f"{a}*{a}={a * a}", f"{a * a}+{b}={a * a + b}"], a * a + b),
        misconception=lambda a, b: ([f"{a}*2={a * 2}", f"{a * 2}+{b}={a * 2 + b}"], a * 2 + b),
    ),
    Family(
        name="sum-and-difference",
        tier="weak",
        right_share=0.06,
        tags=(("simultaneous equations", "systems of equations"), ("sum and difference", "two unknown numbers")),
        questions=(
            "Two numbers have sum {a} and difference {b}. What is the larger?",
            "{n} and {m} have {a} {t}, {n} {b} more than {m}. How many has {n}?",
        ),
        operands=_sum_and_difference,
        solve=lambda a, b: ([f"{a}+{b}={a + b}", f"{a + b}/2={(a + b) // 2}"], (a + b) // 2),
        misconception=lambda a, b: ([f"{a}-{b}={a - b}"], a - b),
    ),
)
