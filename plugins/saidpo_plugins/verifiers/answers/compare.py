"""Whether a gold answer and an answer are the same answer: True, False, or None if that cannot be decided here.

The forms of both are compared piece by piece; single pieces by unit, number, value, words. ``ask`` is called for single
pieces that remain undecided (in a worker process that is math-verify); without it they stay so. Texts are the answers
alone, as ``extraction`` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from saidpo_plugins.verifiers.answers import clock, words
from saidpo_plugins.verifiers.answers.expressions import Node, Unreadable, read
from saidpo_plugins.verifiers.answers.numbers import Number, number, rational
from saidpo_plugins.verifiers.answers.reals import as_reals, same_reals
from saidpo_plugins.verifiers.answers.spelling import normalise
from saidpo_plugins.verifiers.answers.structure import Form, parse
from saidpo_plugins.verifiers.answers.units import split_unit, units_agree
from saidpo_plugins.verifiers.answers.values import constant, equal, proportional, symbols

LENGTH_LIMIT = 1000

Decision = bool | None
Ask = Callable[[str, str], Decision]

_LABEL = re.compile(
    r"(?:[a-zA-Z]|\\[a-zA-Z]+|∠ ?[A-Z]{1,3}|[A-Z]{2}|(?:\\text\{)?[a-zA-Z ]{2,40}\}?)'{0,2}"
    r"(?:_\{?[\w,]{1,8}\}?)?(?:\^\{-1\})?(?:\([a-zA-Z](?:,[a-zA-Z])*\))?"
)
_FUNCTION = re.compile(r".*\([a-zA-Z](?:,[a-zA-Z])*\)")
_REMARK = re.compile(r"(.*[\d\w})%°])\((?:\\text\{)?[a-zA-Z][a-zA-Z -]*\}?\)")


def undecided(gold: str, answer: str) -> Decision:
    return None


def compare(gold: str, answer: str, ask: Ask = undecided) -> Decision:
    """Whether ``answer`` is the answer ``gold``."""
    if gold.strip() == answer.strip():
        return True
    if max(len(gold), len(answer)) > LENGTH_LIMIT:
        return None
    left, right = normalise(gold), normalise(answer)
    if left == right and left:
        return True
    chosen = words.same_choice(left, right)
    if chosen is not None:
        return chosen
    return _Comparison(ask).whole(left, right)


def is_readable(gold: str) -> bool:
    """Whether ``gold`` can be an answer at all: not empty, brackets closed."""
    text = normalise(gold) if len(gold) <= LENGTH_LIMIT else gold.strip()
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return bool(text) and depth == 0


class _Comparison:
    """One comparison of normalised texts."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def whole(self, gold: str, answer: str) -> Decision:
        if words.is_hedged(answer, gold):
            return False
        answer, rough = words.without_roughly(answer)
        gold, gold_rough = words.without_roughly(gold)
        if rough and not gold_rough and "." not in gold:
            return False  # about 5 is not 5, but about 3.14 is what 3.14 says
        remark = _REMARK.fullmatch(answer)
        if remark and "(" not in gold and "_" not in answer and words.are_words(answer[len(remark[1]) :]):
            answer = remark[1]
        moment = clock.same_time(gold, answer)
        if moment is not None:
            return moment
        (_, gold_rest), (_, rest) = words.choice(gold), words.choice(answer)
        left, right = gold, answer
        if bool(gold_rest) != bool(rest):  # "(C) 42" and "42"
            left, right = gold_rest or gold, rest or answer
        return self.forms(self.parse(left), self.parse(right))

    def parse(self, text: str) -> Form:
        return parse(words.meaning(text))

    # ---- Forms

    def forms(self, gold: Form, answer: Form) -> Decision:
        """Compares two answers of whatever form."""
        if gold.text == answer.text:
            return True
        gold, answer = (_spread(form) for form in (gold, answer))
        if gold.kind == "relation" or answer.kind == "relation":
            decision = self.relations(gold, answer)
            if decision is not None:
                return decision
        pair = {gold.kind, answer.kind}
        if pair == {"one"}:
            return self.single(gold.text, answer.text)
        decision = None
        if pair == {"ratio"} or pair == {"ratio", "one"}:
            decision = self.ratios(gold, answer)
        elif pair <= {"list", "set"}:
            decision = self.unordered(gold.items, answer.items)
        elif pair == {"tuple"}:
            decision = self.tuples(gold, answer)
        elif pair == {"matrix"}:
            decision = self.matrices(gold, answer)
        elif pair == {"tuple", "list"}:
            decision = self.tuple_and_list(gold, answer)
        elif pair == {"tuple", "matrix"}:
            decision = self.vectors(gold, answer)
        elif pair <= {"set", "one"}:
            one, other = (gold, answer) if gold.kind == "one" else (answer, gold)
            if len(other) == 1:
                return self.forms(one, other.items[0])
        if decision is not None:
            return decision
        return self.other_forms(gold, answer)

    def other_forms(self, gold: Form, answer: Form) -> Decision:
        left, right = as_reals(gold), as_reals(answer)
        if left is not None and right is not None:
            return same_reals(left, right)
        if "matrix" not in (gold.kind, answer.kind) and "union" not in (gold.kind, answer.kind):
            if {gold.kind, answer.kind} == {"one", "list"} or {gold.kind, answer.kind} == {"one", "tuple"}:
                one = gold if gold.kind == "one" else answer
                if self.is_value(one.text):
                    return False
            if words.is_prose(gold.text) or words.is_prose(answer.text):
                return words.same_words(gold.text, answer.text) or False
        if gold.kind == answer.kind == "union":
            if gold.signs == answer.signs and set(gold.signs) == {"∪"}:
                return self.unordered(gold.items, answer.items) or None
        return self.ask(gold.text, answer.text)

    def unordered(self, golds: Sequence[Form], answers: Sequence[Form]) -> Decision:
        """Every item of each has its equal in the other."""
        found = [[self.forms(gold, answer) for answer in answers] for gold in golds]
        best: Decision = True
        for line in (*found, *(list(column) for column in zip(*found, strict=True))):
            if True not in line:
                if None not in line:
                    return False
                best = None
        return best if golds and answers else len(golds) == len(answers)

    def ordered(self, golds: Sequence[Form], answers: Sequence[Form]) -> Decision:
        if len(golds) != len(answers):
            return False
        decisions = [self.forms(gold, answer) for gold, answer in zip(golds, answers, strict=True)]
        return False if False in decisions else None if None in decisions else True

    def tuples(self, gold: Form, answer: Form) -> Decision:
        """The brackets of a pair count, since it may be an interval."""
        if gold.signs != answer.signs and (len(gold) == 2 or len(answer) == 2):
            return False
        return self.ordered(gold.items, answer.items)

    def tuple_and_list(self, gold: Form, answer: Form) -> Decision:
        """Brackets may be left out, and names given: ``(1,2)``, ``1, 2`` and ``x=1, y=2``."""
        listed, pair = (gold, answer) if gold.kind == "list" else (answer, gold)
        if len(pair) == 2 and pair.signs != "()":
            return False  # an interval
        named = [_assignment(item) for item in listed.items]
        if all(named):
            labels = [name for name, _ in named if name]
            values = [value for _, value in sorted((item for item in named if item), key=lambda item: item[0])]
            if len(set(labels)) < len(labels):
                return None
            listed = replace(listed, items=tuple(values))
        golds, answers = (listed, answer) if gold.kind == "list" else (gold, listed)
        return self.ordered(golds.items, answers.items)

    def matrices(self, gold: Form, answer: Form) -> Decision:
        if gold.signs != answer.signs:
            return None  # one is a determinant
        return False if gold.columns != answer.columns else self.ordered(gold.items, answer.items)

    def vectors(self, gold: Form, answer: Form) -> Decision:
        """``(1,2)`` for a row or a column."""
        matrix = gold if gold.kind == "matrix" else answer
        if matrix.signs or matrix.columns not in (1, len(matrix)):
            return False
        return self.ordered(gold.items, answer.items)

    def ratios(self, gold: Form, answer: Form) -> Decision:
        """``2:4`` is ``1:2``; the order counts. Two parts are also a fraction."""
        times = clock.same_time(gold.text, answer.text)
        if times is not None:
            return times
        if gold.kind != answer.kind:
            ratio, one = (gold, answer) if gold.kind == "ratio" else (answer, gold)
            if len(ratio) != 2 or not self.is_value(one.text):
                return False if self.is_value(one.text) else None
            return self.single(f"({ratio.items[0].text})/({ratio.items[1].text})", one.text)
        if len(gold) != len(answer):
            return False
        exactly = self.ordered(gold.items, answer.items)
        if exactly:
            return True
        pairs = [[f"({item.text})/({form.items[0].text})" for item in form.items] for form in (gold, answer)]
        decisions = [self.single(left, right) for left, right in zip(*pairs, strict=True)]
        return False if False in decisions else None if None in decisions else True

    # ---- Relations

    def relations(self, gold: Form, answer: Form) -> Decision:
        left, right = _assignment(gold), _assignment(answer)
        if left and right:
            decision = self.forms(left[1], right[1])
            if decision and not _same_label(left[0], right[0]):
                return False
            if decision or not (_is_variable(left[0]) and _is_variable(right[0])):
                return decision
        elif left or right:
            one, other = (left, answer) if left else (right, gold)
            if one and other.kind != "relation":
                if left:
                    return self.forms(left[1], answer)
                return self.forms(gold, right[1]) if right else None
        chains = [_chain(form) for form in (gold, answer)]
        if any(chains):
            return self.chained(gold, answer, *chains)
        if gold.kind == answer.kind and gold.signs == answer.signs == "=":
            return self.equations(gold, answer)
        lefts, rights = as_reals(gold), as_reals(answer)
        if lefts is not None and rights is not None:
            return same_reals(lefts, rights)
        if gold.kind == answer.kind:
            return self.inequalities(gold, answer)
        return None

    def chained(self, gold: Form, answer: Form, golds: list[Form], answers: list[Form]) -> Decision:
        """``x = 2+3 = 5`` and ``\\sqrt2 ≈ 1.414``: one value said several times, if it is one."""
        for chain in (golds, answers):
            if chain and not self.is_one_value(chain):
                return False if chain is answers else None
        decisions = [
            self.forms(left, right) for left in (golds or [gold])[-2:] for right in (answers or [answer])[-2:]
        ]
        return True if True in decisions else None if None in decisions else False

    def is_one_value(self, chain: list[Form]) -> bool:
        """Whether the parts say one number; the last one may be rounded to three digits or more."""
        values = [_constant(form.text) for form in chain]
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values) and self.single(chain[-1].text, chain[-2].text) is not True:
            return False
        return all(abs(value - numbers[0]) <= abs(numbers[0]) / 200 for value in numbers)

    def equations(self, gold: Form, answer: Form) -> Decision:
        """Equal if one is a multiple of the other: ``y = 2x+1`` and ``2x - y + 1 = 0``."""
        try:
            left, right = (_difference(form) for form in (gold, answer))
        except Unreadable:
            same = self.ordered(gold.items, answer.items)
            return True if same else self.ask(gold.text, answer.text)
        return proportional(left, right)

    def inequalities(self, gold: Form, answer: Form) -> Decision:
        turned = Form("relation", answer.text, answer.items[::-1], answer.signs[::-1].translate(_TURN))
        for form in (answer, turned):
            if form.signs == gold.signs and self.ordered(gold.items, form.items):
                return True
        return self.ask(gold.text, answer.text)

    # ---- Single pieces

    def single(self, gold: str, answer: str) -> Decision:
        """Compares two answers without inner form."""
        if gold == answer:
            return True
        gold, answer = words.meaning(gold), words.meaning(answer)
        for decide in (words.same_words, clock.same_time, self.measures):
            decision = decide(gold, answer)
            if decision is not None:
                return decision
        if words.is_prose(gold) or words.is_prose(answer):
            return False if self.is_value(gold) or self.is_value(answer) else self.ask(gold, answer)
        return self.ask(gold, answer)

    def measures(self, gold: str, answer: str) -> Decision:
        """Numbers and terms with or without unit."""
        (left, left_unit, left_sure), (right, right_unit, right_sure) = split_unit(gold), split_unit(answer)
        if left_unit and right_unit:
            if not units_agree(left_unit, right_unit):
                return False if left_sure or right_sure else self.values(gold, answer)
            return self.values(left, right)
        if not left_unit and not right_unit:
            return self.values(gold, answer)
        decision = self.values(left, right)
        if decision and not (left_sure and right_sure):
            return self.values(gold, answer) or (symbols_of(gold) == symbols_of(answer) or None) or decision
        return decision

    def values(self, gold: str, answer: str) -> Decision:
        if gold == answer:
            return True
        left, right = number(gold), number(answer)
        if left is not None and right is not None:
            return left.equals(right)
        if (left and left.base) or (right and right.base):
            return False
        infinite = [text.strip("+-") == "∞" for text in (gold, answer)]
        if any(infinite):
            return gold.strip("+") == answer.strip("+") if all(infinite) or self.is_value(gold, answer) else None
        try:
            return equal(*(_term(text, known) for text, known in ((gold, left), (answer, right))))
        except Unreadable:
            return None

    def is_value(self, *texts: str) -> bool:
        """Whether one of ``texts`` is a number or a term that is understood."""
        for text in texts:
            body = split_unit(text)[0]
            if rational(body) is not None or body.strip("+-") == "∞":
                return True
            try:
                read(body)
            except Unreadable:
                continue
            return True
        return False


