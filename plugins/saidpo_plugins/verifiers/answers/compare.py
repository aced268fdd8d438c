"""Whether a gold answer and an answer are the same answer: True, False, or None if that cannot be decided here.

The forms of both are compared piece by piece. ``ask`` is called for single pieces that remain undecided (in a worker
process that is math-verify); without it they stay so. Texts are the answers alone, as ``extraction`` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from saidpo_plugins.verifiers.answers import choices, clock, relations, words
from saidpo_plugins.verifiers.answers.expressions import Unreadable
from saidpo_plugins.verifiers.answers.numbers import number
from saidpo_plugins.verifiers.answers.reals import as_reals, same_reals
from saidpo_plugins.verifiers.answers.single import Ask, Decision, is_value, same_single
from saidpo_plugins.verifiers.answers.spelling import normalise
from saidpo_plugins.verifiers.answers.structure import Form, parse
from saidpo_plugins.verifiers.answers.values import proportional

LENGTH_LIMIT = 1000
_PIECE_LIMIT = 500

_REMARK = re.compile(r"(.*[\d\w})%°])\((?:\\text\{)?([a-zA-Z]{3}[a-zA-Z -]*)\}?\)")
_TWICE = re.compile(r"([^()]*[^() ]) ?\((?:≈|=|or |approximately |about )?([^()]*)\)")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_LEADING_PLUS = re.compile(r"(^|[=(,])\+")


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
    numbers = number(left), number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0].equals(numbers[1])
    for decide in (choices.same_choice, clock.same_time):
        decision = decide(left, right)
        if decision is not None:
            return decision
    return _whole(left, right, ask)


def is_readable(gold: str) -> bool:
    """Whether ``gold`` can be an answer at all: not empty, braces closed."""
    depth = 0
    for brace in _BRACES.finditer(gold):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth < 0:
            return False
    return bool(gold.strip(" $")) and depth == 0


def _whole(gold: str, answer: str, ask: Ask) -> Decision:
    """What concerns an answer as a whole: hedges, rounding, a remark in brackets, the letter of a choice."""
    if words.is_hedged(answer, gold) or (clock.is_moment(gold) and is_value(answer)):
        return False
    answer, rough = words.without_roughly(answer)
    gold, gold_rough = words.without_roughly(gold)
    if rough and not gold_rough and "." not in gold:
        return False  # about 5 is not 5, but about 3.14 is what 3.14 says
    remark = _REMARK.fullmatch(answer)
    if remark and "(" not in gold and " or " not in remark[2]:
        answer = remark[1]
    twice = _TWICE.fullmatch(answer)
    if twice and relations.says_again(twice[1], twice[2]):
        answer = twice[1]
    (_, gold_rest), (_, rest) = choices.choice(gold), choices.choice(answer)
    if bool(gold_rest) != bool(rest):  # "(C) 42" and "42"
        gold, answer = gold_rest or gold, rest or answer
    try:
        return _Comparison(ask).forms(*(parse(words.meaning(text)) for text in (gold, answer)))
    except _TooManyPieces:
        return None


class _TooManyPieces(Exception):
    """Long lists of long terms: every item would be compared with every other."""


class _Comparison:
    """Compares forms; single pieces are ``single``'s affair."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.pieces = 0

    def single(self, gold: str, answer: str) -> Decision:
        self.pieces += 1
        if self.pieces > _PIECE_LIMIT:
            raise _TooManyPieces
        return same_single(gold, answer, self.ask)

    def forms(self, gold: Form, answer: Form) -> Decision:
        """Compares two answers of whatever form."""
        if gold.text == answer.text:
            return True
        gold, answer = (_spread(form) for form in (gold, answer))
        kinds = {gold.kind, answer.kind}
        decision = None
        if "relation" in kinds:
            decision = self.relations(gold, answer)
        elif kinds == {"one"}:
            return self.single(gold.text, answer.text)
        elif kinds <= {"ratio", "one"}:
            decision = self.ratios(gold, answer)
        elif kinds <= {"list", "set", "one"} and not {gold.text, answer.text} & {"ℝ", "∅"}:
            # 3/4, or 0.75: one value said twice is still one
            decision = self.unordered(*((form,) if form.kind == "one" else form.items for form in (gold, answer)))
        elif kinds == {"tuple"}:
            decision = self.tuples(gold, answer)
        elif kinds == {"matrix"}:
            decision = self.matrices(gold, answer)
        elif kinds == {"tuple", "list"}:
            decision = self.tuple_and_list(gold, answer)
        elif kinds == {"tuple", "matrix"}:
            decision = self.vectors(gold, answer)
        return self.other_forms(gold, answer) if decision is None else decision

    def other_forms(self, gold: Form, answer: Form) -> Decision:
        """Sets of real numbers said in two ways; and what is clearly of two kinds."""
        left, right = as_reals(gold), as_reals(answer)
        if left is not None and right is not None:
            return same_reals(left, right)
        if any(_are_unlike(*pair) for pair in ((gold, answer), (answer, gold))):
            return False
        if gold.kind == answer.kind == "union" and set(gold.signs + answer.signs) == {"∪"}:
            return self.unordered(gold.items, answer.items) or None
        return self.ask(gold.text, answer.text)

    def unordered(self, golds: Sequence[Form], answers: Sequence[Form]) -> Decision:
        """Every item of each has its equal in the other."""
        texts = {form.text for form in golds} & {form.text for form in answers}
        if len(texts) == len(golds) == len(answers):
            return True
        found = [[self.forms(gold, answer) for answer in answers] for gold in golds]
        result: Decision = len(golds) == len(answers) or bool(golds and answers)
        for line in (*found, *zip(*found, strict=True)):
            if True not in line:
                if None not in line:
                    return False
                result = None
        return result

    def ordered(self, golds: Sequence[Form], answers: Sequence[Form]) -> Decision:
        if len(golds) != len(answers):
            return False
        return _all(self.forms(gold, answer) for gold, answer in zip(golds, answers, strict=True))

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
        named = [item for item in map(relations.assignment, listed.items) if item]
        if named:
            if len({label for label, _ in named}) < len(listed):
                return None
            listed = replace(listed, items=tuple(value for _, value in sorted(named, key=lambda item: item[0])))
        return self.ordered(listed.items, pair.items) if gold.kind == "list" else self.ordered(pair.items, listed.items)

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
        if gold.kind != answer.kind:
            ratio, one = (gold, answer) if gold.kind == "ratio" else (answer, gold)
            if not is_value(one.text):
                return None
            if len(ratio) != 2:
                return False
            quotient = f"({ratio.items[0].text})/({ratio.items[1].text})"
            return self.single(quotient, one.text) if gold.kind == "ratio" else self.single(one.text, quotient)
        if len(gold) != len(answer):
            return False
        if self.ordered(gold.items, answer.items):
            return True
        parts = [[f"({item.text})/({form.items[0].text})" for item in form.items] for form in (gold, answer)]
        return _all(self.single(left, right) for left, right in zip(*parts, strict=True))

    # ---- Relations

    def relations(self, gold: Form, answer: Form) -> Decision:
        left, right = relations.assignment(gold), relations.assignment(answer)
        if left and right:
            same = self.forms(left[1], right[1])
            if same and not relations.same_label(left[0], right[0]):
                return False
            if same or not (relations.is_variable(left[0]) and relations.is_variable(right[0])):
                return same
        elif left and answer.kind != "relation":
            return self.forms(left[1], answer)
        elif right and gold.kind != "relation":
            return self.forms(gold, right[1])
        chains = [relations.chain(form) for form in (gold, answer)]
        if any(chains):
            if not relations.is_one_value(answer):
                return False
            return self.chains(chains[0] or [gold], chains[1] or [answer])
        if gold.kind == answer.kind and gold.signs == answer.signs == "=":
            return self.equations(gold, answer)
        lefts, rights = as_reals(gold), as_reals(answer)
        if lefts is not None and rights is not None:
            return same_reals(lefts, rights)
        return self.inequalities(gold, answer) if gold.kind == answer.kind else None

    def chains(self, golds: list[Form], answers: list[Form]) -> Decision:
        """``x = 2+3 = 5`` and ``\\sqrt2 ≈ 1.414``: one value said several times, if it is one."""
        decisions = [self.forms(left, right) for left in golds[-2:] for right in answers[-2:]]
        return True if True in decisions else _all(decisions)

    def equations(self, gold: Form, answer: Form) -> Decision:
        """Equal if one is a multiple of the other: ``y = 2x+1`` and ``2x - y + 1 = 0``."""
        try:
            return proportional(relations.difference(gold), relations.difference(answer))
        except Unreadable:
            return self.ordered(gold.items, answer.items) or self.ask(gold.text, answer.text)

    def inequalities(self, gold: Form, answer: Form) -> Decision:
        for form in (answer, relations.turned(answer)):
            if form.signs == gold.signs and self.ordered(gold.items, form.items):
                return True
        return self.ask(gold.text, answer.text)


def _are_unlike(one: Form, other: Form) -> bool:
    """A number, a term or a word beside a pair, a condition, a matrix (but a determinant is a number)."""
    if one.kind != "one" or other.kind not in ("tuple", "matrix", "relation") or other.signs == "|":
        return False
    return is_value(one.text) or words.is_prose(one.text)


def _all(decisions: Iterable[Decision]) -> Decision:
    found = list(decisions)
    return False if False in found else None if None in found else True


def _spread(form: Form) -> Form:
    """``x = ±2`` and ``1±√2`` as lists of two; in a list, each item that has a sign of both."""
    if "±" not in form.text and "∓" not in form.text:
        return form
    if form.kind in ("list", "set"):
        return replace(form, items=tuple(item for part in form.items for item in _both(part)))
    both = _both(form)
    return Form("list", form.text, both) if len(both) == 2 else form


def _both(form: Form) -> tuple[Form, ...]:
    """The two that ``±`` stands for."""
    if form.text.count("±") != 1 or form.kind not in ("one", "relation"):
        return (form,)
    upper = form.text.replace("±", "+").replace("∓", "-")
    return parse(_LEADING_PLUS.sub(r"\1", upper)), parse(form.text.replace("±", "-").replace("∓", "+"))
