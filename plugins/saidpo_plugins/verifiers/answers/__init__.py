"""Are two written answers the same answer? What can be decided without a computer algebra system, in this order:

``spelling``     one spelling for what is written in several
``asides``       about, ≈, remarks in brackets
``choices``      the letter of a multiple choice
``words``        yes and no, names, dates, times, numbers in words, hedges
``units``        5 cm, $5, 30°: a unit may be left out, but not changed
``nouns``        words after a number that are no units
``numbers``      exact rationals in all their spellings
``expressions``  reads terms such as ``2\\sqrt{3}x^2``
``values``       compares them: exactly where they are rational, else to 1,000 digits at fixed points
``structure``    lists, sets, tuples, intervals, unions, matrices, ratios, relations
``lists``        and, or, names, repeated values
``relations``    what an equation says: a name, a value
``reals``        sets of real numbers: intervals, inequalities and their unions
``compare``      puts it together

All of this is **ours**; the policy is in ``docs/verifying.md``. Nothing here takes long, whatever the text.
"""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The words of ``text``, for tables."""
    return frozenset(text.split())


def pairs(text: str) -> dict[str, str]:
    """Each first word of ``text`` with the one after it, for tables."""
    items = iter(text.split())
    return dict(zip(items, items, strict=True))
