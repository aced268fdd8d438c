"""What is said beside an answer (that it is only about so much, remarks in brackets), and by its signs alone."""

from __future__ import annotations

import re

from saidpo_plugins.verifiers.answers import relations, words
from saidpo_plugins.verifiers.answers.units import is_known

_REMARK = re.compile(r"(.*[\d\w})%°]) ?\((?:\\text\{)?([a-zA-Z][a-zA-Z ]*)\}?\)")
_TWICE = re.compile(r"([^()]*[^() ]) ?\((?:≈|=|or |approximately |about )?([^()]*)\)")
_VECTORS = re.compile(r"\\(?:vec|overrightarrow|mathbf|boldsymbol|bm|hat)\s?\{?\s?\w+\}?\s*(?:\\(?:times|cdot)\b|[×·])")
_OF_SETS = re.compile(r"\W*[A-Z](?:\s*(?:\\times|×)\s*[A-Z])+\W*")


def is_product_in_order(gold: str, answer: str) -> bool:
    """Whether these texts are products of vectors or sets: the sign counts (``×``, ``·``), and the order may."""
    if "=" in gold + answer:
        return False
    return any(map(_VECTORS.search, (gold, answer))) or all(map(_OF_SETS.fullmatch, (gold, answer)))


def without_roughly(text: str) -> tuple[str, bool]:
    """Without ``about``, ``≈``, or the ``≈`` of ``x ≈ 5``; and whether that was there."""
    text, rough = words.without_roughly(text)
    text, named = relations.without_roughly(text)
    return text, rough or named


def without_remark(text: str) -> str:
    """A unit in brackets as a unit: ``5 (cm)``; without a value said again: ``3/4 (0.75)``."""
    remark = _REMARK.fullmatch(text)
    if remark and is_known(remark[2]):
        text = f"{remark[1]}\\text{{{remark[2]}}}"
    twice = _TWICE.fullmatch(text)
    return twice[1] if twice and relations.says_again(twice[1], twice[2]) else text
