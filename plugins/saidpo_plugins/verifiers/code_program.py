"""Find the Python program in a response, in time linear in its length, without parsing it as Python (**ours**).

The program is the last fenced block that is marked as Python (```` ```python ````, ``py``, ``python3``). If none is so
marked, it is the last block without a mark; and one without a mark that comes after a marked one replaces it only if
a line of it begins as a statement does, since a block without a mark often shows what the program prints. Blocks of
other languages count for nothing. A response without any fence is taken as a whole: if it is no Python, it fails as
such. What stands in a ``<think>`` block is no program, nor is a block that is never closed: it was not finished.
"""

from __future__ import annotations

import re
from textwrap import dedent

from saidpo_plugins.verifiers.extraction import outside_thinking

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\s`{]*)[^`\n]*$")
_PYTHON = frozenset({"python", "python3", "py"})
_STATEMENT = re.compile(r"^(?:async |class |def |for |from |if |import |print\(|try:|while |with |@)", re.MULTILINE)


def find_program(response: str) -> tuple[str | None, str]:
    """The program, or None and the reason why there is none."""
    text = outside_thinking(response)
    found: str | None = None
    marked = False
    opening, language, lines = "", "", []
    fences = 0
    for line in text.split("\n"):
        fence = _FENCE.match(line.rstrip("\r"))
        if opening:
            closes = fence is not None and not fence[2] and fence[1].startswith(opening)
            if not closes:
                lines.append(line)
                continue
            block = dedent("\n".join(lines))
            if language in _PYTHON:
                found, marked = block, True
            elif not language and (not marked or _STATEMENT.search(block)):
                found = block
            opening = ""
        elif fence is not None:
            opening, language, lines = fence[1], fence[2].lower(), []
            fences += 1
    if opening and (not language or language in _PYTHON):
        return None, "the last code block is not closed"
    if not fences:
        return (text, "") if text.strip() else (None, "the response has no program")
    return found, "" if found is not None else "the response has no block of Python code"
