"""What travels between the sandboxes of a program and its judge, and what the judge makes of a hostile other side."""

from __future__ import annotations

import json
import math
import os
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saidpo_plugins.verifiers.code_program import find_program
from saidpo_plugins.verifiers.sandbox.inside.judge import Judge, Unfit, wanted
from saidpo_plugins.verifiers.sandbox.inside.remote import ProgramExit, Remote, exception_of
from saidpo_plugins.verifiers.sandbox.inside.values import restore
from saidpo_plugins.verifiers.sandbox.inside.wire import Broken, Foreign, Peer

_hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
VALUES = st.recursive(
    _hashable | st.complex_numbers(allow_nan=False) | st.dates() | st.decimals(allow_nan=False) | st.fractions(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(_hashable, inner, max_size=4)
        | st.sets(_hashable, max_size=4)
    ),
    max_leaves=12,
)


def travelled(value: Any) -> Any:
    peer = Peer(-1, -1)
    return peer.unpack(json.loads(json.dumps(peer.pack(value))))


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types all the way down; 0.0 is not -0.0."""
    return (left == right and repr(left) == repr(right)) or sorted(repr(left)) == sorted(repr(right))


@given(VALUES)
def test_basic_values_travel_as_they_are(value: Any) -> None:
    found = travelled(value)
    assert type(found) is type(value)
    assert found == value
    assert same(found, value)


@pytest.mark.parametrize(
    "value",
    [
        *(2**5000, -(2**64), 10**15, -0.0, math.inf, 5e-324, "\ud800", "\0\n", b"", bytearray(b"x"), range(1, 9, 2)),
        *(deque([1], maxlen=2), Counter("aab"), OrderedDict(b=1, a=2), Fraction(1, 3), Decimal("1.10"), Decimal("NaN")),
        *(date(2024, 2, 29), datetime(2024, 2, 29, 1, 2, 3, 4), timedelta(days=-1, seconds=1), int, ValueError),
    ],
)
def test_other_values_travel_as_they_are(value: Any) -> None:
    found = travelled(value)
    assert type(found) is type(value)
    assert repr(found) == repr(value)


class Number(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __pos__(self) -> int:
        return 99


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "other"


def test_subclasses_of_numbers_and_texts_travel_as_what_they_hold() -> None:
    for value, plain in ((Number(5), 5), (Text("a"), "a"), (defaultdict(list, a=[1]), {"a": [1]})):
        found = travelled(value)
        assert type(found) is type(plain)
        assert found == plain


def test_an_argument_gets_the_content_that_the_call_left_in_it() -> None:
    row, kept = [1, 2], {"x"}
    items: list[Any] = [row, {"k": kept, "gone": 1}, 3]
    restore(items, [[9], {"k": {"y"}}, 4, 5])
    assert items == [[9], {"k": {"y"}}, 4, 5]
    assert items[0] is row
    assert items[1]["k"] is kept
    with pytest.raises(TypeError, match="something else"):
        restore([1], {1: 2})


# ---- The judge and a hostile other side ------------------------------------------------------------------------------


class Wire:
    """A judge whose answers come from here."""

    def __init__(self) -> None:
        answers, self.answer = os.pipe()
        self.questions, ask = os.pipe()
        self.judge = Judge(answers, ask)
        self.ends = (answers, self.answer, self.questions, ask)

    def says(self, data: bytes) -> None:
        os.write(self.answer, data)

    def close(self) -> None:
        for end in self.ends:
            os.close(end)


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from("?=!ltdszifyYckmoba"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)
_messages = (
    st.binary(max_size=60)
    | _json.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.sampled_from("?=!"), _json, _json, _json).map(lambda value: json.dumps(value).encode())
    | st.tuples(st.just("="), _json, st.just([]), st.just("")).map(lambda value: json.dumps(value).encode())
)


@settings(max_examples=500)
@given(st.lists(_messages, max_size=4))
def test_whatever_comes_is_an_answer_or_named_broken(messages: list[bytes]) -> None:
    wire = Wire()
    wire.says(b"".join(message.replace(b"\n", b" ") + b"\n" for message in messages))
    os.close(wire.answer)
    try:
        value = wire.judge.ask("call", None, ([1],))
        assert type(value).__module__ != "tests.verifying.test_wire"
    except (Broken, Foreign):
        pass
    finally:
        for end in (wire.ends[0], wire.ends[2], wire.ends[3]):
            os.close(end)


@pytest.mark.parametrize(
    "value",
    [
        ["b", "os", "system"],
        ["b", "builtins", "eval"],
        ["b", "builtins", "__import__"],
        ["b", "builtins", "type"],
        ["k", "subprocess.Popen", "true"],
        ["k", "builtins.eval", "1"],
        ["m", 0],
        ["i", "zz"],
        ["d", [["l"], 1]],
        1.5,
        {"a": 1},
        ["l", ["l", ["q"]]],
    ],
)
def test_no_answer_names_what_the_judge_would_run(wire: Wire, value: Any) -> None:
    wire.says(json.dumps(["=", value, [], ""]).encode() + b"\n")
    with pytest.raises(Broken, match="cannot be read"):
        wire.judge.ask("call", None)


@pytest.mark.parametrize("operation", ["getattr", "global", "data", "setattr", "operator", "call", "next", ""])
def test_the_other_side_may_call_what_a_test_has_handed_over_and_nothing_else(wire: Wire, operation: str) -> None:
    seen: list[str] = []
    wire.judge.pack(lambda item: seen.append(item))
    for target in (["m", 0], None, ["l"], ["b", "builtins", "str"], ["b", "builtins", "type"]):
        wire.says(json.dumps(["?", operation, target, ["__globals__"], {}]).encode() + b"\n")
    wire.says(b'["=", 5, [], ""]\n')
    assert wire.judge.ask("call", None) == 5
    question, *replies, _ = os.read(wire.questions, 65536).split(b"\n")
    assert json.loads(question)[0] == "?"
    may_be_called = ["=", "!", "!", "!", "!"]
    assert [json.loads(reply)[0] for reply in replies] == (may_be_called if operation == "call" else ["!"] * 5)
    assert seen == (["__globals__"] if operation == "call" else [])


def test_objects_of_the_test_are_not_handed_over(wire: Wire) -> None:
    class Node:
        due = 5

    with pytest.raises(Unfit, match="an object of the class Node"):
        wire.judge.ask("call", None, (Node(),))


def test_the_same_object_is_the_same_and_another_is_not_equal(wire: Wire) -> None:
    for handle in (0, 0, 1):
        wire.says(json.dumps(["=", ["o", handle, "Thing", ""], [], ""]).encode() + b"\n")
    first, again, other = (wire.judge.ask("call", None) for _ in range(3))
    assert type(first) is Remote
    assert first is again
    assert first == again
    assert first != other
    assert first != 5
    assert [first] != [5]
    with pytest.raises(TypeError, match="class Thing, no plain data"):
        _ = first + 1


def test_what_the_program_raises_cannot_end_the_loop_or_the_process_of_a_test() -> None:
    assert type(exception_of(Foreign(["StopIteration", "Exception"], ()), iterating=False)) is RuntimeError
    assert type(exception_of(Foreign(["StopIteration", "Exception"], ()), iterating=True)) is StopIteration
    assert type(exception_of(Foreign(["SystemExit"], (0,)), iterating=False)) is ProgramExit
    mine = exception_of(Foreign(["Mine", "KeyError", "LookupError", "Exception"], ("k",)), iterating=False)
    assert isinstance(mine, KeyError)
    assert type(mine).__name__ == "Mine"
    assert mine.args == ("k",)


# ---- Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "defined", "due"),
    [
        ("assert f(1) == abs(g)", {"f", "g", "abs", "h"}, {"f", "g"}),
        ("assert max(1, 2) == 2", {"max", "helper"}, {"max"}),
        ("assert math.isclose(f(1), 2)", {"f", "math"}, {"f"}),
        ("assert isclose(f(1), 2)", {"f", "isclose"}, {"f"}),
        ("assert trace([[1]]) == 1", {"trace"}, {"trace"}),
        ("from math import sqrt\nassert f(4) == sqrt(4)", {"f", "sqrt"}, {"f"}),
        ("def f(x): return x\nassert f(1) == g(1)", {"f", "g"}, {"g"}),
        (
            "def check(candidate):\n    assert candidate(1) == helper\ncheck(f)",
            {"f", "candidate", "helper"},
            {"f", "helper"},
        ),
        ("assert [f(x) for x in y] == (lambda x: z)(1)", {"f", "x", "y", "z"}, {"f", "y", "z"}),
        ("for f in (g,):\n    assert f(1)", {"f", "g"}, {"g"}),
        ("class T:\n    def m(self):\n        return f(self.g)", {"f", "g", "m"}, {"f"}),
    ],
)
def test_which_names_a_test_means(code: str, defined: set[str], due: set[str]) -> None:
    assert wanted([code], defined) == due


# ---- Finding the program ---------------------------------------------------------------------------------------------


@given(
    st.text()
    | st.lists(st.sampled_from(["```", "```python", "~~~", "x = 1", "", "<think>", "</think>"])).map("\n".join)
)
def test_any_response_has_a_program_or_a_reason(response: str) -> None:
    program, reason = find_program(response)
    assert (program is None) == bool(reason)


@given(
    st.text(alphabet=st.characters(exclude_characters="`~\r<", exclude_categories=["Cs"])), st.text(alphabet="ab \n")
)
def test_a_marked_block_is_found_as_it_is(program: str, around: str) -> None:
    from textwrap import dedent

    assert find_program(f"{around}\n```python\n{program}\n```\n{around}") == (dedent(program), "")


def test_megabytes_take_no_time() -> None:
    import time

    started = time.perf_counter()
    for text in ("`" * 1_000_000, "```\n" * 300_000, "```python\n" * 100_000, " \t" * 500_000, "~" * 999_999 + "\n"):
        find_program(text)
    assert time.perf_counter() - started < 5
