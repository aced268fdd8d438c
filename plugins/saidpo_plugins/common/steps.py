"""What a reasoning step is, for whatever counts steps or cuts between them. **Ours**: the paper does not say."""

from __future__ import annotations

import re

_SEPARATORS = (
    re.compile(r"\n[ \t\r]*\n"),  # blank lines
    re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]"),  # ends of lines, as str.splitlines sees them
    # A sentence ends with . ! or ? before white space, so neither 3.5 nor x! = 6 ends one in its middle.
    re.compile(r"(?<=[.!?])\s+"),
)


def step_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) in ``text`` of each step, without the white space around it.

    Steps are blocks between blank lines; if there is only one, its lines that are not empty; if only one, its
    sentences.
    """
    spans: list[tuple[int, int]] = []
    for separator in _SEPARATORS:
        spans = _spans_between(separator, text)
        if len(spans) > 1:
            break
    return spans


def count_steps(text: str) -> int:
    return len(step_spans(text))


def _spans_between(separator: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    edges = [0, *(edge for match in separator.finditer(text) for edge in match.span()), len(text)]
    spans = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        piece = text[start:end]
        if piece.strip():
            spans.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
    return spans
