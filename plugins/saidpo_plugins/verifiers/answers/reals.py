"""Sets of real numbers: intervals, inequalities in one variable, finite sets, ``ℝ``, and their unions and complements.

Each is brought into one form, the sorted list of its disjoint intervals, so that ``x < 2 or x > 3``,
``(-∞,2) ∪ (3,∞)`` and ``ℝ ∖ [2,3]`` are one set. Whether an end point belongs to it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from saidpo_plugins.verifiers.answers.arithmetic import Huge, arithmetic, is_real
from saidpo_plugins.verifiers.answers.expressions import Unreadable, read
from saidpo_plugins.verifiers.answers.structure import Form
from saidpo_plugins.verifiers.answers.values import constant

_FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "=": "=", "≠": "≠"}
_DIGITS = 50
_LISTED = 200  # whole numbers
_ABSOLUTE = re.compile(r"\|([a-zA-Z])([-+][^|]+)?\|")


@dataclass(frozen=True)
class Bound:
    """An end of an interval: -1 and 1 for the infinities, 0 for ``value``; ``side`` 1 lies just above the value."""

    infinite: int
    value: Any = Fraction(0)
    side: int = 0


LEAST, GREATEST = Bound(-1), Bound(1)
Interval = tuple[Bound, Bound]
"""From a lower to an upper bound, on the line on which x, then x+ (just above x) are points."""
Reals = tuple[Interval, ...]
EVERYTHING: Reals = ((LEAST, GREATEST),)


def as_reals(form: Form) -> Reals | None:
    """The set of real numbers that ``form`` is; None if it is not one, or one that is not understood."""
    if form.text in ("ℝ", "∅"):
        return EVERYTHING if form.text == "ℝ" else ()
    if form.kind == "union":
        return _united(form)
    if form.kind == "relation":
        return as_reals(form.items[1]) if form.signs == "∈" else _related(form) or _absolute(form)
    if form.kind == "built":
        return _built(form)
    if form.kind == "set":
        return _joined([_point(item.text) for item in form.items])
    if form.kind == "tuple" and len(form) == 2:
        low, high = (_bound(item.text) for item in form.items)
        if low is None or high is None or low.infinite > 0 or high.infinite < 0:
            return None
        if low.infinite == high.infinite == 0 and _compare(low, high) >= (form.signs == "[]"):
            return None
        return _interval(low, high, form.signs[0] == "[", form.signs[1] == "]")
    return _listed(form) if form.kind == "list" else None


def same_reals(left: Reals, right: Reals) -> bool:
    return len(left) == len(right) and all(
        _compare(a, b) == 0 for one, two in zip(left, right, strict=True) for a, b in zip(one, two, strict=True)
    )


def variables(form: Form) -> frozenset[str]:
    """The variables that conditions are about; the one that a set is built with is only a name."""
    if form.kind == "relation":
        names = (_ABSOLUTE.fullmatch(item.text) for item in form.items)
        letters = {match[1] for match in names if match}
        return frozenset(
            name.lower() for name in letters | {item.text for item in form.items if _is_variable(item.text)}
        )
    return frozenset().union(*map(variables, form.items)) if form.kind == "list" else frozenset()


def is_condition(form: Form) -> bool:
    """Whether an inequality is part of ``form``: ``x > 3``, ``x < 1 or x > 2``."""
    if form.kind == "relation":
        return not set(form.signs) <= {"=", "≈"}
    return form.kind in ("list", "built") and any(map(is_condition, form.items))


def _listed(form: Form) -> Reals | None:
    """``and`` narrows, ``or`` joins; after a comma, conditions that exclude each other are cases."""
    parts = [_point(item.text) if item.kind == "one" else as_reals(item) for item in form.items]
    if len(variables(form)) > 1 or None in parts:
        return None
    related = [item for item in form.items if item.kind == "relation"]
    if form.signs == "∨" or not related:
        return _joined(parts)
    if len(related) < len(parts) or any(item.signs == "=" for item in related):
        return None if form.signs == "∧" or any(map(is_condition, form.items)) else _joined(parts)
    return _met(parts) if form.signs == "∧" else _met(parts) or _joined(parts)


def _built(form: Form) -> Reals | None:
    """``{x | x > 3}``; of whole numbers only so many that they can be listed."""
    reals = as_reals(form.items[0])
    if form.signs in ("", "ℝ") or reals is None:
        return reals
    ends = [bound for interval in reals for bound in interval]
    if form.signs == "ℚ" or any(bound.infinite for bound in ends):
        return None
    whole = [arithmetic(_DIGITS).float(bound.value) for bound in ends]
    if not whole or whole[-1] - whole[0] > _LISTED or (form.signs == "ℕ" and whole[0] < 1):
        return None  # whether 0 is natural is open
    numbers = range(int(whole[0]) - 1, int(whole[-1]) + 2)
    points = [_interval(bound, bound, True, True) for bound in (Bound(0, Fraction(number)) for number in numbers)]
    return _met([_joined(list(points)), reals])


def _united(form: Form) -> Reals | None:
    """Left to right: unions, intersections, differences."""
    total = as_reals(form.items[0])
    for sign, item in zip(form.signs, form.items[1:], strict=True):
        part = as_reals(item)
        if total is None or part is None:
            return None
        part = _complement(part) if sign == "∖" else part
        total = _joined([total, part]) if sign == "∪" else _met([total, part])
    return total


def _related(form: Form) -> Reals | None:
    """``x > 3``, ``-1 < x ≤ 2``, ``x ≠ 0``: one variable alone, between numbers."""
    names = [item.text for item in form.items]
    places = [i for i, name in enumerate(names) if _is_variable(name)]
    if len(places) != 1:
        return None
    parts: list[Reals | None] = []
    for i, sign in enumerate(form.signs):
        if sign not in _FLIPPED or places[0] not in (i, i + 1):
            return None
        bound = _bound(names[i + 1 if places[0] == i else i])
        if bound is None:
            return None
        parts.append(_half_line(sign if places[0] == i else _FLIPPED[sign], bound))
    return _met(parts)


def _absolute(form: Form) -> Reals | None:
    """``|x| < 1``, ``3 ≤ |x-2|``."""
    if len(form) != 2 or form.signs not in _FLIPPED:
        return None
    sign, sides = form.signs, [item.text for item in form.items]
    if "|" not in sides[0]:
        sign, sides = _FLIPPED[sign], sides[::-1]
    match, radius = _ABSOLUTE.fullmatch(sides[0]), _bound(sides[1])
    if match is None or radius is None or radius.infinite or _compare(radius, Bound(0)) <= 0:
        return None
    low, high = (_bound(f"-({match[2] or 0}){side}({sides[1]})") for side in "-+")
    if low is None or high is None or sign in "=≠":
        return None
    if sign in "<≤":
        return _interval(low, high, sign == "≤", sign == "≤")
    return _joined([_half_line(_FLIPPED[sign], low), _half_line(sign, high)])


def _is_variable(name: str) -> bool:
    return len(name) == 1 and name.isalpha() and name not in "eiπℝℤℕℚ"


def _half_line(sign: str, bound: Bound) -> Reals:
    if sign == "=":
        return _interval(bound, bound, True, True)
    if sign == "≠":
        return _complement(_interval(bound, bound, True, True))
    if sign in "<≤":
        return _interval(LEAST, bound, False, sign == "≤")
    return _interval(bound, GREATEST, sign == "≥", False)


def _point(text: str) -> Reals | None:
    bound = _bound(text)
    return None if bound is None or bound.infinite else _interval(bound, bound, True, True)


def _interval(low: Bound, high: Bound, closed_low: bool, closed_high: bool) -> Reals:
    start = low if low.infinite else Bound(0, low.value, 0 if closed_low else 1)
    end = high if high.infinite else Bound(0, high.value, 1 if closed_high else 0)
    return ((start, end),) if _compare(start, end) < 0 else ()


def _bound(text: str) -> Bound | None:
    if text in ("∞", "+∞", "-∞"):
        return LEAST if text[0] == "-" else GREATEST
    try:
        value = constant(read(text))
    except Unreadable:
        return None
    return None if value is None or isinstance(value, Huge) or not is_real(value) else Bound(0, value)


def _compare(a: Bound, b: Bound) -> int:
    if a.infinite or b.infinite:
        return a.infinite - b.infinite
    numbers = arithmetic(_DIGITS)
    if numbers.near(a.value, b.value):
        return a.side - b.side
    return -1 if numbers.float(a.value) < numbers.float(b.value) else 1


_in_order: Callable[[Interval], Any] = cmp_to_key(lambda one, two: _compare(one[0], two[0]))


def _joined(parts: list[Reals | None]) -> Reals | None:
    if any(part is None for part in parts):
        return None
    result: list[Interval] = []
    for low, high in sorted((interval for part in parts for interval in part or ()), key=_in_order):
        if result and _compare(low, result[-1][1]) <= 0:
            if _compare(high, result[-1][1]) > 0:
                result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return tuple(result)


def _complement(reals: Reals) -> Reals:
    ends = [LEAST, *(bound for interval in reals for bound in interval), GREATEST]
    return tuple((low, high) for low, high in zip(ends[::2], ends[1::2], strict=True) if _compare(low, high) < 0)


def _met(parts: list[Reals | None]) -> Reals | None:
    """The intersection: what is in none of the complements."""
    outside = _joined([None if part is None else _complement(part) for part in parts])
    return None if outside is None else _complement(outside)
