"""Numbers for ``values``: exact fractions while that is possible, mpmath's when it is not, and ``Huge``.

Every step is bounded: a fraction has at most 20,000 bits, the exponent of a float 16, and what would be larger is
``Huge`` (its sign may be known) or ``Undefined``. mpmath is used in a context of its own, so that its global precision
is neither read nor changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from saidpo_plugins.verifiers.answers import pairs
from saidpo_plugins.verifiers.answers.numbers import BITS_LIMIT

_GUARD_DIGITS = 15
_FINITE_BITS, _HUGE_BITS = 2**16, 2**17
_FACTORIAL_LIMIT, _HUGE_FACTORIAL = 1500, 20_000

Value = Any
"""``Fraction``, mpmath's ``mpf`` or ``mpc``, or ``Huge``."""


class Undefined(ValueError):
    """There is no such value, or none within reach."""


@dataclass(frozen=True)
class Huge:
    """A real number beyond 2^131072 or below its negative; ``sign`` is 0 if it is not known which."""

    sign: int


_FUNCTIONS = pairs(
    "arcsin asin arccos acos arctan atan arccot acot arsinh asinh arcosh acosh artanh atanh abs fabs sgn sign"
)
_EXACT: dict[str, Callable[[Fraction], int | Fraction]] = {
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "sgn": lambda value: (value > 0) - (value < 0),
}
_AT_ZERO = {
    **dict.fromkeys(("sin", "tan", "sinh", "tanh", "arcsin", "arctan", "arsinh", "artanh"), Fraction(0)),
    **dict.fromkeys(("cos", "cosh", "exp", "sec"), Fraction(1)),
}


