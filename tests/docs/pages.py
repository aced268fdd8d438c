"""The pages as the tests see them: blocks of code with their language, file name and mark."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted((DOCS / "reference").rglob("*.md"))]
BESIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w*)(?: title=\"(?P<title>[^\"]*)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code. ``mark`` is the comment right above it: ``not run: why``, ``fails``."""

    page: Path
    line: int
    language: str
    title: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        return not self.mark.startswith("not run")


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, or all of them."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(
            page, text[: m.start("text")].count("\n") + 1, m["language"], m["title"] or "", m["mark"] or "", m["text"]
        )
        for m in _BLOCK.finditer(text)
    ]
    fences = sum(1 for line in text.splitlines() if line.startswith("```"))
    assert fences == 2 * len(found), f"{page}: a block of code that the tests do not see"
    return [block for block in found if not languages or block.language in languages]


def block(page: Path, title: str) -> Block:
    (found,) = [item for item in blocks(page) if item.title == title]
    return found


def commands(block: Block) -> list[list[str]]:
    """The commands of a block, one a line (and between ``&&``), without comments and without where output goes."""
    lines = block.text.replace("\\\n", " ").splitlines()
    words = [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]
    ends = [next((i for i, word in enumerate(command) if word in (">", ">>", "|")), None) for command in words]
    return [command[:end] for command, end in zip(words, ends, strict=True) if command]


def patched(text: str, diff: Block) -> str:
    """The text after the change that a ``diff`` block shows."""
    old, new = ("".join(line[1:] for line in diff.text.splitlines(keepends=True) if line[0] == sign) for sign in "-+")
    assert text.count(old) == 1, f"{diff} does not fit"
    return text.replace(old, new)
