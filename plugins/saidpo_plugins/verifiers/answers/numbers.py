"""Rational numbers in their spellings, exactly, by ``fractions.Fraction``: there is no tolerance (0.333 is not 1/3).

``1,234`` ``-3/4`` ``\\frac{1}{2^{99}}`` ``3\\frac{1}{2}`` ``3 1/2`` ``1.5*10^{-7}`` ``2e-7`` ``0.\\overline{3}``
``0.(3)`` ``0.333...`` ``50%``, and numbers in a base (``1010_{2}``), which equal those digits in the same base only.
Texts are normalised ones (``spelling``). A number that is too large to be written out is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

BITS_LIMIT = 20_000

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
_ATOM = re.compile(
    rf"(?P<number>{_DIGITS})(?:(?:[eE]|\*10\^)(?P<e>[+-]?\d{{1,4}}|\{{[+-]?\d{{1,4}}\}}))?"
    r"|(?P<base>\d+)\^(?:(?P<power>\d)|\{(?P<long_power>-?\d{1,5})\})"
    r"|(?P<whole>\d*)\.(?P<fixed>\d*)"
    r"(?:(?:\\(?:overline|bar|dot) ?\{(?P<repeated>\d+)\})|\((?P<brackets>\d+)\))"
    r"|(?P<start>\d*)\.(?P<lead>\d*?)(?P<block>\d{1,12}?)(?P=block){2,40} ?\.{3}"
)
_PART = r"([^{}]+(?:\{[^{}]*\}[^{}]*)?)"
_FRACTION = re.compile(rf"\\frac\{{{_PART}\}}\{{{_PART}\}}")
_MIXED = re.compile(r"(\d{1,100})(?: ?(\\frac\{\d{1,100}\}\{\d{1,100}\})| (\d{1,100}/\d{1,100}))")
_IN_DIGITS = r"(?=[A-Fa-f]*\d)[0-9A-Fa-f]+|[A-F]{2,}|[a-f]{2,}(?=\)?\}?_\{16\})"
_BASE = re.compile(
    rf"(?:\\text\{{)?\(?({_IN_DIGITS})\)?\}}?_ ?"
    r"(?:([2-9]|1\d)|\{(?:\\text\{ ?)?([2-9]|1[0-6]|two|eight|ten)\}?\})"
)
_PREFIXED = re.compile(r"0([xXbBoO])([0-9A-Fa-f]+)")
_IN_WORDS = re.compile(
    r"\(?([0-9A-Fa-f]+)\)? (?:in )?(?:base ?[-_]?\{?(\d+)\}?|(binary|octal|hexadecimal|hex))", re.IGNORECASE
)
_BASE_NAMES = {"x": "16", "b": "2", "o": "8", "two": "2", "eight": "8", "ten": "10"}
_BASE_NAMES |= {"binary": "2", "octal": "8", "hexadecimal": "16", "hex": "16"}


@dataclass(frozen=True, slots=True)
class Number:
    """A rational number as it was written: as a share in percent, or as digits in a base."""

    value: Fraction = Fraction(0)
    percent: bool = False
    digits: str = ""
    base: str = ""

    def equals(self, other: Number) -> bool:
        if self.base or other.base:  # digits count, not values; the base itself is like a unit
            return self.digits == other.digits and (not self.base or not other.base or self.base == other.base)
        if self.percent == other.percent:
            return self.value == other.value
        share, plain = (self.value, other.value) if self.percent else (other.value, self.value)
        return share == plain * 100 or (share == plain and plain > 1)


def number(text: str) -> Number | None:
    """The number that a normalised ``text`` is, None if it is not one."""
    in_base = _BASE.fullmatch(text)
    if in_base:
        base = in_base.group(2) or in_base.group(3)
        return Number(digits=_lead(in_base.group(1)), base=_BASE_NAMES.get(base, base))
    named = _PREFIXED.fullmatch(text)
    if named:
        return Number(digits=_lead(named.group(2)), base=_BASE_NAMES[named.group(1).lower()])
    spoken = _IN_WORDS.fullmatch(text)
    if spoken:
        return Number(digits=_lead(spoken.group(1)), base=spoken.group(2) or _BASE_NAMES[spoken.group(3).lower()])
    percent = text.endswith("%")
    value = rational(text[:-1].strip() if percent else text)
    return None if value is None else Number(value, percent=percent, digits=_lead(text))


def _lead(digits: str) -> str:
    return digits.upper().lstrip("0") or "0"


def rational(text: str) -> Fraction | None:
    """The value of a normalised rational number, None if it is not one, or a huge one."""
    if text.startswith("(") and text.endswith(")") and not set("(),") & set(text[1:-1]):  # (1,200) is a pair
        text = text[1:-1].strip()
    sign = -1 if text.startswith("-") else 1
    text = text[1:].strip() if text[:1] in ("-", "+") else text
    mixed = _MIXED.fullmatch(text)
    if mixed:
        part = rational(mixed.group(2) or mixed.group(3))
        return None if part is None else sign * (int(mixed.group(1)) + part)
    fraction = _FRACTION.fullmatch(text)
    if fraction or text.count("/") == 1:
        above, below = (_atom(part) for part in (fraction.groups() if fraction else text.split("/")))
        return sign * above / below if above is not None and below else None
    value = _atom(text) if text[:1] not in ("-", "+") else None
    return None if value is None else sign * value


def _atom(text: str) -> Fraction | None:
    text = text.strip()
    sign = -1 if text.startswith("-") else 1
    match = _ATOM.fullmatch(text.removeprefix("-"))
    if not match:
        return None
    if match["repeated"] or match["brackets"]:
        return sign * _repeating(match["whole"], match["fixed"], match["repeated"] or match["brackets"])
    if match["block"]:  # 0.333... and 0.121212..., but not 1.414...: the block stands three times
        return sign * _repeating(match["start"], match["lead"], match["block"])
    if match["base"]:
        base, power = int(match["base"]), int(match["power"] or match["long_power"])
        if base.bit_length() * abs(power) > BITS_LIMIT or (base == 0 and power <= 0):
            return None
        return sign * Fraction(base) ** power
    value = Fraction(match["number"].replace(",", ""))
    return sign * value * Fraction(10) ** int((match["e"] or "0").strip("{}"))


def _repeating(whole: str, fixed: str, repeated: str) -> Fraction:
    ninths = Fraction(int(repeated), 10 ** len(fixed) * (10 ** len(repeated) - 1))
    return Fraction(f"{whole or '0'}.{fixed}0") + ninths
