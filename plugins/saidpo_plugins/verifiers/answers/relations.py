"""What equations and inequalities say: a value with its name (``x = 5``), a value said several times, a condition."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from itertools import pairwise

from saidpo_plugins.verifiers.answers import words
from saidpo_plugins.verifiers.answers.expressions import Node, read
from saidpo_plugins.verifiers.answers.numbers import rational
from saidpo_plugins.verifiers.answers.single import value_of
from saidpo_plugins.verifiers.answers.structure import Form
from saidpo_plugins.verifiers.answers.tokens import GREEK

_NAME = r"[a-zA-Z]|\\[a-zA-Z]+|(?:m ?)?(?:∠|\\angle|\\triangle) ?[A-Z]{1,3}|[A-Z]{2}|(?:\\text\{)?[a-zA-Z ]{2,40}\}?"
_INDEX = r"(?:_\{?[\w,]{1,8}\}?)?(?:\^\{-1\})?"
_LABEL = re.compile(rf"(?:{_NAME})'{{0,2}}{_INDEX}(?:\([a-zA-Z](?:,[a-zA-Z])*\))?|\([a-zA-Z](?:,[a-zA-Z])+\)")
_FUNCTION = re.compile(r".+\([a-zA-Z](?:,[a-zA-Z])*\)")
_ASKED = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:[a-zA-Z]|[A-Z]{2})(?:\+(?:[a-zA-Z]|[A-Z]{2}))+",  # m+n
        r"\|(?:[A-Z]{1,2}|\\vec ?\{?[a-zA-Z]\}?|[A-Z](?:[∪∩∖][A-Z])+)\|",
        r"\\overline ?\{ ?[A-Z]{2} ?\}",
        r"[A-Z]_\{\\triangle ?[A-Z]{3}\}",
        rf"\\(?:sin|cos|tan|cot|sec|csc) ?\(?(?:\\(?:{'|'.join(sorted(GREEK))})|(?:∠|\\angle) ?[A-Z]{{1,3}}|[A-Z])\)?",
    )
)
_CALL = re.compile(r"([fghFGHPE])[(\[]([^()]{1,40}|[^()]{0,20}\([^()]{0,20}\))[)\]]")
_OUTSIDE = re.compile("[{}≈<>]")
_DIVISOR = re.compile(r"\\?(?:text\{)?(gcd|lcm)\}?\((\d{1,30}(?:,\d{1,30})+)\)")
_TURN = str.maketrans("<>≤≥", "><≥≤")
_DECIMAL = re.compile(r"-?\d*\.(\d{1,50})")
_ROUNDING = Fraction(1, 10**12)  # irrational values are rounded when they are compared


def assignment(form: Form) -> tuple[str, Form] | None:
    """Name and value of ``x = 5``, ``f(x) = 2x``, ``Area = 25``, ``(x,y) = (1,2)``."""
    if form.kind != "relation" or form.signs != "=":
        return None
    label, value = form.items[0].text, form.items[1]
    if _LABEL.fullmatch(label) and label not in ("e", "i") and rational(label) is None:
        return label, value
    return None


def named(form: Form) -> tuple[str, Form] | None:
    """Name and value of ``x = 5``; and of ``f(2) = 5``, ``m+n = 5``, ``|AB| = 5``, ``gcd(12,18) = 6``, if asked for.

    In ``2x = 5`` and ``x^2 = 4`` nothing is named, these are equations.
    """
    known = assignment(form)
    if known or form.kind != "relation" or form.signs != "=" or value_of(form.items[1].text) is None:
        return known
    asked, value = form.items
    return (asked.text, value) if _is_asked(asked.text, value.text) else None


def _is_asked(text: str, value: str) -> bool:
    """Whether ``text`` is a name for something with a value, and not another number."""
    divisor = _DIVISOR.fullmatch(text)
    if divisor:
        numbers = map(int, divisor[2].split(","))
        found = math.gcd(*numbers) if divisor[1] == "gcd" else math.lcm(*numbers)
        return says_again(str(found), value) is True
    call = _CALL.fullmatch(text)
    if call:
        return call[1] not in call[2] and _OUTSIDE.search(call[2]) is None
    return any(name.fullmatch(text) for name in _ASKED)


def without_roughly(text: str) -> tuple[str, bool]:
    """``x = 5`` for ``x ≈ 5``, and whether it was that; in ``\\sqrt2 ≈ 1.41`` the exact value is there."""
    exact, about, value = text.partition("≈")
    if about and exact.strip() and value_of(exact.rpartition("=")[2].strip()) is None:
        return f"{exact.strip()}={value.strip()}", True
    return text, False


def same_label(left: str, right: str) -> bool:
    """``f(x)`` and ``g(x)`` are both only names of the function that is asked for; ``x`` and ``y`` are not."""
    functions = _FUNCTION.fullmatch(left) and _FUNCTION.fullmatch(right)
    return bool(functions) or words.plain(left) == words.plain(right)


def is_variable(label: str) -> bool:
    return len(label) == 1


def chain(form: Form) -> list[Form]:
    """The parts of ``x = 2+3 = 5``, ``12+5 = 17``, ``\\sqrt2 ≈ 1.41`` that say a value; empty if it is no chain."""
    if form.kind != "relation" or not set(form.signs) <= {"=", "≈"}:
        return []
    if form.signs == "=" and any(value_of(item.text) is None for item in form.items):
        return []
    items = list(form.items)
    if _LABEL.fullmatch(items[0].text) and form.signs[0] == "=":
        items = items[1:]
    return items if len(items) > 1 else []


def is_one_value(form: Form) -> bool:
    """Whether the parts of a chain say one number; after ``≈`` a decimal fraction may be rounded in its last place."""
    parts = chain(form)
    signs = form.signs[len(form) - len(parts) :]  # without that after a name in front
    return all(
        says_again(left.text, right.text, rounded=sign == "≈") is not False
        for sign, (left, right) in zip(signs, pairwise(parts), strict=False)
    )


def says_again(value: str, other: str, *, rounded: bool = True) -> bool | None:
    """Whether ``other`` is the number ``value`` once more; None if one of them is no number."""
    left, right = value_of(value), value_of(other)
    if left is None or right is None:
        return None
    last = _last_place(other) if rounded else Fraction(0)
    cut_off = 0 <= abs(left) - abs(right) < last and left * right >= 0
    return cut_off or abs(left - right) <= max(last / 2, abs(left) * _ROUNDING)


def _last_place(text: str) -> Fraction:
    """One unit in the last place of a decimal fraction, nothing for another number."""
    decimal = _DECIMAL.fullmatch(text)
    return Fraction(1, 10 ** len(decimal[1])) if decimal else Fraction(0)


def difference(form: Form) -> Node:
    """Left side minus right side of an equation."""
    left, right = (read(item.text) for item in form.items)
    return ("+", left, ("*", ("num", Fraction(-1)), right))


def turned(form: Form) -> Form:
    """``3 < x`` as ``x > 3``."""
    return Form("relation", form.text, form.items[::-1], form.signs[::-1].translate(_TURN))
