"""What a reasoning step is: blocks, else lines, else sentences."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_plugins.common.steps import count_steps, step_spans

ODD = ["a", ".", "!", " ", "\t", "\n", "\r", "\x0b", "\x1c", "\x85", "\u2028", "3"]


def pieces_of(text: str) -> list[str]:
    """The steps of ``text`` by ``split``, white space around them included."""
    kept: list[str] = []
    for pieces in (re.split(r"\n[ \t\r]*\n", text), text.splitlines(), re.split(r"(?<=[.!?])\s+", text)):
        kept = [piece for piece in pieces if piece.strip()]
        if len(kept) > 1:
            break
    return kept


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", 0),
        (" \n \n", 0),
        ("2+2=4", 1),
        ("2+2=4\n#### 4", 2),
        ("one\ntwo\nthree\n", 3),
        ("a block\nof two lines\n\nanother", 2),
        ("first\n\n\n\nsecond\n \t\nthird\n\n", 3),
        ("windows\r\n\r\nline ends", 2),
        ("\n\none block\nof two lines\n\n", 2),
        ("A sentence. Then 3.5 is more! Is it? Yes", 4),
        ("no full stop, version 3.5 of it", 1),
    ],
)
def test_steps_are_blocks_else_lines_else_sentences(text: str, steps: int) -> None:
    assert count_steps(text) == steps


@given(st.text(st.sampled_from(ODD), max_size=20))
def test_spans_are_the_steps_without_the_white_space_around_them(text: str) -> None:
    spans = step_spans(text)
    assert [text[start:end] for start, end in spans] == [piece.strip() for piece in pieces_of(text)]
    assert count_steps(text) == len(spans)
