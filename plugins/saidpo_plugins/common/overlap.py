"""When two questions are the same, and when one holds a piece of another: what decontamination rests on.

Equal: the same text but for case and white space. Overlapping: thirteen words in a row in common, the usual measure
since the GPT-3 paper (arXiv 2005.14165, appendix C); signs between words do not count. A question of fewer words can
only be equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

WORDS = 13
_WORD = re.compile(r"\w+")


def same_text(question: str) -> str:
    """Equal questions have equal ones."""
    return " ".join(question.casefold().split())


def digest(question: str) -> bytes:
    """16 bytes for ``same_text``, so that a million of them are held at little cost."""
    return blake2b(same_text(question).encode("utf-8", "replace"), digest_size=16).digest()


def _grams(question: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(question.casefold())
    return zip(*(words[start:] for start in range(WORDS)), strict=False)


class Seen:
    """Questions that must not be trained on, by the set that they are of."""

    def __init__(self) -> None:
        self._whole: dict[bytes, str] = {}
        self._grams: dict[tuple[str, ...], str] = {}

    def add(self, questions: Iterable[str], name: str) -> None:
        for question in questions:
            self._whole.setdefault(digest(question), name)
            for gram in _grams(question):
                self._grams.setdefault(gram, name)

    def find(self, question: str) -> str | None:
        """The set that holds this question or one that overlaps with it; None if there is none."""
        name = self._whole.get(digest(question))
        if name is not None or not self._grams:
            return name
        return next((self._grams[gram] for gram in _grams(question) if gram in self._grams), None)
