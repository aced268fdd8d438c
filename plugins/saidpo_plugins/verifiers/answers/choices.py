"""Which letter an answer chooses: ``C``, ``(C)``, ``C.``, ``option C``, ``C) 42``.

After a bare letter stands one of ``. : )`` or nothing, since ``A rectangle`` chooses nothing; then comes the wording of
the option. Where another letter follows, a doubt, or ``is false``, no letter is chosen.
"""

from __future__ import annotations

import re

_OPTION = re.compile(
    r"(?:\\text\{)?(?:the )?(?:correct )?(?:option|choice|answer|statement)s? ?(?:is )?:?\}? ?", re.IGNORECASE
)
_LETTER_IN_TEXT = re.compile(r"\\text\{ ?(\(?[A-Ja-j][.:)]?\)?:?) ?\}")
_CHOICE = re.compile(
    r"(?:\(([A-J])\)|([A-J])(?:\)?[.):]|$))[.:]?(?![(^*/+=<>|!?,;&_{∈∪≤≥-])\s*(.*)|\(([a-j])\)(?!\S)\s*(.*)",
    re.DOTALL,
)
_LOWER = re.compile(r"([a-j])[.)]?")
_AFFIRMED = re.compile(r"is (?:the )?(?:correct|right|best|true)(?: (?:answer|option|choice|one))?")
_NO_WORDING = re.compile(
    r"(?:or|and|but|nor|xor|vs|versus|then|is|are|was|isn't|cannot|can't|fails|seems|looks|unless|wait|no wait|"
    r"actually|sorry|hmm|oops|also|not (?:correct|right|true))\b|\(?(?:wrong|incorrect|rejected|eliminated)\b|[/&|,;?]",
    re.IGNORECASE,
)
_OTHER_LETTER = re.compile(
    r"^[A-J][.):]?$|\([A-Ja-j]\)|(?:\b(?:or|and|nor|not|vs|versus|then|xor|but|option|choice|answer|also)\b|[,;/&|]) ?"
    r"(?:\\text\{ ?)?\(?[A-J](?![\w'])"
)
_DOUBT = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|apparently|i (?:think|guess|believe|suppose)|not sure|unsure|could be|"
    r"might be|guess(?:ing)?)\b|\?$",
    re.IGNORECASE,
)


def choice(text: str) -> tuple[str, str]:
    """Letter and the rest of ``C) 42``; the letter is empty if there is none."""
    text = _OPTION.sub("", text, count=1)
    text = _LETTER_IN_TEXT.sub(r"\1 ", text, count=1).strip()
    lower = _LOWER.fullmatch(text)
    if lower:
        return lower[1].upper(), ""
    affirmed, letter_first, rest = text.partition(" ")
    if letter_first and _AFFIRMED.fullmatch(rest):
        text = affirmed
    match = _CHOICE.fullmatch(text)
    if not match:
        return "", ""
    rest = (match[3] or match[5] or "").strip()
    if any(sign.search(rest) for sign in (_OTHER_LETTER, _DOUBT)) or _NO_WORDING.match(rest):
        return "", ""
    return match[1] or match[2] or match[4].upper(), rest


def same_choice(gold: str, answer: str) -> bool | None:
    """``C`` and ``(C)``, ``C. because``: where the gold answer is a letter, the letter decides. None: no choice."""
    if gold in ("e", "i"):
        return None  # a number
    (gold_letter, gold_rest), (letter, rest) = choice(gold), choice(answer)
    if gold_letter and letter and not (gold_rest and rest):
        return gold_letter == letter
    if gold_letter and letter and gold_letter != letter:
        return False
    return None
