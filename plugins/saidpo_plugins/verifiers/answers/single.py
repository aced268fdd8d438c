"""Compares two answers without inner form: by words, time, unit, number and value, on normalised texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from saidpo_plugins.verifiers.answers import clock, words
from saidpo_plugins.verifiers.answers.expressions import Node, Unreadable, read
from saidpo_plugins.verifiers.answers.numbers import Number, number, rational
from saidpo_plugins.verifiers.answers.units import compound, split_unit, units_agree, with_unit
from saidpo_plugins.verifiers.answers.values import constant, equal

Decision = bool | None
"""None: that cannot be decided here."""
Ask = Callable[[str, str], Decision]

_WORD = re.compile(r"(?<![\\a-zA-Z])(?!(?:gcd|lcm|max|min|mod|det|rank|sup|inf|deg|arg|sgn)\b)[a-zA-Z]{3,}")
_NO_NUMBER = frozenset(("∅", "ℝ", "ℤ", "ℕ", "ℚ", "undefined", "infinitely many"))


def same_single(gold: str, answer: str, ask: Ask) -> Decision:
    """Whether both say the same; ``ask`` decides what is left."""
    if gold == answer:
        return True
    gold, answer = words.meaning(gold), words.meaning(answer)
    for decide in (words.same_words, clock.same_time, _same_measure):
        decision = decide(gold, answer)
        if decision is not None:
            return decision
    if any(_is_other_than_a_value(*pair) for pair in ((gold, answer), (answer, gold))):
        return False
    return ask(gold, answer)


def _is_other_than_a_value(text: str, value: str) -> bool:
    """Words such as ``at least 5``, a time, or the empty set, beside a number or a term."""
    other = text in _NO_NUMBER or _WORD.search(text) is not None or clock.is_moment(text)
    return other and (is_value(value) or value in _NO_NUMBER)


def _same_measure(gold: str, answer: str) -> Decision:
    """Numbers and terms with or without unit."""
    (left, left_unit, left_sure), (right, right_unit, right_sure) = split_unit(gold), split_unit(answer)
    if any(
        one.endswith("%") and not other.endswith("%") and unit
        for one, other, unit in ((left, right, right_unit), (right, left, left_unit))
    ):
        return False  # 20% is not $20
    sure = left_sure and right_sure
    if compound(gold) or compound(answer):
        return compound(gold) == compound(answer)
    if bool(left_unit) != bool(right_unit):
        left, right = with_unit(left, right_unit), with_unit(right, left_unit)
    if left_unit and right_unit and not units_agree(left_unit, right_unit):
        return False if left_sure or right_sure else _same_value(gold, answer)
    decision = _same_value(left, right)
    if sure or (left_unit and right_unit):
        return decision
    as_products = _same_value(gold, answer)  # "5 m" beside "5m": the m may be a variable
    return as_products or decision


def _same_value(gold: str, answer: str) -> Decision:
    if gold == answer:
        return True
    left, right = number(gold), number(answer)
    if left is not None and right is not None:
        return left.equals(right)
    if (left and left.base) or (right and right.base):
        return False
    infinite = [text.strip("+-") == "∞" for text in (gold, answer)]
    if any(infinite):
        return gold.strip("+") == answer.strip("+") if all(infinite) or is_value(gold, answer) else None
    try:
        return equal(_term(gold, left), _term(answer, right))
    except Unreadable:
        return None


def _term(text: str, known: Number | None) -> Node:
    if known is None:
        return read(text)
    return ("num", known.value / 100 if known.percent else known.value)


def is_value(*texts: str) -> bool:
    """Whether one of ``texts`` is a number or a term that is understood."""
    for text in texts:
        body = split_unit(text)[0]
        if rational(body) is not None or body.strip("+-") == "∞":
            return True
        try:
            read(body)
        except Unreadable:
            continue
        return True
    return False


def value_of(text: str) -> Fraction | None:
    """The value of a term without variables, rounded if it is irrational; None if it has none."""
    try:
        value = constant(read(split_unit(text)[0]))
    except Unreadable:
        return None
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(str(float(value)))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
