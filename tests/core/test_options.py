"""Options: what a flag or a TOML value becomes, what is refused, and that what was said comes back."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import UsageError, option
from saidpo_core.options import build_options, nearest, plain, specs_of


@dataclass(frozen=True, kw_only=True)
class Everything:
    """One option of every supported type."""

    count: int = option(3, "a number of things", low=1, high=1000)
    rate: float = option(0.5, "a share", low=0, high=1)
    word: str = option("hello", "any text")
    flag: bool = option(False, "yes or no")
    place: Path = option(Path("here"), "a path")
    mode: Literal["fast", "slow"] = option("fast", "a choice")
    size: int | Literal["auto"] = option("auto", "a number, or auto", low=1)
    cache: Path | None = option(None, "a path, or none")
    limit: int | None = option(10, "a number, or none", low=0)
    shares: tuple[float, ...] = option((1.0, 2.0), "numbers")
    names: tuple[str, ...] = option((), "texts")


def build(**values: Any) -> Everything:
    built = build_options(Everything, values, {key: f"--x.{key}" for key in values})
    assert isinstance(built, Everything)
    return built


def refused(**values: Any) -> str:
    with pytest.raises(UsageError) as error:
        build(**values)
    return str(error.value)


def test_nothing_given_is_the_defaults() -> None:
    assert build() == Everything()


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("count", "7", 7),
        ("rate", "1e-3", 0.001),
        ("word", "7", "7"),
        ("word", "", ""),
        ("flag", "true", True),
        ("flag", "Off", False),
        ("flag", "1", True),
        ("place", "a/b.txt", Path("a/b.txt")),
        ("mode", "slow", "slow"),
        ("size", "auto", "auto"),
        ("size", "12", 12),
        ("cache", "none", None),
        ("cache", "none.txt", Path("none.txt")),
        ("limit", "none", None),
        ("limit", "0", 0),
        ("shares", "82, 13.5,5", (82.0, 13.5, 5.0)),
        ("names", "a,b c", ("a", "b c")),
        ("names", "", ()),
    ],
)
def test_text_of_a_flag_becomes_a_value_of_its_type(key: str, text: str, value: object) -> None:
    found = getattr(build(**{key: text}), key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("count", "three", "integer"),
        ("count", 3.0, "integer"),
        ("count", True, "integer"),
        ("count", [3], "integer"),
        ("rate", "half", "number"),
        ("rate", "nan", "number"),
        ("rate", False, "number"),
        pytest.param("rate", 10**400, "number", id="rate-huge-number"),
        ("word", 7, "text"),
        ("flag", "maybe", "true|false"),
        ("flag", 1, "true|false"),
        ("place", 7, "path"),
        ("mode", "quick", "fast|slow"),
        ("size", "some", "integer or auto"),
        ("cache", 7, "path or none"),
        ("shares", "1,x", "number,..."),
        ("shares", 1.0, "number,..."),
        ("names", {"a": 1}, "text,..."),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_place_and_expectation(key: str, value: Any, expected: str) -> None:
    message = refused(**{key: value})
    assert message.startswith(f"--x.{key}: expected {expected}, got ")


@pytest.mark.parametrize(
    ("key", "value", "bound"),
    [("count", 0, ">= 1"), ("count", "1001", "<= 1000"), ("rate", -0.01, ">= 0"), ("rate", "inf", "<= 1"),
     ("size", "0", ">= 1"), ("limit", -1, ">= 0")],
)  # fmt: skip
def test_numbers_out_of_bounds_are_refused(key: str, value: Any, bound: str) -> None:
    assert f"--x.{key}: must be {bound}, got " in refused(**{key: value})


def test_bounds_are_inclusive_and_do_not_touch_words() -> None:
    assert build(count=1, rate=1.0, size="auto", limit="none") == Everything(count=1, rate=1.0, limit=None)


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    assert refused(cuont=3) == "--x.cuont: no such option. Did you mean count?"
    message = refused(zzzzzz=3)
    assert "Known: count, rate, word" in message


def test_nearest_says_nothing_if_nothing_is_known() -> None:
    assert nearest("k", []) == ""


def test_a_combination_that_the_dataclass_refuses_is_a_usage_error() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Range:
        low: int = option(0, "")
        high: int = option(9, "")

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low must not be above high")

    # get_type_hints looks names up in the module, so the fields' types are plain builtins here.
    with pytest.raises(UsageError, match="low must not be above high"):
        build_options(Range, {"low": "10"}, {"low": "--low"})


finite = st.floats(allow_nan=False, allow_infinity=False)
# Flags cannot hold NUL, and items of a list are stripped of white space and split at commas.
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
item = text.map(lambda value: value.replace(",", "").strip()).filter(bool)
path = text.filter(bool).map(Path)
everything = st.builds(
    Everything,
    count=st.integers(1, 1000),
    rate=st.floats(0, 1),
    word=text,
    flag=st.booleans(),
    place=path,
    mode=st.sampled_from(["fast", "slow"]),
    size=st.integers(min_value=1, max_value=2**62) | st.just("auto"),
    cache=path.filter(lambda value: str(value) != "none") | st.none(),
    limit=st.integers(0, 2**62) | st.none(),
    shares=st.lists(finite, max_size=4).map(tuple),
    names=st.lists(item, max_size=4).map(tuple),
)


@given(everything)
def test_what_a_settings_file_keeps_comes_back_equal(options: Everything) -> None:
    kept = tomllib.loads(tomli_w.dumps(plain(options)))
    assert build(**kept) == options


@given(everything)
def test_what_is_said_in_flags_comes_back_equal(options: Everything) -> None:
    def as_flag(value: Any) -> str:
        if isinstance(value, tuple):
            return ",".join(map(as_flag, value))
        return "none" if value is None else repr(value) if isinstance(value, float) else str(value)

    flags = {spec.name: as_flag(getattr(options, spec.name)) for spec in specs_of(Everything)}
    assert build(**flags) == options


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.integers()) | st.dates())
def test_any_value_at_all_is_taken_or_refused_by_a_usage_error(value: Any) -> None:
    for spec in specs_of(Everything):
        try:
            parsed = spec.parse(value, "here")
        except UsageError:  # anything else would be shown as an error that nobody thought of
            continue
        assert spec.parse(parsed, "here") == parsed
