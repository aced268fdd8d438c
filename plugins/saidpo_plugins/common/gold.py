"""Gold answers in the texts of published datasets: ``#### 72`` of GSM8K, the last box of MATH. **Ours**."""

from __future__ import annotations

import re

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?P<brace>\{)?")
_CHOICE = re.compile(r"\(?([A-H])\)?\.?")
_CHOICES = re.compile(r"(?<![A-Za-z0-9])\(?([A-H])(?:\)|\.|:|\}|\\\))")


def marked_answer(text: str) -> str:
    """What stands after the last ``####``, else in the last box; empty if there is neither."""
    head, mark, tail = text.rpartition("####")
    return tail.strip() if mark else last_box(head or text)


def last_box(text: str) -> str:
    r"""The content of the last ``\boxed{...}`` (``\fbox``, ``\boxed 5$``) whose braces are balanced; else empty."""
    found = ""
    for box in _BOX.finditer(text):
        start = box.end()
        end = _closing(text, start) if box["brace"] else text.find("$", start)
        found = text[start:end].strip() if end > start else found
    return found


def _closing(text: str, start: int) -> int:
    """Where the brace closes that was opened before ``start``; -1 if it does not."""
    depth, place = 1, start
    while place < len(text):
        char = text[place]
        if char == "\\":
            place += 1
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                return place
        place += 1
    return -1


def lacks_choices(question: str, answer: str) -> bool:
    """The answer is a letter to choose, and the question does not list that letter among at least two."""
    letter = _CHOICE.fullmatch(answer.strip())
    if letter is None:
        return False
    listed = set(_CHOICES.findall(question))
    return letter[1] not in listed or len(listed) < 2
