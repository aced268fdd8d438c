"""The pool on disk, one JSON object a line. A problem is made when it is asked for, so a million of them fit anywhere.

What has to be known of all problems at once (ids, groups, domains) is an ``Outline``, made in one pass.
"""

from __future__ import annotations

import json
import mmap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from saidpo_core.codecs import problem_from_json, read_lines
from saidpo_core.records import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ProblemFile(Sequence[Problem]):
    """The problems of a file, as a sequence; equal rows give equal problems, a new one each time.

    In memory is where each line starts: 8 bytes a problem. The file must not be empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._starts = _line_starts(self._data)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, row: int) -> Problem: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Problem, ...]: ...
    def __getitem__(self, row: int | slice) -> Problem | tuple[Problem, ...]:
        if isinstance(row, slice):
            return tuple(self[i] for i in range(*row.indices(len(self))))
        i = range(len(self))[row]  # negative rows, IndexError
        return problem_from_json(json.loads(self._data[self._starts[i] : self._starts[i + 1]]))

    def __iter__(self) -> Iterator[Problem]:
        return read_lines(self.path, problem_from_json)

    def __reduce__(self) -> Any:
        return ProblemFile, (self.path,)


class Joined(Sequence[Problem]):
    """Sequences of problems as one, without a copy."""

    def __init__(self, *parts: Sequence[Problem]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, row: int) -> Problem: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Problem, ...]: ...
    def __getitem__(self, row: int | slice) -> Problem | tuple[Problem, ...]:
        if isinstance(row, slice):
            return tuple(self[i] for i in range(*row.indices(len(self))))
        i = range(len(self))[row]
        for part in self._parts:
            if i < len(part):
                return part[i]
            i -= len(part)
        raise IndexError(row)

    def __iter__(self) -> Iterator[Problem]:
        return chain.from_iterable(self._parts)


def _line_starts(data: mmap.mmap) -> NDArray[np.int64]:
    """[lines + 1]: where each line starts, and the end of the file."""
    import numpy as np

    step = 2**26
    whole = np.frombuffer(data, dtype=np.uint8)
    ends = [np.flatnonzero(whole[start : start + step] == ord("\n")) + start for start in range(0, len(whole), step)]
    return np.concatenate([np.array([-1]), *ends]) + 1


@dataclass(frozen=True)
class Outline:
    """What of the problems of a pool is needed of all of them at once."""

    row: dict[str, int]
    """Problem id -> row in the pool, in the order of the pool."""
    groups: dict[str, int]
    """Problems in each reporting group."""
    domains: frozenset[str]

    @cached_property
    def ids(self) -> list[str]:
        return list(self.row)


def outline_of(problems: Sequence[Problem]) -> Outline:
    row: dict[str, int] = {}
    groups: Counter[str] = Counter()
    domains: set[str] = set()
    for place, problem in enumerate(problems):
        row[problem.id] = place
        groups[problem.group or problem.domain] += 1
        domains.add(problem.domain)
    return Outline(row, groups, frozenset(domains))
