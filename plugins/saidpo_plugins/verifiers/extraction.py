"""Find the final answer in a response, in time linear in its length.

An answer is said, in this order: in the last ``\\boxed{...}`` or ``\\fbox{...}``, between ``<answer>`` tags, after the
last ``####`` or the last "answer is" / "answer:" (whichever comes later), or by a response that is nothing but one
short line. What stands in a ``<think>`` block is no answer. A box or a tag that is never closed is an answer that was
not finished, so there is none: an earlier box may well be what the response was about to take back.

The paper does not say how it finds answers: all of this is **ours**.
"""

from __future__ import annotations

import re

_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]{0,8}\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_THINK = re.compile(r"(</?think>)")
_MARK = re.compile(r"####|\banswer(?:\*\*)?(?:[ \t]{1,4}is\b(?:[ \t]{0,4}:)?|[ \t]{0,4}:)", re.IGNORECASE)
_PHRASE = re.compile(r"^(?:the )?(?:final )?answer(?: is)?\s*:?\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?=\s+\S)")
_MATHS = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("**", "**"), ("`", "`"), (r"\(", r"\)"), (r"\[", r"\]"))
_BARE_LIMIT = 40
_BARE_WORDS = 4
_LENGTH_LIMIT = 10_000


def extract(response: str) -> str | None:
    """The final answer of ``response``, None if it gives none."""
    text = outside_thinking(response)
    found, answer = marked(text)
    return answer if found else _bare(text)


def marked(text: str, lines: int = 1) -> tuple[bool, str | None]:
    """Whether ``text`` marks an answer, and that answer; ``(True, None)`` is one that was begun but not finished.

    ``lines`` is how many lines an answer takes that no bracket closes.
    """
    boxes = list(_BOX.finditer(text))
    if boxes:
        return True, _clean(_closed(text, boxes[-1].end()))
    start = text.rfind("<answer>")
    if start >= 0:
        end = text.find("</answer>", start)
        return True, _clean(text[start + len("<answer>") : end] if end >= 0 else None)
    marks = list(_MARK.finditer(text))
    if not marks:
        return False, None
    rest = text[marks[-1].end() :].lstrip(" \t*:")
    if marks[-1].group() != "####":  # "The answer is:" may be followed by a line break, "####" is not
        rest = rest.lstrip()
    if lines > 1:
        return True, _clean("\n".join(rest.split("\n", lines)[:lines]))
    line = rest.partition("\n")[0][:_LENGTH_LIMIT].strip()
    return True, _clean(_PHRASE.sub("", line) if marks[-1].group() == "####" else _first_sentence(line))


def outside_thinking(text: str) -> str:
    """``text`` without ``<think>`` blocks: also one that began in the prompt, and one that does not end."""
    kept: list[str] = []
    thinking = False
    for piece in _THINK.split(text):
        if piece == "<think>":
            thinking = True
        elif piece == "</think>":
            if not thinking:
                kept.clear()
            thinking = False
        elif not thinking:
            kept.append(piece)
    return "".join(kept)


def _closed(text: str, start: int) -> str | None:
    """``text`` from ``start`` to the brace that closes the one before it, None if none does."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return text[start : brace.start()]
    return None


def _first_sentence(line: str) -> str:
    """``\\frac{1}{2}`` of ``$\\frac{1}{2}$ because ...``, ``5`` of ``5. I hope it is correct.``"""
    maths = _MATHS.match(line)
    if maths and not line[maths.end() :].strip().startswith(","):
        return maths.group()
    return _SENTENCE_END.split(line, maxsplit=1)[0]


def _bare(text: str) -> str | None:
    """A response that is nothing but its answer. An equation is working (``12 + 5 = 17``), but ``x = 5`` is not."""
    line = text.strip()
    if not line or len(line) > _BARE_LIMIT or "\n" in line or len(re.findall(r"[A-Za-z]{2,}", line)) > _BARE_WORDS:
        return None
    left, equals, _ = line.partition("=")
    if equals and not left.strip(" $").isalpha():
        return None
    return _clean(line)


def _clean(answer: str | None) -> str | None:
    """Without the marks that only set it off: ``$...$``, ``**...**``, the full stop. None if nothing is left."""
    if answer is None or len(answer) > _LENGTH_LIMIT:
        return answer and answer.strip()
    before = None
    while answer != before:
        before = answer
        answer = answer.strip()
        if answer.endswith(".") and not answer.endswith(".."):
            answer = answer[:-1]
        for opening, closing in _WRAPPERS:
            inner = answer[len(opening) : -len(closing)]
            if answer.startswith(opening) and answer.endswith(closing) and inner and opening not in inner:
                answer = inner
        answer = answer.removesuffix("**") if answer.count("**") == 1 else answer
    return answer or None
