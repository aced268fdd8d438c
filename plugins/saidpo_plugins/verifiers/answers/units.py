"""Units of measurement: ``5 cm``, ``5\\text{ cm}^2``, ``\\$5``, ``30°``, ``12 apples``.

A unit may be left out, but not changed: two spellings of one unit agree (``cm`` and ``centimetres``), two units do not,
even where one could be converted into the other (``100 cm`` is not ``1 m``). Whatever nouns follow a number are a unit
(but not every word, ``nouns``).
"""

from __future__ import annotations

import re
from fractions import Fraction

from saidpo_plugins.verifiers.answers import names
from saidpo_plugins.verifiers.answers.nouns import may_be_unit
from saidpo_plugins.verifiers.answers.spelling import DOLLAR

_NAMES = {
    "m": "meter metre",
    "cm": "centimeter centimetre cms",
    "mm": "millimeter millimetre",
    "km": "kilometer kilometre kms",
    "in": "inch inche",
    "ft": "foot feet",
    "yd": "yard yds",
    "mi": "mile",
    "g": "gram gramme gm gms",
    "kg": "kilogram kilogramme kgs kilo",
    "mg": "milligram",
    "lb": "pound lbs",
    "oz": "ounce",
    "l": "liter litre L",
    "ml": "milliliter millilitre mL",
    "s": "second sec secs",
    "ms": "millisecond",
    "min": "minute mins",
    "h": "hour hr hrs",
    "day": "days",
    "degree": "° deg degs",
    "degree c": "°C celsius",
    "degree f": "°F fahrenheit",
    "rad": "radian rads",
    "dollar": f"{DOLLAR} usd buck",
    "euro": "€ eur",
    "gbp": "£ sterling",
    "yen": "¥ jpy",
    "rupee": "₹ rs inr",
    "cent": "¢",
    "%": "percent",
    "n": "newton N",
    "j": "joule J",
    "w": "watt W",
    "v": "volt V",
    "pa": "pascal Pa",
    "hz": "hertz Hz",
    "k": "kelvin K",
    "mi/h": "mph",
    "km/h": "kmph kph kmh",
    "m/s": "mps",
    "th": "st nd rd",
    "people": "person persons",
    "man": "men",
    "woman": "women",
    "child": "children",
}
_ALIASES = {alias: name for name, aliases in _NAMES.items() for alias in (*aliases.split(), name)}
_CURRENCY = re.compile(
    rf"([-+]?) ?(?:([{DOLLAR}€£¥₹])|(?i:(usd|eur|gbp|us{DOLLAR}|rs)\b\.?)) ?(?=[-+]?[\d.]|\\frac)(.*)"
)
_SHORT = names(
    "mm cm dm km ft yd mi kg mg lb lbs oz ml mL hr hrs min mins sec secs mph kph kmph kmh ms Hz Pa usd USD eur EUR gbp"
)
_ONE_UNIT = r"(?:\\text\{[^{}\d]{1,40}\}|°(?: ?[CFK]\b)?|[€£¥₹¢]|[A-Za-z]+\.?)(?:\^(?:\d|\{-?\d\}))?"
_UNIT = rf"{_ONE_UNIT}(?:(?: ?[*/] ?| ){_ONE_UNIT}){{0,5}}"
_MEASURE = re.compile(rf"(.*?[\d\])}}π.!%])(?:\\text\{{ ?\}})?( ?)({_UNIT})")
_ANGLE = re.compile(r"sin|cos|tan|cot|sec|csc")
_COMPOUND = re.compile(rf"(?:\d+(?:\.\d+)? ?{_ONE_UNIT},? ?(?:and )?){{2,4}}")
_PART = re.compile(rf"(\d+(?:\.\d+)?) ?({_ONE_UNIT})")
_WORD = re.compile(r"\\text\{([^{}]*)\}|([A-Za-z]+\.?|[°€£¥₹¢/])|\^\{?(-?\d)\}?|(\*)")
_FILLERS = names("of the a an unit units total all each")
_SYMBOLS = frozenset("xyzabcdefijknpqrtuvwABCDEFGHIMNOPQRSTUXYZ")


def split_unit(text: str) -> tuple[str, str, bool]:
    """Number, unit and whether that is certain: a letter (``5 m``) may be a variable. ``("5", "cm^2", True)``."""
    money = _CURRENCY.fullmatch(text)
    if money:
        sign, symbol, code, body = money.groups()
        name = _ALIASES.get((symbol or code or "").lower().replace("us" + DOLLAR, "usd"), "")
        body, extra, _ = split_unit(body)
        return sign + body, name if extra in ("", name) else f"{name} {extra}", True
    measure = _MEASURE.fullmatch(text) if len(text) <= 200 else None
    if measure is None:
        return text, "", True
    body, space, unit = measure.groups()
    if unit.startswith("°") and _ANGLE.search(body):
        return text, "", True  # the sine of so many degrees
    if not _is_unit(unit, bool(space)) or re.search(r"(?<![\\a-zA-Z])[A-Za-z]{2,}", _without_commands(body)):
        return text, "", True
    certain = "\\text" in unit or "°" in unit or not re.fullmatch(r"[A-Za-z](\^\{?\d\}?)?", unit)
    return body.strip(), unit_name(unit), certain


