"""Find the final answer in a response, in time linear in its length.

An answer is said, in this order: in the last ``\\boxed{...}`` or ``\\fbox{...}``, between ``<answer>`` tags, after the
last ``####``, after the last "answer is" / "Answer:", or by a response that is nothing but one short answer. What
stands in a thinking block (``<think>`` and its likes, ``thinking``) is no answer. A box or a tag that is never closed
is an answer that was not finished, so there is none: an earlier box may well be what the response was about to take
back. Nor is the last number of a text an answer.

The paper does not say how it finds answers: all of this is **ours**; ``docs/verifying.md`` is the policy.
"""

from __future__ import annotations

import re

from saidpo_plugins.verifiers.thinking import outside_thinking

__all__ = ["extract", "marked", "outside_thinking"]

_SCAN = re.compile(r"\\{1,2}(?:boxed|fbox)[ \t\n]{0,8}\{|\\.|[{}]", re.DOTALL)
_IS = r"is|are|would be|will be|must be|should be|equals"
_MARK = re.compile(
    r"\b(?:answers?|ans|(?:correct|right|best) (?:option|choice))\b[*_`\"')}]{0,4}"
    r"(?:[ \t]{1,4}(?:to|for|of) [^.:\n=]{1,80}?)?"
    rf"(?:[ \t]{{1,4}}(?:{_IS})\b(?![ \t]+not\b)[*_`\"']{{0,4}}[ \t]{{0,4}}:?|[ \t]{{0,4}}[:=：])"
    r"|答案(?:是|为|：|:)[：:]?"
    r"|^[#*_ \t]{0,10}(?:the )?(?:final )?answers?[*_ \t]{0,6}$(?=\s+\S)",  # as a heading
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCES = re.compile(r"[.!?:;\n。]")
_NOT_SAID = re.compile(
    r"\b(?:wrong|incorrect|mistaken|false|old|previous|earlier|initial|suppose|supposing|assume|assuming|if|whether|"
    r"unless|check(?: that)?)\b(?:[ \t*_]+(?:that|the|my|your|our|final|first|then))*[ \t*_]*$",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"(?:(?:\bnot|n['’]t|\bnever|\bcannot)[ \t]+(?:\w+[ \t]+)?(?:sure|certain|convinced|think|believe|know|say|claim)|"
    r"\b(?:unsure|uncertain|doubt|doubtful|unlikely|false that|maybe|perhaps|possibly|probably))\b"
    r"(?:(?!\b(?:but|so|and|thus|hence|therefore|since|because)\b)[^,])*$",
    re.IGNORECASE,
)
_BEFORE = 80
"""So far before a mark its sentence is looked at."""
_HASHES = re.compile(r"(?<!#)####(?!#)")
_HEADING = re.compile(r"[ \t]*(?:\*\*)?(?:\d{1,3}[.):][ \t]+\S|[^\W\d_]{2,})")
_FILLER = re.compile(
    r"(?:[ \t]*(?:therefore|thus|simply|just|then|clearly|indeed|hence|given by|equal to|also|as follows|below)\b,?)+"
    r"[ \t]*:?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[\s*_:：`}\"'>]*")
_ANSWER = r"(?:the )?(?:final )?answer(?: is)?"
_PHRASE = re.compile(rf"^(?:[*_ ]*{_ANSWER}[*_ ]*:?[*_ ]*|\\text\s?\{{{_ANSWER}:? ?\}}:?)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<![ .(][a-zA-Z])(?<!\bsq)(?<!\bapprox)[.!?](?=[ \t]+[A-Z\\$*\"“(])|。")
_REASON = re.compile(
    r"[,;]?[ \t]*(?:\(|—|–|--)?[ \t]*\b(?:because|since|which (?:is|means|gives|was|are)|"
    r"as (?:required|desired|needed|expected|we|it|the)|so (?:we|the|that|it|this)|hence|therefore|thus|based on|after|"
    r"according to|i hope|by (?:the|using))\b.*",
    re.IGNORECASE | re.DOTALL,
)
_SENTENCE = re.compile(
    r"[A-Z][a-z]*\b[^\n]*\b(?:is|are|equals|was|were|has|have|be)(?: equal to| exactly)? "
    r"((?:\*\*|\\\(|\$)*[-−]?[\d\\(.$][^\n]{0,60})"
)
_DISPLAYS = (("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)"), ("$", "$"))
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("**", "**"), ("__", "__"), ("`", "`"), (r"\(", r"\)"), (r"\[", r"\]"))
_PROSE = re.compile(r"(?<![\\a-zA-Z])[A-Za-z]{2,}")
_LATEX_WORDS = re.compile(r"\\(?:text|mathrm|begin|end|operatorname)\s?\{[^{}]*\}")
_NAME = re.compile(r"[\s$\\(\[*]*(?:\\?[a-zA-Z]+|[a-zA-Z]\([a-zA-Z]\)|[a-zA-Z]_\{?\w+\}?)\s*")
_BARE_LIMIT = 100
_BARE_WORDS = 3
_LENGTH_LIMIT = 10_000
_PHRASE_REACH = 200_000
"""So far from the end of a text a phrase is looked for; a box has no such limit."""


def extract(response: str) -> str | None:
    """The final answer of ``response``, None if it gives none."""
    text = outside_thinking(response)
    found, answer = marked(text)
    return answer if found else _bare(text)


