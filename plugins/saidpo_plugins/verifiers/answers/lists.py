"""What is particular to lists: ``and`` and ``or`` between conditions, names in front of the values, values said several
times, ``±``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from saidpo_plugins.verifiers.answers import relations
from saidpo_plugins.verifiers.answers.reals import variables
from saidpo_plugins.verifiers.answers.single import Decision, is_value
from saidpo_plugins.verifiers.answers.structure import Form, parse

_LEADING_PLUS = re.compile(r"(^|[=(,])\+")
_LETTER = re.compile(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?")


def connectives_differ(gold: Form, answer: Form) -> bool:
    """``x>1 and y>1`` is not ``x>1 or y>1``; but ``2 and 3`` and ``2 or 3`` are one list of values."""
    signs = {gold.signs, answer.signs}
    if signs == {"∧", "∨"}:
        return all(any(_can_be_true(item) for item in form.items) for form in (gold, answer))
    if signs == {"∨", ""}:  # "x=1 or y=2" is not "x=1, y=2", nor "A or B" "A, B"
        either = gold if gold.signs else answer
        if all(any(item.kind == "one" and _can_be_true(item) for item in form.items) for form in (gold, answer)):
            return True
        return len(frozenset().union(*map(_about, either.items))) > 1
    return False


def _about(form: Form) -> frozenset[str]:
    """What a condition is about: ``y`` in ``y = 2x``."""
    named = relations.named(form)
    if named:
        return frozenset((named[0],))
    return variables(form) if form.kind == "relation" else frozenset()


def _can_be_true(form: Form) -> bool:
    """A condition, a proposition ``p``, a name; not a value."""
    if form.kind == "one":
        return _LETTER.fullmatch(form.text.strip("().")) is not None or not is_value(form.text)
    return form.kind in ("relation", "list", "built")


def named_values(form: Form) -> tuple[Form, ...] | None:
    """The values of ``x=1, y=2`` in the order of their names; of ``width=3, length=5`` as they stand.

    None if not all of them have names, or if two have the same (``x=1, x=2``).
    """
    named = list(filter(None, map(relations.named, form.items)))
    labels = {label for label, _ in named}
    if form.kind != "list" or len(form) < 2 or len(labels) < len(form):
        return None
    if all(relations.is_variable(label[:1]) and not label[1:2].isalpha() for label in labels):
        named.sort(key=lambda item: item[0])
    return tuple(value for _, value in named)


def repeats(form: Form) -> bool:
    """Whether a list says a value more than once in the same words: ``3, 3, 5``."""
    return form.kind == "list" and len({item.text for item in form.items}) < len(form)


def one_to_one(found: Sequence[Sequence[Decision]]) -> bool:
    """Whether each value is there as often on both sides; ``found`` says which items are equal."""
    golds, answers = len(found), len(found[0]) if found else 0
    rows, columns = [line.count(True) for line in found], [line.count(True) for line in zip(*found, strict=True)]
    return golds == answers and all(
        rows[i] == columns[j] for i, line in enumerate(found) for j, same in enumerate(line) if same
    )


def spread(form: Form) -> Form:
    """``x = ±2`` and ``1±√2`` as lists of two; in a list, each item that has a sign of both."""
    if "±" not in form.text and "∓" not in form.text:
        return form
    if form.kind in ("list", "set"):
        return replace(form, items=tuple(item for part in form.items for item in _both(part)))
    both = _both(form)
    return Form("list", form.text, both, "∨" if form.kind == "relation" else "") if len(both) == 2 else form


def roots(form: Form) -> Form:
    """``x=1 and x=2`` as ``x=1, x=2``: nobody means that both hold at once."""
    if form.kind == "list" and form.signs == "∧":
        named = [relations.named(item) for item in form.items]
        if len({item[0] if item else None for item in named}) == 1 and named[0]:
            return replace(form, signs="")
    return form


def system(form: Form) -> Form:
    """``x = y = 3`` as ``x = 3, y = 3``."""
    names, value = form.items[:-1], form.items[-1]
    if len(names) < 2 or set(form.signs) != {"="} or not all(relations.is_variable(name.text) for name in names):
        return form
    return Form("list", form.text, tuple(Form("relation", form.text, (name, value), "=") for name in names))


def _both(form: Form) -> tuple[Form, ...]:
    """The two that ``±`` stands for."""
    if form.text.count("±") != 1 or form.kind not in ("one", "relation"):
        return (form,)
    upper = form.text.replace("±", "+").replace("∓", "-")
    return parse(_LEADING_PLUS.sub(r"\1", upper)), parse(form.text.replace("±", "-").replace("∓", "+"))
