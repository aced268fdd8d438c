"""Whether a gold answer and an answer are the same answer: True, False, or None if that cannot be decided here.

The forms of both are compared piece by piece. ``ask`` is called for single pieces that remain undecided (in a worker
process that is math-verify); without it they stay so. Texts are the answers alone, as ``extraction`` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from saidpo_plugins.verifiers.answers import asides, choices, clock, lists, relations, words
from saidpo_plugins.verifiers.answers.expressions import Unreadable
from saidpo_plugins.verifiers.answers.numbers import number
from saidpo_plugins.verifiers.answers.reals import EVERYTHING, as_reals, is_condition, same_reals, variables
from saidpo_plugins.verifiers.answers.single import Ask, Decision, is_value, same_single
from saidpo_plugins.verifiers.answers.spelling import normalise
from saidpo_plugins.verifiers.answers.structure import Form, parse
from saidpo_plugins.verifiers.answers.values import proportional

LENGTH_LIMIT = 1000
_PIECE_LIMIT = 500

_SPACE = re.compile(r"[\s{}$]|\\[,;:! ]")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)


def undecided(gold: str, answer: str) -> Decision:
    return None


def compare(gold: str, answer: str, ask: Ask = undecided) -> Decision:
    """Whether ``answer`` is the answer ``gold``."""
    if gold.strip() == answer.strip():
        return True
    if max(len(gold), len(answer)) > LENGTH_LIMIT:
        return None
    if asides.is_product_in_order(gold, answer):
        return _SPACE.sub("", gold) == _SPACE.sub("", answer)
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
    answer, rough = asides.without_roughly(answer)
    gold, gold_rough = asides.without_roughly(gold)
    if rough and not gold_rough and "." not in gold:
        return False  # about 5 is not 5, but about 3.14 is what 3.14 says
    answer = asides.without_remark(answer)
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
        gold, answer = (lists.roots(lists.spread(form)) for form in (gold, answer))
        kinds = {gold.kind, answer.kind}
        if kinds in ({"relation", "list"}, {"relation", "tuple"}):
            gold, answer = (lists.system(form) for form in (gold, answer))
            kinds = {gold.kind, answer.kind}
        decision = self.conditions(gold, answer)
        if decision is not None:
            return decision
        if "built" in kinds:
            decision = self.built(gold, answer)
        elif "list" in kinds and lists.connectives_differ(gold, answer):
            return False
        elif "relation" in kinds:
            decision = self.relations(gold, answer)
        elif kinds == {"one"}:
            return self.single(gold.text, answer.text)
        elif kinds <= {"ratio", "one"}:
            decision = self.ratios(gold, answer)
        elif kinds <= {"list", "set", "one"} and not {gold.text, answer.text} & {"ℝ", "∅"}:
            decision = self.values(gold, answer)
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
        if {gold.kind, answer.kind} == {"set", "tuple"}:
            return False
        if gold.kind == answer.kind == "union" and set(gold.signs + answer.signs) == {"∪"}:
            return self.unordered(gold.items, answer.items) or None
        return self.ask(gold.text, answer.text)

    def conditions(self, gold: Form, answer: Form) -> Decision:
        """``x > 3``, ``x > 1 and x < 3``, ``(1,3)`` as sets of real numbers; conditions on two variables differ."""
        if not (is_condition(gold) or is_condition(answer)):
            return None
        names = variables(gold), variables(answer)
        if all(names) and names[0] != names[1]:
            return False
        left, right = as_reals(gold), as_reals(answer)
        if gold.kind == answer.kind == "list" and left in ((), EVERYTHING):
            return None  # it may not be meant: x<1 and x>3
        return None if left is None or right is None else same_reals(left, right)

    def built(self, gold: Form, answer: Form) -> Decision:
        """``{x | x^2 > 3}`` is its condition; with a domain only a set with the same one is like it."""
        one, other = (form.signs if form.kind == "built" else "" for form in (gold, answer))
        if one != other:
            return False
        if one or gold.kind == answer.kind or "relation" in (gold.kind, answer.kind):
            return self.forms(*(form.items[0] if form.kind == "built" else form for form in (gold, answer)))
        return None

    def values(self, gold: Form, answer: Form) -> Decision:
        """Lists and sets: in the order of their names if one has names. One value said twice is still one."""
        for named, bare in ((gold, answer), (answer, gold)):
            items = lists.named_values(named)
            if items is not None and not any(map(relations.named, bare.items)):
                pair = (items, bare.items) if named is gold else (bare.items, items)
                return bare.kind == "list" and self.ordered(*pair)
        pieces = [(form,) if form.kind == "one" else form.items for form in (gold, answer)]
        return self.unordered(*pieces, repeated=lists.repeats(gold))

    def unordered(self, golds: Sequence[Form], answers: Sequence[Form], *, repeated: bool = False) -> Decision:
        """Every item of each has its equal in the other; as often as in the gold answer if that repeats one."""
        texts = {form.text for form in golds} & {form.text for form in answers}
        if len(texts) == len(golds) == len(answers):
            return True
        found = [[self.forms(gold, answer) for answer in answers] for gold in golds]
        if repeated and not lists.one_to_one(found):
            return None if any(None in line for line in found) and len(golds) == len(answers) else False
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
        items = lists.named_values(listed) or listed.items
        if items is listed.items and any(map(relations.named, items)):
            return None
        if items is not listed.items and listed.signs == "∨":
            return False  # x=1 or y=2
        return self.ordered(items, pair.items) if gold.kind == "list" else self.ordered(pair.items, items)

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
        named = relations.named(gold), relations.named(answer)
        if named[0] and answer.kind != "relation":
            return self.forms(named[0][1], answer)
        if named[1] and gold.kind != "relation":
            return self.forms(gold, named[1][1])
        chains = [relations.chain(form) for form in (gold, answer)]
        if any(chains):
            if not relations.is_one_value(answer):
                return False
            return self.chains(chains[0] or [gold], chains[1] or [answer])
        if gold.kind == answer.kind and gold.signs == answer.signs == "=":
            return self.equations(gold, answer)
        return self.inequalities(gold, answer) if gold.kind == answer.kind else None

    def chains(self, golds: list[Form], answers: list[Form]) -> Decision:
        """``x = 2+3 = 5`` and ``\\sqrt2 ≈ 1.414``: one value said several times, if it is one."""
        decisions = [self.forms(left, right) for left in golds[-2:] for right in answers[-2:]]
        return True if True in decisions else _all(decisions)

    def equations(self, gold: Form, answer: Form) -> Decision:
        """Equal if one is a multiple of the other: ``y = 2x+1`` and ``2x - y + 1 = 0``."""
        try:
            return proportional(relations.difference(gold), relations.difference(answer))
        except Unreadable:  # side by side only: math-verify takes f(2)=5 for f(3)=5
            sides = [self.ordered(gold.items, items) for items in (answer.items, answer.items[::-1])]
            return True if True in sides else None if None in sides else False

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
