"""Markdown for ``generate.py``: docstrings as prose or as a cell of a table, code, tables."""

from __future__ import annotations

import re
from collections.abc import Sequence


def markdown(doc: str) -> str:
    """A docstring as Markdown: ``code`` in single backticks, nothing of it taken for HTML or emphasis by mistake.

    Indented blocks stay as they are: they are code in Markdown too.
    """
    paragraphs = doc.split("\n\n")
    return "\n\n".join(item if item.startswith("    ") else _inline(item) for item in paragraphs)


def cell(text: str) -> str:
    """The same in one line, for a table."""
    line = re.sub(r"\s+", " ", _inline(text)).strip()
    return re.sub(r"`([^`]*\|[^`]*)`", lambda found: code_cell(found[1]), line).replace("|", "&#124;")


def code_cell(text: str) -> str:
    """Code for a table. Not between backticks if it holds a ``|``: renderers differ in how that is escaped there."""
    if "|" in text:
        return f"<code>{text.replace('<', '&lt;').replace('|', '&#124;')}</code>"
    return f"`{text}`" if text else ""


def _inline(text: str) -> str:
    pieces = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)
    return "".join(_code(piece) if piece.startswith("`") else _plain(piece) for piece in pieces)


def _code(piece: str) -> str:
    return f"`{piece.strip('`')}`"


def _plain(piece: str) -> str:
    """Stars that are neither of a list nor of bold text are escaped."""
    stars = re.compile(r"^ *\* |\*\*|\\\*|\*", re.MULTILINE)
    return stars.sub(lambda found: "\\*" if found[0] == "*" else found[0], piece.replace("<", "&lt;"))


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