_TURN = str.maketrans("<>≤≥", "><≥≤")


def _term(text: str, known: Number | None) -> Node:
    if known is None:
        return read(text)
    return ("num", known.value / 100 if known.percent else known.value)


def symbols_of(text: str) -> frozenset[str]:
    try:
        return symbols(read(text))
    except Unreadable:
        return frozenset()


def _constant(text: str) -> Fraction | None:
    try:
        value = constant(read(split_unit(text)[0]))
    except Unreadable:
        return None
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(str(float(value)))
    except (TypeError, ValueError, OverflowError):
        return None


def _difference(form: Form) -> Node:
    left, right = (read(item.text) for item in form.items)
    return ("+", left, ("*", ("num", Fraction(-1)), right))


def _assignment(form: Form) -> tuple[str, Form] | None:
    """Name and value of ``x = 5``, ``f(x) = 2x``, ``Area = 25``; also the first and last part of ``x = 2+3 = 5``."""
    if form.kind != "relation" or set(form.signs) != {"="} or len(form) != 2:
        return None
    label, value = form.items[0].text, form.items[1]
    if _LABEL.fullmatch(label) and label not in ("e", "i") and not rational(label):
        return label, value
    return None


def _same_label(left: str, right: str) -> bool:
    left, right = (words.plain(_FUNCTION.sub(lambda m: m[0], label)) for label in (left, right))
    return left == right or bool(_FUNCTION.fullmatch(left) and _FUNCTION.fullmatch(right))


