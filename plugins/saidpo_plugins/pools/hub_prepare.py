"""From rows to an Arrow file of problems: usable, each question once, none of an evaluation set; and the report of it.

No component lives here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from saidpo_core import Problem, UsageError
from saidpo_plugins.common.overlap import WORDS, Seen, digest
from saidpo_plugins.pools.hub_arrow import ArrowWriter
from saidpo_plugins.pools.hub_columns import problem_of
from saidpo_plugins.pools.hub_sources import Source, questions_of

_HELD_OUT = "the held-out split"


def prepare(path: Path, sources: Sequence[Source], split: str, held_out: str, against: Sequence[Source]) -> None:
    """Write ``path`` and, beside it, ``.json``: rows of each source (start, stop), held-out rows, notes for people."""
    seen = Seen()
    sizes = {}
    for source in against:
        questions = list(questions_of(source))
        if not questions:
            raise UsageError(f"{source.flag}: {source.place.where} holds no question")
        sizes[source.name] = len(questions)
        seen.add(questions, source.name)
    writer = ArrowWriter(path)
    try:
        book = _Book(writer, seen)
        held_rows = [0, 0]
        if held_out:
            for source in sources:
                held_rows[1] += book.add(source, held_out, held_out=True)
            sizes[_HELD_OUT] = held_rows[1]
        rows = []
        for source in sources:
            start = book.written
            book.add(source, split)
            rows.append([start, book.written])
        writer.finish({"rows": rows, "held_out": held_rows, "notes": book.notes(sizes)})
    except BaseException:
        writer.drop()
        raise


class _Book:
    """Counts what becomes of the rows."""

    def __init__(self, writer: ArrowWriter, seen: Seen) -> None:
        self.written = 0
        self._writer = writer
        self._seen = seen
        self._questions: set[bytes] = set()
        self._held_out: set[bytes] = set()
        self._lines: list[str] = []
        self._overlaps: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, source: Source, split: str, *, held_out: bool = False) -> int:
        """Go through the rows of a split; how many problems they gave."""
        dropped: Counter[str] = Counter()
        total = tagged = 0
        before = self.written
        for problem in self._problems(source, split, held_out):
            total += 1
            if isinstance(problem, str):
                dropped[problem] += 1
            else:
                self._writer.add(problem)
                self.written += 1
                tagged += bool(problem.tags)
        count = self.written - before
        self._lines.append(_line(f"{source.name}, {split}" if held_out else source.name, total, count, dropped))
        if tagged < count and not held_out:
            self._lines.append(
                f"{source.name}: {count - tagged:,} of its problems carry no tags (--tagger=llm finds some)"
            )
        return count

    def _problems(self, source: Source, split: str, held_out: bool) -> Iterator[Problem | str]:
        prefix = f"{source.name}-{split}" if held_out else source.name
        for number, row in enumerate(source.rows(split)):
            problem = problem_of(row, source.columns, f"{prefix}-{number:07}")
            if isinstance(problem, str):
                yield problem
                continue
            key = digest(problem.question)
            known = self._held_out if held_out else self._questions
            if key in known:
                yield "copies of another question"
                continue
            if held_out:
                self._seen.add([problem.question], _HELD_OUT)
            elif (name := self._seen.find(problem.question)) is not None:
                self._overlaps[name] += 1
                self._examples.setdefault(name, f"{problem.id} ({_short(problem.question)})")
                yield "in an evaluation set"
                continue
            known.add(key)
            yield problem

    def notes(self, sizes: dict[str, int]) -> list[str]:
        lines = list(self._lines)
        for name, size in sizes.items():
            count = self._overlaps[name]
            such = f", such as {self._examples[name]}" if count else ""
            lines.append(
                f"{name} ({size:,} questions): {count:,} dropped from the pool for {WORDS} words in a row in common, "
                f"or as equal{such}"
            )
        return lines


def _line(name: str, total: int, count: int, dropped: Counter[str]) -> str:
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in dropped.most_common())
    return f"{name}: {count:,} problems of {total:,} rows" + (f" (dropped: {reasons})" if reasons else "")


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "..."
