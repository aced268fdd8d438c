"""Words after a number that are not its unit: they change the number, deny it, bound it or doubt it.

``5 squared`` is 25, ``5 below zero`` is -5, ``5 at most`` is no number. Any other noun is a unit. Where a word may be
both (``6 pairs``), it is none, so that the answer is not taken for the bare number.
"""

from __future__ import annotations

import re

from saidpo_plugins.verifiers.answers import names

_CHANGING = names(
    "squared cubed factorial times plus minus doubled tripled quadrupled halved double triple twice thrice choose mod "
    "modulo divided multiplied over by raised power remainder increased decreased reduced added subtracted negated "
    "inverted root hundred thousand million billion trillion quadrillion hundreds thousands millions billions "
    "trillions dozen dozens lakh lakhs crore crores mil mill mils tens half halves third thirds fourth fourths "
    "quarter quarters fifth fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth tenths twelfth "
    "twelfths hundredth hundredths thousandth thousandths millionth millionths billionth billionths "
    "zero one two three four five six seven "
    "eight nine ten eleven twelve twenty thirty forty fifty recurring repeating inverse reciprocal conjugate opposite "
    "absolute exponent logarithm sine cosine tangent"
)
_DENYING = names(
    "not no non never none neither nor cannot without fail fails failed failing false wrong incorrect invalid "
    "extraneous spurious rejected discarded excluded excluding except inadmissible impossible contradiction negative "
    "unless undefined isn doesn didn wasn won but however otherwise instead actually sorry wait oops hmm versus vs "
    "then though although or and is are was were be if than"
)
_BOUNDING = names(
    "maximum minimum max most least fewest below above under over beyond upward upwards downward downwards onward "
    "onwards fewer less more greater larger smaller bigger higher lower at up down to ish bound bounds inclusive "
    "exclusive between par tops general"
)
_DOUBTING = names(
    "approx about around some estimate estimated guess guessed guessing maybe perhaps assumed assuming expected "
    "tentative uncertain unsure unclear unknown unverified rounded truncated almost likely unlikely circa"
)
_OTHER = names(
    "for so when where which because since with either both else sin cos tan log ln exp sqrt lim gcd lcm cot csc "
    "arcsin arccos arctan"
)
_NEVER = _CHANGING | _DENYING | _BOUNDING | _DOUBTING | _OTHER
_NOT_FIRST = names("pair pairs couple couples score scores grand gross top thou myriad fold")
_NOT_ALONE = names("possible short off sometimes")
_EXPONENTS = names("squared cubed")
_ADVERB = re.compile(r"[a-z]+ly")
_NOUNS_LIKE_ADVERBS = names(
    "family daily weekly monthly yearly hourly only lily fly butterfly assembly jelly ally bully belly"
)


def may_be_unit(words: list[str]) -> bool:
    """Whether such words after a number can be its unit: ``red apples``, ``meters per second squared``."""
    words = [word.lower() for word in words]
    if not words or words[0] in _NOT_FIRST | _EXPONENTS or (len(words) == 1 and words[0] in _NOT_ALONE):
        return False
    return not any((word in _NEVER and word not in _EXPONENTS) or _is_adverb(word) for word in words)


def _is_adverb(word: str) -> bool:
    """``hopefully``, ``approximately``."""
    return _ADVERB.fullmatch(word) is not None and word not in _NOUNS_LIKE_ADVERBS
