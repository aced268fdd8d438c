"""Rows of any dataset that the library ``datasets`` can load: of the hub, a folder or a file. No code is ever run.

Local ones are streamed; those of the hub are downloaded once into the cache of ``datasets``, and found there when the
hub cannot be reached. (Scripts that come with a dataset were given up by ``datasets`` itself in 4.0.)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import UsageError
from saidpo_plugins.common.rows import quiet_datasets

_FORMATS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".arrow": "arrow"}
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where rows are: ``where`` is a hub name, or the path of a file or folder."""

    where: str
    configs: tuple[str, ...] = ()
    """Configurations to read, one after the other; those that a local copy does not have are not asked for."""
    revision: str = ""

    @property
    def path(self) -> Path | None:
        """The path of a local one, None for one of the hub."""
        path = Path(os.path.expanduser(self.where))
        looks = self.where.startswith((".", "/", "~")) or self.where.count("/") > 1 or _kind(path) is not None
        return path.resolve() if path.exists() or looks else None


def identity_of(place: Place, split: str, flag: str) -> Any:
    """What tells this copy of the rows from another, as JSON: files with size and time, or the fingerprint that
    ``datasets`` gives them.
    """
    path = place.path
    if path is not None:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path] * path.is_file()
        return [split, [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files]]
    with ExitStack() as stack, _told(place, split, flag):
        stack.enter_context(_quiet(place))
        return [place.where, split, [dataset._fingerprint for dataset in _open(place, split, stack)]]


def rows_of(place: Place, split: str, flag: str) -> Iterator[dict[str, Any]]:
    """Each row as a dictionary; ``flag`` is named in errors."""
    with ExitStack() as stack, _told(place, split, flag):
        stack.enter_context(_quiet(place))
        for dataset in _open(place, split, stack):
            for batch in dataset.iter(batch_size=_BATCH):
                columns = list(batch)
                for cells in zip(*batch.values(), strict=True):
                    yield dict(zip(columns, cells, strict=True))


@contextmanager
def _told(place: Place, split: str, flag: str) -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # datasets, pyarrow and the hub's client have no common ancestor
        raise UsageError(f"{flag}: {_why(place, split, error)}") from error


def _open(place: Place, split: str, stack: ExitStack) -> Iterator[Any]:
    import datasets

    path = place.path
    if path is None:
        for config in place.configs or (None,):
            yield datasets.load_dataset(place.where, config, split=split, revision=place.revision or None)
        return
    if not path.exists():
        raise UsageError(f"{place.where}: no such file or folder")
    # datasets takes a path for a pattern: * or [ in it mean something
    kind = _kind(path)
    plain = Path(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="saidpo-")), "rows" + "".join(path.suffixes[-2:])
    )
    plain.symlink_to(path)
    if path.is_file():
        if kind is None:
            raise UsageError(
                f"{path}: expected a folder, or a file that ends in {', '.join(_FORMATS)} (or .gz after it)"
            )
        extra = {"sep": "\t"} if ".tsv" in path.name.lower()[-7:] else {}
        yield datasets.load_dataset(kind, data_files={"rows": str(plain)}, split="rows", streaming=True, **extra)
    elif (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        saved = datasets.load_from_disk(str(plain))
        yield saved[split] if isinstance(saved, datasets.DatasetDict) else saved
    else:
        known = datasets.get_dataset_config_names(str(plain)) if place.configs else []
        for config in tuple(config for config in place.configs if config in known) or (None,):
            yield datasets.load_dataset(str(plain), config, split=split, streaming=True)


def _kind(path: Path) -> str | None:
    """How ``datasets`` calls the format of a file; None if it is none that we read."""
    name = path.name.lower().removesuffix(".gz")
    return _FORMATS.get(Path(name).suffix)


def _why(place: Place, split: str, error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    if place.path is not None:
        return f"{place.path} (split {split}) cannot be read: {first}"
    if isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ == "OfflineModeIsEnabled":
        return (
            f"the hub cannot be reached for {place.where}, and the cache of datasets does not hold it. Download it "
            f"elsewhere (hf download --repo-type dataset {place.where}) and name the folder in its place"
        )
    return f"{place.where} (split {split}) of the hub cannot be read: {first}"


@contextmanager
def _quiet(place: Place) -> Iterator[None]:
    """No progress bars and no log of ``datasets`` and the hub's client, which retries aloud; without a network, and so
    without waiting for it, if the hub cannot be found.
    """
    from huggingface_hub.utils import logging as hub

    from saidpo_core.models import hub_can_be_found

    level = hub.get_verbosity()
    hub.set_verbosity(50)  # critical
    try:
        with quiet_datasets(offline=place.path is None and not hub_can_be_found()):
            yield
    finally:
        hub.set_verbosity(level)


def first_of(columns: Sequence[str], wanted: Sequence[str]) -> str:
    """The first of ``wanted`` that there is, whatever its case; empty if there is none."""
    known = {column.lower(): column for column in columns}
    return next((known[name.lower()] for name in wanted if name.lower() in known), "")
