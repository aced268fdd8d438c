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
    return re.sub(r"\s+", " ", _inline(text)).strip().replace("|", "\\|")


def code_cell(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _inline(text: str) -> str:
    pieces = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)
    return "".join(_code(piece) if piece.startswith("`") else _plain(piece) for piece in pieces)


def _code(piece: str) -> str:
    return f"`{piece.strip('`')}`"


def _plain(piece: str) -> str:
    piece = piece.replace("<", "&lt;")
    return re.sub(r"(?<![*\\])\*(?!\*)", r"\\*", piece)


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