def with_unit(text: str, unit: str) -> str:
    """The number of ``text`` if it ends in this unit's one letter (``5m``), else ``text``."""
    letter = re.fullmatch(r"(.*\d)([a-zA-Z])", text)
    return letter[1] if unit and letter and unit_name(letter[2]) == unit else text


def compound(text: str) -> tuple[tuple[Fraction, str], ...]:
    """``5 ft 3 in`` as numbers with units; empty if it is no such thing."""
    if not _COMPOUND.fullmatch(text):
        return ()
    return tuple((Fraction(number), unit_name(unit)) for number, unit in _PART.findall(text))


def _without_commands(text: str) -> str:
    return re.sub(r"\\[a-zA-Z]+", "", text)


def _is_unit(unit: str, space: bool) -> bool:
    words = re.findall(r"\\text|°|[A-Za-z]+|[€£¥₹¢]", re.sub(r"(?<=\\text)\{[^{}]*\}", "", unit))
    said = re.sub(r"\bin (?:total|all)\b|\\text", "", unit)
    if re.search("[A-Za-z]", said) and not may_be_unit(re.findall("[A-Za-z]+", said)):
        return False
    if "(" in said and not is_known(said):
        return False
    if words and words[0] in ("\\text", "°", "€", "£", "¥", "₹", "¢"):
        return True
    first = words[0] if words else ""
    if first in _SHORT or (first in ("th", "st", "nd", "rd") and not space):
        return True
    if len(first) == 1:
        return (space or "/" in unit or "^" in unit) and first not in _SYMBOLS
    return space and (len(first) > 2 or first in ("am", "pm", "in", "sq", "cu"))


def is_known(words: str) -> bool:
    """Whether all of these words are units of measurement, not just any nouns."""
    found = re.findall("[A-Za-z]+", words)
    known = {*_ALIASES.values(), "square", "cubic", "sq", "cu", "per", *_FILLERS}
    return bool(found) and all(_word_name(word) in known for word in found)


def unit_name(unit: str) -> str:
    """One name for a unit: ``square centimeters`` is ``cm^2``. Generic words (``units``, ``in total``) are none."""
    words: list[str] = []
    divided = False
    unit = re.sub(r"\bin (?:total|all)\b", "", unit)
    for text, word, exponent, _ in _WORD.findall(unit):
        if exponent:
            _raise(words, exponent)
            continue
        for item in re.findall(r"[^\W\d_]+|/|°|[€£¥₹¢]|\^\{?-?\d\}?", text or word):
            if item.startswith("^"):
                _raise(words, item.strip("^{}"))
                continue
            name = _word_name(item)
            if name in ("squared", "cubed"):
                _raise(words, "2" if name == "squared" else "3")
            elif name in ("square", "sq", "cubic", "cu"):
                power = "3" if name.startswith("cu") else "2"
                words.append(f"?{power}")
            elif name in ("/", "per"):
                divided = bool(words)
            elif name not in _FILLERS:
                squared = bool(words) and words[-1].startswith("?")
                full = f"{name}^{words.pop()[1:]}" if squared else name
                words.append(f"/{full}" if divided else full)
                divided = False
    return " ".join(word for word in words if not word.startswith("?"))


def _raise(words: list[str], exponent: str) -> None:
    """``s^-1`` is ``/s``."""
    if not words or exponent == "1":
        return
    size = exponent.removeprefix("-")
    words[-1] = ("/" if size != exponent else "") + words[-1] + (f"^{size}" if size != "1" else "")


def _word_name(word: str) -> str:
    for form in (word, word.lower(), word.lower().removesuffix("s"), word.lower().removesuffix("es")):
        if form in _ALIASES:
            return _ALIASES[form]
    word = word.lower()
    return word.removesuffix("s") if len(word) > 3 else word


def units_agree(left: str, right: str) -> bool:
    """Whether neither contradicts the other. ``degree`` may be said more exactly (``degree c``)."""
    if not left or not right or left == right:
        return True
    left, right = left.replace(" /", "/"), right.replace(" /", "/")
    if left == right:
        return True
    shorter, longer = sorted((left, right), key=len)
    return shorter == "degree" and longer.startswith("degree ")
