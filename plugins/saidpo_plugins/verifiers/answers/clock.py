"""Times of day and dates: ``3:30 pm`` is ``15:30``, ``July 4, 1776`` is ``4 July 1776``."""

from __future__ import annotations

import re

_TIME = re.compile(
    r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))? ?(?:\\text\{)? ?([ap])\.? ?m\b\.?\}?|(\d{1,2}):(\d{2})", re.IGNORECASE
)
_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_MONTHS = {name: month for month, name in enumerate(re.split(r"\|", _NAMES), 1)}
_MONTH = rf"({_NAMES})[a-z]*\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_DATES = (
    re.compile(rf"{_MONTH} {_DAY}(?:,? (\d{{4}}))?", re.IGNORECASE),
    re.compile(
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})(?:,? (?P<year>\d{{4}}))?", re.IGNORECASE
    ),
    re.compile(r"(?P<year>\d{4})-(?P<number>\d{2})-(?P<day>\d{2})"),
)


def same_time(gold: str, answer: str) -> bool | None:
    """Whether two times or dates are the same; None if they are none. am and pm may be left out, but not changed."""
    left, right = date(gold), date(answer)
    if left and right:
        return left[:2] == right[:2] and (not left[2] or not right[2] or left[2] == right[2])
    if left or right:
        return None
    one, two = time(gold), time(answer)
    if one is None or two is None or not (one[2] or two[2]):
        return None  # without am or pm both may be ratios
    if one[2] and two[2]:
        return one == two
    said, plain = (one, two) if one[2] else (two, one)
    same_hand = (said[0] % 12, said[1]) == (plain[0] % 12, plain[1])
    return _minutes(*said) == plain[0] * 60 + plain[1] or (same_hand and plain[0] <= 12)


def is_moment(text: str) -> bool:
    """Whether it is a date, or a time that is certainly one."""
    found = time(text)
    return date(text) is not None or (found is not None and bool(found[2]))


def time(text: str) -> tuple[int, int, str] | None:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    if match[4]:
        return int(match[1]), int(match[2] or 0), match[4].lower()
    return int(match[5]), int(match[6]), ""


def _minutes(hours: int, minutes: int, half: str) -> int:
    return (hours % 12 + (12 if half == "p" else 0)) * 60 + minutes


def date(text: str) -> tuple[int, int, int] | None:
    """Month, day, year (0 if it is not said)."""
    text = text.strip().replace(",", ", ").replace(",  ", ", ")
    match = _DATES[0].fullmatch(text)
    if match:
        return _MONTHS[match[1].lower()], int(match[2]), int(match[3] or 0)
    match = _DATES[1].fullmatch(text)
    if match:
        return _MONTHS[match["month"][:3].lower()], int(match["day"]), int(match["year"] or 0)
    match = _DATES[2].fullmatch(text)
    return (int(match["number"]), int(match["day"]), int(match["year"])) if match else None
