"""Problems on disk as an Arrow file, by the side of a report of how they came about. No component lives here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from saidpo_core import Problem
from saidpo_core.run_dir import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FIELDS = ("id", "question", "answer", "tags", "domain", "group", "extra")
_BATCH = 4096


class ArrowWriter:
    """Writes problems in batches; only ``finish`` makes the file appear, whole, and its report with it."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        text = pa.string()
        self._schema = pa.schema([(name, pa.list_(text) if name == "tags" else text) for name in _FIELDS])
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_suffix(f".{os.getpid()}.tmp")
        self._file = pa.OSFile(str(self._temporary), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, problem: Problem) -> None:
        row = {name: getattr(problem, name) for name in _FIELDS}
        self._rows.append(row | {"extra": json.dumps(dict(problem.extra), ensure_ascii=False) if problem.extra else ""})
        if len(self._rows) == _BATCH:
            self._flush()

    def finish(self, report: Any) -> None:
        self._flush()
        self._close()
        text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
        write_atomically(self._path.with_suffix(".json"), text, shared=True)
        os.replace(self._temporary, self._path)

    def drop(self) -> None:
        """Leave nothing behind."""
        self._close()
        self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if not self._file.closed:
            self._writer.close()
            self._file.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
            self._rows = []


class ArrowProblems(Sequence[Problem]):
    """Rows of such a file, in the order given: memory-mapped, a problem is made when it is asked for."""

    def __init__(self, path: Path, rows: NDArray[np.int64] | None = None) -> None:
        """``rows`` must be ascending; None: all."""
        import numpy as np
        import pyarrow as pa

        self._path = path
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self.rows = np.arange(self._table.num_rows) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, row: int) -> Problem: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Problem, ...]: ...
    def __getitem__(self, row: int | slice) -> Problem | tuple[Problem, ...]:
        found = self.rows[row] if isinstance(row, slice) else self.rows[[range(len(self))[row]]]
        problems = tuple(map(_problem, self._table.take(found).to_pylist()))
        return problems if isinstance(row, slice) else problems[0]

    def __iter__(self) -> Iterator[Problem]:
        for start in range(0, len(self.rows), _BATCH):
            yield from map(_problem, self._table.take(self.rows[start : start + _BATCH]).to_pylist())

    def __reduce__(self) -> Any:
        return ArrowProblems, (self._path, self.rows)


def _problem(row: dict[str, Any]) -> Problem:
    extra = json.loads(row["extra"]) if row["extra"] else {}
    return Problem(**{**row, "tags": tuple(row["tags"]), "extra": extra})