def _is_variable(label: str) -> bool:
    return len(label) == 1


def _chain(form: Form) -> list[Form]:
    """The values of ``x = 2+3 = 5`` or ``\\sqrt2 ≈ 1.41``: what all of its parts say but a name in front."""
    if form.kind != "relation" or not set(form.signs) <= {"=", "≈"} or (form.signs == "=" and not _is_sum(form)):
        return []
    items = list(form.items)
    if _LABEL.fullmatch(items[0].text) and form.signs[0] == "=":
        items = items[1:]
    return items if len(items) > 1 else []


def _is_sum(form: Form) -> bool:
    """``12+5 = 17``: both sides are numbers."""
    return all(_constant(item.text) is not None for item in form.items)


def _spread(form: Form) -> Form:
    """``x = ±2`` and ``1±√2`` as lists of two; in a list, each item that has a sign of both."""
    if "±" not in form.text and "∓" not in form.text:
        return form
    if form.kind in ("list", "set"):
        items = tuple(item for part in form.items for item in (_two(part) or (part,)))
        return replace(form, items=items)
    both = _two(form)
    return Form("list", form.text, both) if both else form


def _two(form: Form) -> tuple[Form, ...] | None:
    if form.text.count("±") + form.text.count("∓") == 0 or form.kind not in ("one", "relation"):
        return None
    if form.text.count("±") > 1:
        return None
    upper = form.text.replace("±", "+").replace("∓", "-")
    lower = form.text.replace("±", "-").replace("∓", "+")
    return parse(re.sub(r"(^|[=(,])\+", r"\1", upper)), parse(lower)
