"""Answers in words: yes and no, names, hedges; and the words that mean a number or a set.

Letter case, quotes, hyphens and an article in front do not matter. ``twelve`` is 12 and ``no solution`` is the empty
set. A hedge is wrong unless the gold answer has it too.
"""

from __future__ import annotations

import re

_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_HEDGES = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|likely|apparently|i think|i guess|i believe|i suppose|not sure|unsure|or so|"
    r"give or take|could be|might be|may be|should be|either|somewhere|guess|nearly|almost|close to|between)\b|\?$"
)
_ROUGHLY = re.compile(
    r"^(?:\\text\{ ?)?(?:is )?(?:approximately|approx\.?|about|around|roughly|circa|≈|~|\\sim)(?: equal to)?(?: ?\})? ?"
)
_ROUGHLY_AFTER = re.compile(r" ?(?:\\text\{ ?)?\(?\b(?:approximately|approx\.?|roughly|rounded)\)?(?: ?\})?$")
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
)
_UNITS += "eighteen nineteen"
_YES_OR_NO = frozenset(("yes", "no", "true", "false", "but", "not", "maybe", "or", "and"))
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: value for value, word in enumerate(_UNITS.split())}
_NUMBERS |= {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_PARTS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4}
_PARTS |= {"fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10}
_MEANINGS = {
    **dict.fromkeys(("no solution", "no solutions", "no real solution", "no real solutions", "empty set"), "∅"),
    **dict.fromkeys(
        ("no solution exists", "no solutions exist", "null set", "has no solution", "has no solutions"), "∅"
    ),
    **dict.fromkeys(("there is no solution", "there are no solutions", "there are no real solutions"), "∅"),
    **dict.fromkeys(("none", "the empty set", "no such x", "{}", r"\{\}", r"\{ \}", "φ", "ϕ"), "∅"),
    **dict.fromkeys(("all real numbers", "all reals", "all real x", "the real numbers", "real numbers"), "ℝ"),
    **dict.fromkeys(("the set of all real numbers", "any real number", "every real number", "all real values"), "ℝ"),
    **dict.fromkeys(("all integers", "the integers", "integers"), "ℤ"),
    **dict.fromkeys(("does not exist", "dne", "limit does not exist", "the limit does not exist"), "undefined"),
    **dict.fromkeys(("not defined", "undefined"), "undefined"),
    **dict.fromkeys(
        ("infinitely many solutions", "infinite solutions", "infinite number of solutions"), "infinitely many"
    ),
    **dict.fromkeys(
        ("infinitely many", "an infinite number of solutions", "infinite many solutions"), "infinitely many"
    ),
    **dict.fromkeys(("negative infinity", "minus infinity", "-∞"), "-∞"),
    **dict.fromkeys(("positive infinity", "plus infinity", "∞", "+∞"), "∞"),
}


def is_hedged(answer: str, gold: str) -> bool:
    """Whether ``answer`` says ``maybe``, ``I think``, ``or so`` (both normalised), which the gold answer does not."""
    words = plain(answer)
    found = _HEDGES.search(words)
    return found is not None and found[0] not in plain(gold)


def without_roughly(text: str) -> tuple[str, bool]:
    """``text`` without ``about`` or ``≈`` in front, ``approx.`` behind, and whether it had that."""
    rest = _ROUGHLY.sub("", _ROUGHLY_AFTER.sub("", text, count=1), count=1)
    if rest != text and text.startswith("\\text{") and rest.count("}") > rest.count("{"):
        rest = rest.replace("}", "", 1).strip()
    return rest, rest != text


def plain(text: str) -> str:
    """Lower-case words without ``\\text``, quotes, hyphens and full stops."""
    text = _TEXT.sub(r" \1 ", text)
    text = re.sub(r"[\"'`.,;!]|(?<=[a-z])-(?=[a-z])", lambda m: " " if m[0] in "-,;" else "", text.lower())
    return " ".join(text.split())


def meaning(text: str) -> str:
    """A sign (``∅``, ``ℝ``, ``∞``) or one form of words for what is said in words, else the normalised ``text``."""
    words = plain(text)
    known = _MEANINGS.get(words)
    if known:
        return known
    value = _number_in_words(words)
    if value is not None:
        return value
    return text


def _number_in_words(words: str) -> str | None:
    """``-12`` of ``minus twelve``, ``2/3`` of ``two thirds``."""
    items = words.replace(" and ", " ").split()
    sign = "-" if items and items[0] in ("minus", "negative") else ""
    items = items[1:] if sign else items
    if not items or len(items) > 12:
        return None
    if len(items) > 1 and items[-1] in _PARTS:
        above = _whole(["one"] if items[:-1] == ["a"] else items[:-1])
        return None if above is None else f"{sign}{above}/{_PARTS[items[-1]]}"
    if sign and len(items) == 1 and re.fullmatch(r"[\d./]+", items[0]):
        return sign + items[0]
    value = _whole(items)
    return None if value is None else f"{sign}{value}"


def _whole(items: list[str]) -> int | None:
    total, current, seen = 0, 0, False
    for item in items:
        if item in _NUMBERS:
            current += _NUMBERS[item]
        elif item == "hundred" and seen:
            current *= 100
        elif item in _SCALES and seen:
            total, current = total + current * _SCALES[item], 0
        else:
            return None
        seen = True
    return total + current if seen else None


def same_words(gold: str, answer: str) -> bool | None:
    """Whether two texts, one of which is words, are the same words; None if neither is."""
    if not (is_prose(gold) or is_prose(answer)):
        return None
    left, right = (re.sub(r"^(?:the|an?) ", "", plain(text)) for text in (gold, answer))
    said, _, why = right.partition(" ")
    if left in _YES_OR_NO and said == left and not _YES_OR_NO & set(why.split()):
        return True
    if left == right or left.replace(" ", "") == right.replace(" ", ""):
        return True
    if is_prose(gold) and is_prose(answer):
        return False
    return None


def is_prose(text: str) -> bool:
    """Words only: letters, no operator, and not a short product of variables such as ``ab``."""
    words = plain(text)
    return re.fullmatch(r"[^\W\d_]+(?:[ '/&-][^\W\d_]+)*", words) is not None and ("\\text" in text or len(words) > 2)
