"""The last stage of the ``math`` verifier, run in a worker process: math-verify on a gold answer and an answer.

Only here, and only for single pieces that ``answers`` leaves undecided, if they are made of what math-verify is asked
for: it takes ``\\angle ABC`` for a product and ``\\int 2x dx`` for one of its values. It reads LaTeX with a grammar of
its own (latex2sympy2) and builds SymPy objects from it. Its second way of reading, SymPy's ``parse_expr``, evaluates
text as Python: it is not used, and ``disarm`` replaces it by one that reads plain numbers, which SymPy's own ``Number``
needs it for. Where math-verify says yes, both values have to agree to 40 digits, since by itself it takes 1e-7 for
2e-7. Its timeouts are off: they need the main thread's alarm, and end nothing that hangs in C.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import cache
from typing import Any

from saidpo_plugins.verifiers.answers import names, pairs
from saidpo_plugins.verifiers.answers.compare import compare
from saidpo_plugins.verifiers.answers.nouns import may_be_unit
from saidpo_plugins.verifiers.answers.spelling import normalise
from saidpo_plugins.verifiers.answers.tokens import FUNCTIONS, GREEK
from saidpo_plugins.verifiers.answers.units import split_unit, unit_name, units_agree

CHECKS = (
    (["\\int_0^1 x dx", "\\frac{1}{2}"], "equal"),
    (["\\sum_{k=1}^{3} k", "7"], "unequal"),
    (["\\sqrt{2}+\\int_0^1 10^{-7} dx", "\\sqrt{2}+\\int_0^1 2\\cdot10^{-7} dx"], "unequal"),
    (["\\frac{1", "1"], "gold unreadable"),
)
_LATEX = pairs(
    r"∞ \infty π \pi ≤ \le ≥ \ge ≠ \ne ∪ \cup ∩ \cap ∖ \setminus ∈ \in ± \pm ∅ \emptyset ≈ \approx * \cdot "
    r"ℝ \mathbb{R} ℤ \mathbb{Z} ℕ \mathbb{N} ℚ \mathbb{Q} ℂ \mathbb{C} ° ^{\circ}"
)
_TO_LATEX = str.maketrans({sign: f"{command} " for sign, command in _LATEX.items()})
_NAMED = re.compile(r"\\text\{(gcd|lcm|max|min|det)\}")
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_ASKED_FOR = (FUNCTIONS | GREEK) | names(
    "frac sqrt binom int sum prod lim infty max min gcd lcm det begin end to rightarrow mod pmod lfloor rfloor lceil "
    "rceil mathbb"
)
_DRAWN = re.compile(
    r"∠|\\(?:angle|triangle|vec|overrightarrow|overleftrightarrow|widehat|hat|bar|overline ?\{[^\d{}]|[hv]?phantom|"
    r"parallel|perp|cong|sim)(?![a-z])|\\int(?! ?[_^])|\\\{[^{}]*[|:∈]"
)
"""What names a thing rather than a value, and what has many values."""
_MISREAD = re.compile(r"'|(?<!\^)\d_")  # "1_000" would be 1
_APART = re.compile(r"\d\s+\d")  # "2 3" would be 5
_SCRIPT = re.compile(r"[_^](?:\d+|\w|\{[^{}]*\})")
_INDEX = re.compile(r"_\{[^{}]*\}")
_CALL = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z]\(")
_ANGLE = re.compile(r"\\angle([A-Z])([A-Z])([A-Z])")
_UNIT = re.compile(r"(.*)\\text\{([a-zA-Z ]{1,40})\}")
_COMPARABLE = 10**20  # beyond that 50 digits may hide a difference
_PLAIN_NUMBER = re.compile(r"[\d.]{1,1100}(?:[eE][-+]?\d{1,6})?")


def judge(request: list[str]) -> str:
    """``equal``, ``unequal`` or ``gold unreadable`` for a gold answer and an answer."""
    disarm()
    gold, answer = request
    unreadable = False

    def ask(left: str, right: str) -> bool | None:
        nonlocal unreadable
        equal = _equal(left, right)
        unreadable |= equal is None
        return equal

    decision = compare(gold, answer, ask)
    if unreadable and not decision:
        return "gold unreadable"
    return "equal" if decision else "unequal"


@cache
def disarm() -> None:
    """Let ``parse_expr``, which evaluates Python, read plain numbers only, and without evaluating them.

    The units are imported before that: their module has its own names parsed.
    """
    import math_verify.parser
    import sympy.physics.units  # type: ignore[import-untyped]
    from latex2sympy2_extended import latex2sympy2
    from sympy.parsing import sympy_parser  # type: ignore[import-untyped]

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)

    def number(text: str, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(text, str) or not _PLAIN_NUMBER.fullmatch(text):
            raise ValueError("not a plain number")
        return sympy.Integer(int(text)) if text.isdigit() else sympy.Float(text)

    for module in (sympy_parser, math_verify.parser, latex2sympy2):
        module.parse_expr = number


def _equal(gold: str, answer: str) -> bool | None:
    """Whether math-verify takes two normalised pieces for equal; None if it cannot read the gold answer."""
    import math_verify

    (left, left_unit), (right, right_unit) = _split(normalise(gold)), _split(normalise(answer))
    if not units_agree(left_unit, right_unit):
        return False
    if left.replace(" \\", "\\") == right.replace(" \\", "\\"):
        return True
    if any(_DRAWN.search(text) or _is_about_calls(text) for text in (left, right)):
        return _letters(left) == _letters(right)
    if not _is_asked_for(left):
        return None
    if not _is_asked_for(right):
        return False
    gold_values, answer_values = _read(left), _read(right)
    if not gold_values:
        return None
    if not answer_values:
        return False
    equal = math_verify.verify(
        gold_values, answer_values, timeout_seconds=None, allow_set_relation_comp=True
    ) or _same_constant(gold_values[0], answer_values[0])
    return bool(equal) and not _differ(gold_values[0], answer_values[0])


def _is_asked_for(text: str) -> bool:
    """Whether a normalised text consists of numbers, letters, and commands that math-verify has a value for."""
    text = _NAMED.sub("", text).replace("\\\\", "&")
    if _MISREAD.search(text) or _APART.search(_SCRIPT.sub("", text)):
        return False
    return _ASKED_FOR.issuperset(_COMMAND.findall(text))


def _is_about_calls(text: str) -> bool:
    """``P(X=2)``, ``f(2) > 5``, of which math-verify sees one side."""
    outside = _INDEX.sub("", text)
    return bool(set("=∈") & set(outside)) or bool(set("<>≤≥≠") & set(outside) and _CALL.search(outside))


def _letters(text: str) -> str:
    """Letters and signs alone; spaces between numbers stay."""
    text = re.sub(r"(?<!\d)\s|\s(?!\d)|[{}]", "", text).replace("∠", "\\angle")
    return _ANGLE.sub(lambda angle: "\\angle" + min(angle[1], angle[3]) + angle[2] + max(angle[1], angle[3]), text)


def _split(text: str) -> tuple[str, str]:
    """Value and unit, also behind an integral."""
    value, unit, _ = split_unit(text)
    measure = None if unit else _UNIT.fullmatch(text)
    if measure and may_be_unit(measure[2].split()):
        return measure[1].strip(), unit_name(measure[2])
    return value, unit


def _read(text: str) -> list[Any]:
    """``text`` as LaTeX, all of it: math-verify must not pick a number out of what it cannot read."""
    from math_verify import LatexExtractionConfig, parse

    default = LatexExtractionConfig()
    config = LatexExtractionConfig(
        boxed_match_priority=0, normalization_config=replace(default.normalization_config, units=False)
    )
    latex = _NAMED.sub(r"\\\1", normalise(text)).translate(_TO_LATEX)
    found: list[Any] = parse(f"\\boxed{{{latex}}}", [config], fallback_mode="no_fallback", parsing_timeout=None)
    return found


def _same_constant(left: Any, right: Any) -> bool:
    """Whether two numbers (a sum, an integral) agree, where SymPy finds no proof of it."""
    import sympy

    if not all(isinstance(value, sympy.Expr) and not value.free_symbols for value in (left, right)):
        return False
    return _number(left.doit()) is not None and _number(right.doit()) is not None and not _differ(left, right)


def _differ(left: Any, right: Any) -> bool:
    """Whether two values that math-verify takes for equal are not, variables set to arbitrary numbers."""
    import sympy

    if isinstance(left, sympy.FiniteSet) and isinstance(right, sympy.FiniteSet):
        return any(all(_differ(a, b) for b in right.args) for a in left.args)
    if isinstance(left, sympy.Tuple) and isinstance(right, sympy.Tuple):
        return any(_differ(a, b) for a, b in zip(left, right, strict=False))
    if not (isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)):
        return False
    names = sorted(left.free_symbols | right.free_symbols, key=str)
    point = {symbol: sympy.Rational(17 + 6 * k, 11 + k) for k, symbol in enumerate(names)}
    left, right = left.subs(point).doit(), right.subs(point).doit()
    if left.is_Rational and right.is_Rational:
        return bool(left != right)
    a, b = _number(left), _number(right)
    if a is None or b is None:
        return False
    if abs(a) > _COMPARABLE:
        raise ValueError("too large to be compared")
    tolerance = sympy.Float("1e-12" if left.has(sympy.Float) or right.has(sympy.Float) else "1e-40", 50)
    return bool(abs(a - b) > tolerance * max(abs(a), abs(b), sympy.Float("1e-20", 50)))


def _number(value: Any) -> Any:
    """``value`` to 50 digits, None if that is no finite number."""
    number = value.evalf(50)
    return number if number.is_number and number.is_finite and not number.free_symbols else None