def marked(text: str, lines: int = 1) -> tuple[bool, str | None]:
    """Whether ``text`` marks an answer, and that answer; ``(True, None)`` is one that was begun but not finished.

    ``lines`` is how many lines an answer takes that no bracket closes.
    """
    if "\\boxed" in text or "\\fbox" in text:
        found, box = _last_box(text)
        if found:
            return True, _clean(box)
    start = text.rfind("<answer>")
    if start >= 0:
        end = text.find("</answer>", start)
        return True, _clean(text[start + len("<answer>") : end] if end >= 0 else None)
    hashes = _after_hashes(text)
    if hashes >= 0:
        return True, _clean(_PHRASE.sub("", _taken(text, hashes, lines)))
    mark = _last_said(text)
    if mark is None:
        return False, None
    if _UNSURE.search(_before(text, mark)):
        return True, None
    answer = _taken(text, _skip(text, mark.end()), lines)
    return True, _clean(answer if lines > 1 else _first_sentence(answer))


def _last_box(text: str) -> tuple[bool, str | None]:
    """The content of the last outermost box; None if that is not closed. Braces are matched in one pass."""
    boxes: list[int] = []  # for each open brace where its content starts if it is a box's, else -1
    open_boxes = 0
    found, last = False, None
    for brace in _SCAN.finditer(text):
        sign = brace.group()
        is_box = len(sign) > 2
        if sign == "{" or is_box:
            boxes.append(brace.end() if is_box else -1)
            open_boxes += is_box
        elif sign == "}" and boxes:
            start = boxes.pop()
            if start >= 0:
                open_boxes -= 1
                if open_boxes == 0:
                    found, last = True, (start, brace.start())
    if open_boxes:
        return True, None
    return found, None if last is None else text[last[0] : min(last[1], last[0] + _LENGTH_LIMIT + 1)]


def _after_hashes(text: str) -> int:
    """Where the answer after the last ``####`` starts, -1 if there is none: ``#### Step 2`` is a heading."""
    place = line_end = -1
    end = len(text.rstrip())
    for mark in _HASHES.finditer(text):
        if line_end < mark.end():
            line_end = text.find("\n", mark.end(), end)
            line_end = end if line_end < 0 else line_end
        if line_end < end and _HEADING.match(text, mark.end(), line_end):
            if _PHRASE.fullmatch(text[mark.end() : line_end].strip()):
                place = line_end
            continue
        place = mark.end()
    return place


def _skip(text: str, start: int) -> int:
    """Past what stands between "answer is" and the answer: spaces, colons, stars, a line break."""
    place = start
    for between in (_BETWEEN, _FILLER, _BETWEEN):
        match = between.match(text, place)
        place = match.end() if match else place
    return place


def _taken(text: str, start: int, lines: int) -> str:
    """From ``start`` to the end of the line (of so many lines), or of the formula that begins there."""
    piece = text[start : start + _LENGTH_LIMIT].lstrip()
    if lines > 1:
        return "\n".join(piece.split("\n", lines)[:lines])
    for opening, closing in _DISPLAYS:
        end = piece.find(closing, len(opening)) if piece.startswith(opening) else -1
        if end >= 0:
            end += len(closing)
            return piece[:end].replace("\n", " ") + piece[end:].partition("\n")[0]
    return piece.partition("\n")[0]


def _first_sentence(line: str) -> str:
    """``\\frac{1}{2}`` of ``$\\frac{1}{2}$ because ...``, ``5`` of ``5. I hope it is correct.``"""
    line = _SENTENCE_END.split(line, maxsplit=1)[0]
    line = _REASON.sub("", line, count=1)
    said = _SENTENCE.fullmatch(line)
    line = said[1] if said else line
    bare = line.rstrip(" *_`")
    if bare.endswith("!") and "$" not in bare and "\\" not in bare:
        return bare[:-1]
    for opening, closing in ("{}", "()", '""'):  # {"answer": "42"} or (Answer: 42)
        odd = bare.count('"') % 2 if opening == closing else bare.count(closing) > bare.count(opening)
        if bare.endswith(closing) and odd:
            bare = line = bare[:-1]
    return line


def _bare(text: str) -> str | None:
    """A response that is nothing but its answer. An equation is working (``12 + 5 = 17``), but ``x = 5`` is not."""
    if len(text) > 10 * _BARE_LIMIT:
        return None
    line = text.strip()
    formula = line.startswith(("\\[", "$$", "\\begin")) and line.endswith(("\\]", "$$", "}"))
    if not line or len(line) > _BARE_LIMIT * (3 if formula else 1) or ("\n" in line and not formula):
        return None
    words = _PROSE.findall(_LATEX_WORDS.sub("", line))
    if len(words) > _BARE_WORDS and not _is_list_of_words(line):
        return None
    left, equals, _ = line.partition("=")
    if equals and _NAME.fullmatch(left) is None:
        return None
    return _clean(line)


def _is_list_of_words(line: str) -> bool:
    return line.count(",") + 1 >= len(line.split()) / 2


def _last_said(text: str) -> re.Match[str] | None:
    """The last mark of an answer that the text means to give: ``the wrong answer is 5`` marks none."""
    last = None
    for match in _MARK.finditer(text, max(0, len(text) - _PHRASE_REACH)):
        if _NOT_SAID.search(_before(text, match)) is None:
            last = match
    return last


def _before(text: str, mark: re.Match[str]) -> str:
    """The part of the sentence before a mark, as far as it matters."""
    return _SENTENCES.split(text[max(0, mark.start() - _BEFORE) : mark.start()])[-1]


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
        for mark in ("**", "__"):
            answer = answer.removesuffix(mark).removeprefix(mark) if answer.count(mark) == 1 else answer
        if answer.startswith(("\\boxed{", "\\fbox{", "\\boxed {", "\\fbox {")) and answer.endswith("}"):
            answer = answer[answer.index("{") + 1 : -1]
    return (_PHRASE.sub("", answer, count=1) or answer).strip() or None
