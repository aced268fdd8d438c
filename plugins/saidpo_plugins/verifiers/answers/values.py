"""Compares terms (``expressions``) by their values: exactly where they are rational, else numerically.

Two terms are equal if they agree wherever both are real. This is tried at fixed points, rational numbers of both
signs and a few whole ones, that no formula has a reason to know; where something is rounded up or down, at many whole
ones too (and for ``n``, ``k``, ``m`` at those only). Values that agree to 50 digits are computed again to
1,000; there is no other tolerance. Numbers whose size is out of reach (``9^{9^{9^9}}``) equal no ordinary number, and
are not compared with each other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import reduce

from saidpo_plugins.verifiers.answers.arithmetic import Arithmetic, Huge, Undefined, Value, arithmetic, choose, is_real
from saidpo_plugins.verifiers.answers.expressions import Node

_DIGITS, _MORE_DIGITS = 50, 1000
_POINTS = 4
_AXIS = ("17/11", "29/7", "-13/9", "5/23", "-31/12", "3", "47/6", "-1/7", "4", "2", "-5", "7")
_COORDINATES = tuple(map(Fraction, _AXIS))
_WHOLE_POINTS, _LEAST_WHOLE = 25, -6
_WHOLE = frozenset(("n", "k", "m"))
"""Variables that stand for whole numbers, as far as rounding is concerned."""
_CONSTANTS = frozenset(("π", "e", "i"))

_lock = threading.Lock()  # mpmath's caches are shared by all of its contexts


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


def equal(left: Node, right: Node) -> bool | None:
    """Whether two terms have the same value; None if that cannot be found out."""
    left, right = _in_one_case(left, right)
    if left == right:
        return True
    names = sorted(symbols(left) | symbols(right))
    with _lock:
        try:
            return _equal_at_points(left, right, names) if names else _equal_constants(left, right)
        except (Undefined, RecursionError):
            return None


def constant(node: Node) -> Value | None:
    """The value of a term without variables, None if it has none."""
    if symbols(node):
        return None
    with _lock:
        try:
            return evaluate(node, {}, arithmetic(_DIGITS))
        except (Undefined, RecursionError):
            return None


def proportional(left: Node, right: Node) -> bool | None:
    """Whether ``left`` is a constant multiple of ``right``, so that both are zero at the same places."""
    left, right = _in_one_case(left, right)
    names = sorted(symbols(left))
    if not names or names != sorted(symbols(right)):
        return False if names or symbols(right) else None
    numbers = arithmetic(_DIGITS)
    ratios: list[Value] = []
    with _lock:
        for point in _points(names, _is_stepped(left) or _is_stepped(right)):
            try:
                ratio = numbers.divide(evaluate(left, point, numbers), evaluate(right, point, numbers))
            except (Undefined, RecursionError):
                continue
            if isinstance(ratio, Huge):
                return None
            ratios.append(ratio)
            if ratio == 0 or not numbers.near(ratio, ratios[0]):
                return False
    return True if len(ratios) >= _POINTS else None


def symbols(node: Node) -> frozenset[str]:
    """The variables of a term."""
    if node[0] == "sym":
        return frozenset(node[1:]) - _CONSTANTS
    return frozenset().union(*(symbols(part) for part in node[1:] if isinstance(part, tuple)))


def _in_one_case(left: Node, right: Node) -> tuple[Node, Node]:
    """``X`` and ``x`` are one variable, unless one side has both (``R`` and ``r``)."""
    sides = (symbols(left), symbols(right))
    if any(len({name.lower() for name in names}) < len(names) for names in sides):
        return left, right
    return _lower(left), _lower(right)


def _lower(node: Node) -> Node:
    if node[0] == "sym":
        return node if node[1] in ("E", "I") else ("sym", node[1].lower())
    return tuple(_lower(part) if isinstance(part, tuple) else part for part in node)


def _equal_constants(left: Node, right: Node) -> bool | None:
    a = b = None
    for digits in (_DIGITS, _MORE_DIGITS):
        numbers = arithmetic(digits)
        a, b = evaluate(left, {}, numbers), evaluate(right, {}, numbers)
        if isinstance(a, Huge) or isinstance(b, Huge):
            return None if isinstance(a, Huge) and isinstance(b, Huge) else False
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a == b
        if not numbers.near(a, b):
            return False
    return None if arithmetic(_MORE_DIGITS).vanishing(a, b) else True


def _equal_at_points(left: Node, right: Node, names: list[str]) -> bool | None:
    numbers = arithmetic(_DIGITS)
    agreed: list[Mapping[str, Fraction]] = []
    beyond_the_real: list[bool] = []
    stepped = _is_stepped(left) or _is_stepped(right)
    for point in _points(names, stepped):
        try:
            a, b = evaluate(left, point, numbers), evaluate(right, point, numbers)
        except Undefined:
            continue
        if isinstance(a, Huge) or isinstance(b, Huge):
            if isinstance(a, Huge) and isinstance(b, Huge):
                continue
            return False
        same = numbers.near(a, b)
        if not (is_real(a) and is_real(b)):
            beyond_the_real.append(same)
        elif not same:
            return False
        else:
            agreed.append(point)
            if len(agreed) >= _POINTS and not stepped:
                break
    if len(agreed) < 2 and not all(beyond_the_real):
        return False if not agreed else None
    if len(agreed) + len(beyond_the_real) < 2:
        return None
    return _confirmed(left, right, agreed[0]) if agreed else True


def _confirmed(left: Node, right: Node, point: Mapping[str, Fraction]) -> bool | None:
    numbers = arithmetic(_MORE_DIGITS)
    a, b = evaluate(left, point, numbers), evaluate(right, point, numbers)
    return None if numbers.vanishing(a, b) else numbers.near(a, b)


def _is_stepped(node: Node) -> bool:
    """Whether something in a term is rounded, so that it jumps at whole numbers."""
    if node[0] == "fn" and node[1] in ("floor", "ceil"):
        return True
    return any(_is_stepped(part) for part in node[1:] if isinstance(part, tuple))


def _points(names: list[str], stepped: bool) -> Iterator[dict[str, Fraction]]:
    if stepped:
        for row in range(_WHOLE_POINTS):
            whole = (_LEAST_WHOLE + row * (7 if k else 1) % _WHOLE_POINTS + k for k in range(len(names)))
            yield dict(zip(names, map(Fraction, whole), strict=True))
    if stepped and _WHOLE.issuperset(name.lower() for name in names):
        return
    for row in range(len(_COORDINATES)):
        shift = Fraction(1, 3) if row < 5 else 0  # the later points are whole where they can be
        yield {name: _COORDINATES[(row + 5 * k) % len(_COORDINATES)] + k * shift for k, name in enumerate(names)}


def evaluate(node: Node, point: Mapping[str, Fraction], numbers: Arithmetic) -> Value:
    """The value of a term where its variables have the values of ``point``."""
    kind = node[0]
    if kind == "num":
        return node[1]
    if kind == "sym":
        return numbers.constants[node[1]] if node[1] in _CONSTANTS else point[node[1]]
    if kind == "fn":
        return numbers.function(node[1], evaluate(node[2], point, numbers))
    parts = [evaluate(part, point, numbers) for part in node[1:]]
    if kind == "+":
        return reduce(numbers.add, parts)
    if kind == "*":
        return reduce(numbers.multiply, parts)
    operation = {
        "/": numbers.divide,
        "^": numbers.power,
        "root": numbers.root,
        "log": numbers.logarithm,
        "choose": choose,
    }[kind]
    return operation(*parts)