class Arithmetic:
    """Arithmetic to a number of digits."""

    def __init__(self, digits: int) -> None:
        import mpmath

        self.mp = mpmath.mp.clone()
        self.mp.dps = digits + _GUARD_DIGITS
        self.tolerance = self.mp.mpf(10) ** -digits
        self._rounding = self.mp.mpf(10) ** -(digits + 5)
        self._tiny = self.mp.mpf(10) ** (-digits // 2)
        self.constants = {"π": +self.mp.pi, "e": +self.mp.e, "i": self.mp.mpc(0, 1)}

    def float(self, value: Value) -> Value:
        return self.mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value

    def near(self, a: Value, b: Value) -> bool:
        """Equal, as far as these digits tell."""
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a == b
        a, b = self.float(a), self.float(b)
        return bool(abs(a - b) <= self.tolerance * max(1, abs(a), abs(b)))

    def vanishing(self, a: Value, b: Value) -> bool:
        """Both so small, but not zero, that ``near`` says nothing."""
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return False
        return all(bool(0 < abs(self.float(value)) < self._tiny) for value in (a, b))

    def checked(self, value: Value) -> Value:
        """``value`` if it is within reach; without an imaginary part that is only rounding."""
        if isinstance(value, Fraction):
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            return value if bits <= BITS_LIMIT else self.checked(self.float(value))
        if isinstance(value, Huge):
            return value
        if not self.mp.isfinite(value):
            raise Undefined
        if value.imag == 0 or abs(value.imag) < self._rounding * abs(value):
            value = value.real
        if value != 0 and abs(self.mp.mag(value)) > _FINITE_BITS:
            raise Undefined
        return value

    def add(self, a: Value, b: Value) -> Value:
        if isinstance(a, Huge) or isinstance(b, Huge):
            signs = {value.sign for value in (a, b) if isinstance(value, Huge)}
            if isinstance(a, Huge) and isinstance(b, Huge) and (len(signs) > 1 or 0 in signs):
                raise Undefined
            return Huge(signs.pop())
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return self.checked(a + b)
        return self.checked(self.float(a) + self.float(b))

    def multiply(self, a: Value, b: Value) -> Value:
        if isinstance(a, Huge) or isinstance(b, Huge):
            if not all(isinstance(value, Huge) or (is_real(value) and abs(value) >= 1) for value in (a, b)):
                raise Undefined
            return Huge(_sign(a) * _sign(b))
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return self.checked(a * b)
        return self.checked(self.float(a) * self.float(b))

    def divide(self, a: Value, b: Value) -> Value:
        if isinstance(b, Huge) or b == 0:
            raise Undefined
        if isinstance(a, Huge):
            if not is_real(b) or abs(b) > 1:
                raise Undefined
            return Huge(a.sign * _sign(b))
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return self.checked(a / b)
        return self.checked(self.float(a) / self.float(b))

    def power(self, base: Value, exponent: Value) -> Value:
        if isinstance(base, Huge) or isinstance(exponent, Huge):
            return _huge_power(base, exponent)
        if exponent == 0:
            return Fraction(1)
        if base == 0:
            if is_real(exponent) and exponent > 0:
                return Fraction(0)
            raise Undefined
        if isinstance(base, Fraction) and isinstance(exponent, Fraction):
            exact = _exact_power(base, exponent)
            if exact is not None:
                return exact
        size = self.mp.mag(self.float(base)) * self.float(exponent)
        if abs(size) > _FINITE_BITS:
            if abs(size) > 2 * _HUGE_BITS and is_real(base) and abs(base) >= 2 and is_real(exponent) and exponent > 0:
                return Huge(1 if base > 0 else 0)
            raise Undefined
        return self.checked(self.mp.power(self.float(base), self.float(exponent)))

    def root(self, degree: Value, value: Value) -> Value:
        """The real root where there is one: the cube root of -8 is -2."""
        odd = isinstance(degree, Fraction) and degree.denominator == 1 and degree > 0 and degree % 2 == 1
        if odd and not isinstance(value, Huge) and is_real(value) and value < 0:
            return self.multiply(Fraction(-1), self.root(degree, self.multiply(Fraction(-1), value)))
        return self.power(value, self.divide(Fraction(1), degree))

    def logarithm(self, base: Value, value: Value) -> Value:
        return self.divide(self.function("ln", value), self.function("ln", base))

    def function(self, name: str, x: Value) -> Value:
        if name == "factorial":
            return _factorial(x)
        if isinstance(x, Huge):
            raise Undefined
        if isinstance(x, Fraction) and name in _EXACT:
            return Fraction(_EXACT[name](x))
        if x == 0 and name in _AT_ZERO:
            return _AT_ZERO[name]
        if x == 0 or (x == 1 and name == "ln"):
            if x == 1:
                return Fraction(0)
            if name not in ("arccos", "arcosh", "arccot"):
                raise Undefined
        value = self.float(x)
        if self.mp.mag(value) > (16 if name in ("exp", "sinh", "cosh") else 4096):
            if name == "exp" and is_real(value) and value > _HUGE_BITS:
                return Huge(1)
            raise Undefined
        try:
            return self.checked(getattr(self.mp, _FUNCTIONS.get(name, name))(value))
        except (ValueError, ArithmeticError, AttributeError, TypeError) as error:
            raise Undefined from error


@lru_cache(maxsize=4)
def arithmetic(digits: int) -> Arithmetic:
    return Arithmetic(digits)


def is_real(value: Value) -> bool:
    return isinstance(value, Fraction | Huge) or value.imag == 0


def choose(n: Value, k: Value) -> Fraction:
    """The binomial coefficient."""
    if not all(_is_count(value) for value in (n, k)):
        raise Undefined
    return Fraction(math.comb(int(n), int(k)))


def _is_count(value: Value) -> bool:
    return isinstance(value, Fraction) and value.denominator == 1 and 0 <= value <= _FACTORIAL_LIMIT


def _factorial(x: Value) -> Value:
    if _is_count(x):
        return Fraction(math.factorial(int(x)))
    if (isinstance(x, Huge) and x.sign > 0) or (isinstance(x, Fraction) and x.denominator == 1 and x > _HUGE_FACTORIAL):
        return Huge(1)
    raise Undefined


def _sign(value: Value) -> int:
    return value.sign if isinstance(value, Huge) else (value > 0) - (value < 0)


def _huge_power(base: Value, exponent: Value) -> Huge:
    if isinstance(exponent, Huge):
        large = isinstance(base, Huge) or (is_real(base) and abs(base) >= 2)
        if not large or exponent.sign <= 0:
            raise Undefined
        return Huge(1 if _sign(base) > 0 else 0)
    if not is_real(exponent) or exponent < 1:
        raise Undefined
    return Huge(1 if base.sign > 0 else 0)


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """``base ** exponent`` if that is rational and can be written out."""
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * bits > BITS_LIMIT:
        return None
    if exponent.denominator == 1:
        return base**exponent.numerator
    if base < 0 or exponent.denominator > 64 or bits > 1000:
        return None
    above, below = (_whole_root(part, exponent.denominator) for part in (base.numerator, base.denominator))
    return None if above is None or below is None else Fraction(above, below) ** exponent.numerator


def _whole_root(value: int, degree: int) -> int | None:
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low if low**degree == value else None
