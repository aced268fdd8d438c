"""The cheap first stage of the ``math`` verifier: what can be compared exactly without a computer algebra system.

Rational numbers in the usual spellings (``1,234``, ``83\\,154``, ``-3/4``, ``\\frac{1}{2^{99}}``, ``3\\tfrac12``,
``1.5\\times 10^{-7}``, ``0.\\overline{3}``, ``½``), percentages, money, degrees and units, digits in a base, words,
choice letters, flat tuples and ratios. By ``fractions.Fraction``, so there is no tolerance: 0.333 is not 1/3.

Conventions, all **ours**: a unit may be left out, but two different ones do not agree (``100 cm`` is not ``1 m``);
``n%`` is n/100, and also n when n > 1 ("what percentage ...?" has both as gold answers); a bare list is a set, a
bracketed one has an order; letter case does not matter in words. ``compare`` is symmetrical. Long texts and huge
powers are left undecided.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

LENGTH_LIMIT = 1000
_BITS_LIMIT = 20_000

_VULGAR = {c: " " + unicodedata.normalize("NFKC", c) for c in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_SIGNS = {
    "−": "-",
    "–": "-",
    "×": r"\times ",
    "·": r"\cdot ",
    "÷": "/",
    "⁄": "/",
    "∕": "/",
    "π": r"\pi ",
    "∞": r"\infty ",
}
_SIGNS |= {"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "°": r"\text{degree}", "²": "^{2}", "³": "^{3}"}
_CHARACTERS = str.maketrans(_SIGNS | {"\u00a0": " ", "\u202f": " ", "\u2009": " ", "∪": r"\cup ", "$": ""})
_VULGAR_TABLE = str.maketrans(_VULGAR)


def _scale(match: re.Match[str]) -> str:
    power = {"m": 6, "b": 9, "tr": 12}.get(match.group(1), 3)
    return f"\\times 10^{{{power}}}"


_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"√\s?\(([^()]*)\)|√\s?(\w+)", r"\\sqrt{\1\2}"),
        (r"\\(?:left|right|displaystyle|textstyle|!)(?![a-zA-Z])", ""),
        (r"(?<=\d)(?:(?<!\\)\\[,;: ]|~|\{,\})(?=\d{3}(?!\d))", ""),
        (r"(?<!\\)\\[,;: ]|~|\\q?quad(?![a-zA-Z])", " "),
        (r"\\(?:d|t|c)frac(?![a-zA-Z])", r"\\frac"),
        (r"\\frac\s?(\d)\s?(\d)", r"\\frac{\1}{\2}"),
        (r"\^\s?(?:\\circ(?![a-zA-Z])|\{\s?\\circ\s?\})|\\degree(?![a-zA-Z])", r"\\text{degree}"),
        (r"\\%|\s?\bper ?cent\b", "%"),
        (r"(?<=\d) ?(?:thousand|(m|b|tr)illion)\b", _scale),
        (r"\s+", " "),
        (r" (?![\w\\])|(?<!\w) ", ""),
        (r"(?<=[\d}]) (?=\\)", ""),
    )
)
_WRAP = r"\\(?:text|textrm|textbf|textit|mathrm|mathbf|mbox|operatorname)"
_WRAPPED = re.compile(_WRAP + r"\{([^{}]*)\}")
_TEXT_UNIT = re.compile(r"(.*[\w})!])" + _WRAP + r"\{([^{}\d]{1,40})\}(?:\^\{?(\d)\}?)?")
_PLAIN_UNIT = re.compile(r"(.*(?:\d[})]?|[})]|\\pi))( ?)([A-Za-z]{1,20}(?:[ /][A-Za-z]{1,20}){0,3})(?:\^\{?(\d)\}?)?")
_PLAIN_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
_ALIASES = {
    **dict.fromkeys(("meter", "metre"), "m"),
    **dict.fromkeys(("centimeter", "centimetre"), "cm"),
    **dict.fromkeys(("millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("kilometer", "kilometre", "kms"), "km"),
    **dict.fromkeys(("inch", "inche"), "in"),
    **dict.fromkeys(("foot", "feet"), "ft"),
    **dict.fromkeys(("yard", "yds"), "yd"),
    "mile": "mi",
    **dict.fromkeys(("gram", "gm"), "g"),
    **dict.fromkeys(("kilogram", "kgs"), "kg"),
    **dict.fromkeys(("pound", "lbs"), "lb"),
    "ounce": "oz",
    **dict.fromkeys(("liter", "litre"), "l"),
    **dict.fromkeys(("second", "sec"), "s"),
    **dict.fromkeys(("minute", "mins"), "min"),
    **dict.fromkeys(("hour", "hr", "hrs"), "h"),
    "deg": "degree",
}
_SHORT_UNITS = {"cm", "mm", "km", "in", "ft", "yd", "mi", "kg", "mg", "lb", "oz", "ml", "hr", "am", "pm", "mph", "kph"}

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
_ATOM = re.compile(
    rf"(?P<number>{_NUMBER})(?:(?:[eE]|\\(?:times|cdot) ?10\^)(?P<e>[+-]?\d{{1,4}}|\{{[+-]?\d{{1,4}}\}}))?"
    r"|(?P<base>\d+)\^(?:(?P<power>\d)|\{(?P<long_power>\d{1,4})\})"
    r"|(?P<whole>\d*)\.(?P<fixed>\d*)\\overline\{(?P<repeated>\d+)\}"
)
_PART = r"([^{}]+(?:\{[^{}]*\}[^{}]*)?)"
_FRACTION = re.compile(rf"\\frac\{{{_PART}\}}\{{{_PART}\}}")
_MIXED = re.compile(r"(\d{1,100})(?: ?(\\frac\{\d{1,100}\}\{\d{1,100}\})| (\d{1,100}/\d{1,100}))")
_BASE = re.compile(r"(?=[A-Fa-f]*\d)([0-9A-Fa-f]+)_(?:([2-9]|1\d)|\{([2-9]|1\d)\})")
_ASSIGNMENT = re.compile(r"[A-Za-z](?:_\w|_\{\w{1,3}\})?=(?=[^=])")
_CHOICE = re.compile(r"\(?([A-J])(?:\)|\.(?!\d)|$)((?:[\w\\].*)?)")
_WORDS = re.compile(r"[A-Za-z]+(?:[ '-][A-Za-z]+)*")
_BRACKETS = {"(": ")", "[": "]"}


@dataclass(frozen=True)
class _Quantity:
    value: Fraction = Fraction(0)
    percent: bool = False
    digits: str = ""
    base: str = ""
    """Digits are compared as written if either number is in a base."""

    def equals(self, other: _Quantity) -> bool:
        if self.base or other.base:
            return self.digits == other.digits and (not self.base or not other.base or self.base == other.base)
        if self.percent == other.percent:
            return self.value == other.value
        share, plain = (self.value, other.value) if self.percent else (other.value, self.value)
        return share == plain * 100 or (share == plain and plain > 1)


def compare(gold: str, answer: str) -> bool | None:
    """Whether both are the same answer; None if that cannot be decided here."""
    if gold.strip() == answer.strip():
        return True
    if max(len(gold), len(answer)) > LENGTH_LIMIT:
        return None
    (left, left_unit), (right, right_unit) = split_unit(normalise(gold)), split_unit(normalise(answer))
    if left_unit and right_unit and left_unit != right_unit:
        return False
    if left == right and left:
        return True
    for decide in (_same_choice, _same_words, _same_quantity, _same_items):
        decision = decide(left, right)
        if decision is not None:
            return decision
    return None


def normalise(text: str) -> str:
    """One spelling for what is written in several: unicode signs, spaces, ``\\dfrac``, ``\\left``, degrees, money."""
    text = text.replace(r"\$", "").translate(_VULGAR_TABLE).translate(_CHARACTERS)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.strip().removesuffix(".").removesuffix("\\")
    wrapped = _WRAPPED.fullmatch(text)
    return wrapped.group(1).strip().removesuffix(".") if wrapped else text


def split_unit(text: str) -> tuple[str, str]:
    """``("5", "cm^2")`` of a normalised ``5\\text{cm}^2``; the unit is empty if there is none. Also ``€5``."""
    if text[:1] in "£€¥" and text[1:2].isdigit():
        return text[1:], text[0]
    wrapped = _TEXT_UNIT.fullmatch(text)
    if wrapped:
        body, unit, power = wrapped.groups()
        return body.strip(), _unit_name(unit, power)
    plain = _PLAIN_UNIT.fullmatch(text)
    if plain:
        body, space, unit, power = plain.groups()
        known = unit.lower() in _SHORT_UNITS
        if (known or (space and len(unit) > 2)) and not _PLAIN_WORD.search(body):
            return body.strip(), _unit_name(unit, power)
    return text, ""


def _unit_name(unit: str, power: str | None) -> str:
    words = []
    for word in re.findall(r"[^\W\d_]+|/|%", unit):
        word = word.lower() if len(word) > 2 else word
        word = word.removesuffix("s") if len(word) > 3 else word
        if word in ("square", "sq", "cubic"):
            power = "3" if word == "cubic" else "2"
        else:
            words.append("/" if word == "per" else _ALIASES.get(word, word))
    return " ".join(words) + (f"^{power}" if power else "")


def rational(text: str) -> Fraction | None:
    """The value of a normalised rational number, None if it is not one (or a huge one)."""
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
    match = _ATOM.fullmatch(text[1:] if text[:1] == "-" else text)
    if not match:
        return None
    if match["repeated"]:
        whole, fixed, repeated = match["whole"] or "0", match["fixed"], match["repeated"]
        ninths = Fraction(int(repeated), 10 ** len(fixed) * (10 ** len(repeated) - 1))
        return sign * (Fraction(f"{whole}.{fixed}0") + ninths)
    if match["base"]:
        base, power = int(match["base"]), int(match["power"] or match["long_power"])
        return sign * Fraction(base**power) if base.bit_length() * power <= _BITS_LIMIT else None
    value = Fraction(match["number"].replace(",", ""))
    return sign * value * Fraction(10) ** int((match["e"] or "0").strip("{}"))


def _quantity(text: str) -> _Quantity | None:
    text = _ASSIGNMENT.sub("", text, count=1) if _ASSIGNMENT.match(text) else text
    in_base = _BASE.fullmatch(text)
    if in_base:
        return _Quantity(digits=in_base.group(1).upper(), base=in_base.group(2) or in_base.group(3))
    if text.startswith("(") and text.endswith(")") and "," not in text:
        text = text[1:-1]
    percent = text.endswith("%")
    value = rational(text[:-1].strip() if percent else text)
    return None if value is None else _Quantity(value, percent=percent, digits=text)


def _same_choice(left: str, right: str) -> bool | None:
    """``C`` and ``(C)``, ``C. because``: one of them is nothing but the letter."""
    choices = [_CHOICE.fullmatch(text) for text in (left, right)]
    if None in choices or all(choice and choice.group(2).strip() for choice in choices):
        return None
    return len({choice.group(1) for choice in choices if choice}) == 1


def _same_words(left: str, right: str) -> bool | None:
    """Words are told from products of variables by their length: ``east`` is not ``seat``, but ``ab`` is ``ba``."""
    texts = [_WRAPPED.sub(r"\1", text).strip() for text in (left, right)]
    are_words = [bool(_WORDS.fullmatch(text)) for text in texts]
    if all(are_words) and max(map(len, texts)) > 1 and texts[0].casefold() == texts[1].casefold():
        return True
    if all(are_words):
        return False if max(map(len, texts)) > 3 else None
    if any(is_word and len(text) > 3 for is_word, text in zip(are_words, texts, strict=True)):
        return False if any(_quantity(text) for text in texts) else None
    return None


def _same_quantity(left: str, right: str) -> bool | None:
    if _ASSIGNMENT.match(left) and _ASSIGNMENT.match(right) and left.partition("=")[0] != right.partition("=")[0]:
        return None
    quantities = (_quantity(left), _quantity(right))
    if quantities[0] is None or quantities[1] is None:
        return None
    return quantities[0].equals(quantities[1])


def _same_items(left: str, right: str) -> bool | None:
    """Flat tuples, ratios and lists of rational numbers."""
    (left_kind, left_items), (right_kind, right_items) = _items(left), _items(right)
    if left_kind != right_kind or not left_kind:
        return None
    left_values, right_values = [rational(item) for item in left_items], [rational(item) for item in right_items]
    if None in left_values or None in right_values:
        return None
    return set(left_values) == set(right_values) if left_kind == "set" else left_values == right_values


def _items(text: str) -> tuple[str, list[str]]:
    """Kind (brackets, ``:`` or ``set``; empty if it is not a flat list) and items."""
    kind, inner = "set", text
    if text[:1] in _BRACKETS and text[-1:] in (")", "]"):
        kind, inner = text[0] + text[-1], text[1:-1]
    elif text.startswith(r"\{") and text.endswith(r"\}"):
        inner = text[2:-2]
    elif ":" in text:
        kind = ":"
    if any(bracket in inner for bracket in "()[]"):
        return "", []
    items = re.split(":" if kind == ":" else r",(?: ?and )?| and | or |;", inner)
    return (kind, [item.strip() for item in items]) if len(items) > 1 else ("", [])
