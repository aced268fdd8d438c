"""Text of models is data: nothing of it can leave the place where it stands, and nothing of it is hidden."""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from saidpo_plugins.report.text import label, listed, script_data, shortened, visible

ANY = st.text(st.characters(), max_size=60)  # lone surrogates too
TREE = st.recursive(ANY | st.integers() | st.none(), lambda items: st.lists(items) | st.dictionaries(ANY, items))


@settings(max_examples=40)
@given(TREE)
def test_data_in_a_script_element_comes_back_and_cannot_end_it(value: object) -> None:
    text = script_data(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)
    assert text.isascii()


@given(ANY)
def test_shown_text_can_be_written_and_hides_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert not re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200b\ufeff]", shown)
    assert visible(shown) == shown


def test_what_turns_the_reading_direction_is_told_by_its_number() -> None:
    assert visible("evil\u202egnp.exe") == "evil⟨U+202E⟩gnp.exe"
    assert visible("a\r\nb\tc") == "a\nb\tc"
    assert visible("שלום 数学 👩‍🏫") == "שלום 数学 👩‍🏫"


@given(ANY)
def test_a_label_has_no_markup_for_plotly(text: str) -> None:
    assert not set("<>") & set(label(text))
    assert not re.search("&(?!amp;|lt;|gt;)", label(text))


def test_lists_and_short_texts_read_well() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"
