"""Rows of a file of data, each with its place for errors: ``.jsonl``, ``.jsonl.gz``, ``.parquet``."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from saidpo_core import UsageError


def rows_of(path: Path) -> Iterator[tuple[str, Any]]:
    """Where (``FILE:LINE``, or the row of a Parquet file) and what: whatever JSON says there, not only objects."""
    yield from _parquet_rows(path) if path.suffix.lower() == ".parquet" else _json_rows(path)


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Where and what: each line that is not blank, as JSON."""
    import gzip

    number = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                where = f"{path}:{number}"
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")  # byte order mark
                if line.strip():
                    yield where, _parsed(line, where)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}:{number + 1}: cannot be read: {error}") from error


def _parsed(line: bytes, where: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(line.decode(), parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 (byte {error.start + 1} of the line)") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: broken JSON ({error}); expected one JSON object a line") from error


def _parquet_rows(path: Path) -> list[tuple[str, Any]]:
    """Where and what: each row as a dictionary. Cells are not decoded (no images, no audio)."""
    import tempfile

    import datasets

    try:
        with quiet_datasets(), tempfile.TemporaryDirectory(prefix="saidpo-") as folder:
            plain = Path(folder, "pool.parquet")  # datasets takes a path for a pattern: * or [ in it mean something
            plain.symlink_to(path.resolve())
            table = datasets.Dataset.from_parquet(str(plain), cache_dir=folder, keep_in_memory=True, batch_size=1000)
            batches = table.with_format("arrow").iter(batch_size=1000)
            rows = [row for batch in batches for row in batch.to_pylist()]
    except Exception as error:  # datasets and pyarrow raise dozens of kinds for a broken file
        why = (str(error.__cause__ or error).splitlines() or [""])[0]
        raise UsageError(f"{path}: no problem can be read from this Parquet file: {why}") from error
    return [(f"{path}, row {number}", row) for number, row in enumerate(rows, start=1)]


@contextmanager
def quiet_datasets(*, offline: bool = False) -> Iterator[None]:
    """``datasets`` without its progress bars and log, and without the network if ``offline``; as it was afterwards."""
    import datasets

    silent, verbosity = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    was_offline = datasets.config.HF_HUB_OFFLINE
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.config.HF_HUB_OFFLINE = offline or was_offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = was_offline
        datasets.logging.set_verbosity(verbosity)
        if not silent:
            datasets.enable_progress_bars()
