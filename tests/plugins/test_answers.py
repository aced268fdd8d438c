"""What two written answers are to each other without a computer algebra system: ``answers``."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saidpo_plugins.verifiers.answers.compare import compare
from saidpo_plugins.verifiers.answers.expressions import Unreadable, read
from saidpo_plugins.verifiers.answers.values import equal

TOWER = "9^{9^{9^{9}}}"
# Many more are in tests/verifying/maths.jsonl; these are the ones that each part was written for.
SAME = [
    ("1{,}234{,}567", "1234567"),
    ("32,\\!348", "32348"),
    ("1,000, 2,000", "2000 and 1000"),
    ("012", "12"),
    ("50%", "0.5"),
    ("50\\%", "50"),
    ("5 cm^2", "5 square centimeters"),
    ("9.8\\,\\frac{\\text{m}}{\\text{s}^2}", "9.8 m/s^2"),
    ("12 m/s", "12\\,\\mathrm{m\\,s^{-1}}"),
    ("D", "Option D: 5 cm"),
    ("5 ft 3 in", "5 feet 3 inches"),
    ("2 million", "2,000,000"),
    ("4210_{5}", "4210"),
    ("3/4", "3/4, or 0.75"),
    ("\\frac{1}{3}", "\\frac13 \\approx 0.333"),
    ("\\{x \\mid x > 3\\}", "(3, \\infty)"),
    ("\\mathbb{R}\\setminus\\{0\\}", "x < 0 \\text{ or } x > 0"),
    ("[1,2]\\cup[2,3]", "[1,3]"),
    ("y = x/2", "2y - x = 0"),
    ("e^{i\\pi}", "-1"),
    ("\\sqrt[3]{-8}", "-2"),
    ("\\ln x^2", "2\\ln x"),
    ("(-1)^n", "\\cos n\\pi"),
    ("\\sin 15^\\circ", "\\frac{\\sqrt6-\\sqrt2}{4}"),
    ("2^{1000}", "2\\cdot2^{999}"),
]
DIFFERENT = [
    ("1/3", "0.333"),
    ("1", "1%"),
    ("£5", "\\$5"),
    ("10 ft", "10 inches"),
    ("3", "11_2"),
    ("3", "3 or 4"),
    ("\\sqrt2", "\\sqrt2 \\approx 1.5"),
    ("east", "seat"),
    ("5", "unclear"),
    ("[1,2]", "1, 2"),
    ("\\sqrt{x^2}", "x"),
    ("\\pi(R^2-r^2)", "0"),
    ("2^{1000}", "2^{1000}+1"),
    ("10^{60}+\\sqrt2", "10^{60}+\\sqrt3"),
    ("e^{-200}", "e^{-201}"),
    ("10^{-60}x", "2\\cdot10^{-60}x"),
    (TOWER, "1"),
    ("1e99999", "1"),
]
UNDECIDED = [
    ("\\int_0^1 x dx", "\\frac12"),
    ("f(x+1)", "f(1+x)"),
    (TOWER, TOWER + "+1"),
    ("1/0", "1"),
    ("7" * 2000, "7x" * 1000),
    ("e^{-3000}", "e^{-3001}"),
]


@pytest.mark.parametrize(
    ("left", "right", "decision"),
    [(*pair, True) for pair in SAME] + [(*pair, False) for pair in DIFFERENT] + [(*pair, None) for pair in UNDECIDED],
)
def test_comparison(left: str, right: str, decision: bool | None) -> None:
    assert compare(left, right) is decision
    if "or" not in right and "approx" not in right:  # the gold answer may hedge
        assert compare(right, left) is decision


FRACTIONS = st.fractions(max_denominator=10**6)
SPELLINGS = (
    lambda value: f"{value.numerator}/{value.denominator}",
    lambda value: f"\\frac{{{value.numerator}}}{{{value.denominator}}}",
    lambda value: f"-\\dfrac{{{-value.numerator}}}{{{value.denominator}}}",
    lambda value: f"$ {value.numerator} / {value.denominator} $",
    lambda value: f"{value.numerator:,}/{value.denominator:,}",
)


@given(FRACTIONS, FRACTIONS | st.none(), st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS))
def test_rationals_agree_with_fraction(left, right, spell_left, spell_right) -> None:  # type: ignore[no-untyped-def]
    right = left if right is None else right
    assert compare(spell_left(left), spell_right(right)) is (left == right)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6), st.integers(-(10**6), 10**6))
def test_decimals_are_exact(decimal, millionths) -> None:  # type: ignore[no-untyped-def]
    assert compare(f"{decimal:f}", f"{millionths}/1000000") is (Fraction(decimal) == Fraction(millionths, 10**6))


TERMS = st.recursive(
    st.sampled_from(["x", "y", "2", "3", "0.5", "π", "e"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]}){t[1]}({t[2]})")
        | inner.map(lambda t: f"\\sin({t})")
        | inner.map(lambda t: f"\\frac{{{t}}}{{7}}")
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(TERMS, TERMS)
def test_equal_terms_are_found_equal_and_others_not(left: str, right: str) -> None:
    """Against identities that hold whatever the terms are."""
    a, b = f"({left})", f"({right})"
    assert equal(read(f"({a}+{b})^2"), read(f"{a}^2+2{a}*{b}+{b}^2")) is not False
    assert compare(f"{a}+{b}", f"{b}+{a}") is not False  # None for sin(sin π), which may be anything so small
    assert compare(f"{a}", f"{a}+10^{{-30}}") is False


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="x12+-*/^()[]{}|!%°,.= \\fracsqtπ", max_size=30))
def test_a_term_is_read_or_refused(text: str) -> None:
    try:
        node = read(text)
    except Unreadable:
        return
    assert isinstance(node, tuple)


@pytest.mark.parametrize(
    "piece",
    [
        *[
            "\\frac{1}{",
            "1,",
            "(",
            "-",
            "{",
            "\\text{a}",
            "a ",
            "1:",
            "9^",
            "\\sqrt{",
            " ",
            "1 a/",
            "\\pm{,}",
            ";is\\pm",
        ],
        *[
            "5 hundred ",
            "5\\text{ million ",
            "x>1 or ",
            "x>1 and ",
            "|x",
            "x≈",
            "~5",
            "(C) or ",
            "2 thirds ",
            "x=y=",
            "m+",
        ],
        *["\\{x|", "\\vec a\\times ", "A\\times ", "5 (cm) ", "\\lfloor n", "f(2)=", "5 squared "],
        *["a, _{2}± ", "cm ", "1 cm ", "x=1,", "0.1", "!", "|", "A) ", "two hundred ", "3:30 pm ", "2^", "\\sin "],
    ],
)
def test_comparison_is_quick_on_whatever_it_reads(piece: str) -> None:
    text = (piece * 1000)[:990]
    start = time.process_time()
    for gold, answer in (("5", text), (text, text[:-7] + "5 cm"), ("x+1", text + "9")):
        compare(gold, answer)
    assert time.process_time() - start < 1.0


def test_comparison_leaves_the_precision_of_mpmath_alone_and_works_in_threads() -> None:
    import mpmath

    mpmath.mp.dps = 7
    found: list[bool | None] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(compare(*pair) for pair in [("\\sin^2x+\\cos^2x", "1"), ("e^x", "e^{x+1}")])
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mpmath.mp.dps == 7
    mpmath.mp.dps = 15
    assert sorted(map(str, found)) == ["False"] * 8 + ["True"] * 8
