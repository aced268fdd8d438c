"""The datasets that pool ``hub`` was told to read, and how much of each goes into a mix. No component lives here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import UsageError
from saidpo_plugins.common.dataset_rows import Place, first_of, identity_of, rows_of
from saidpo_plugins.pools.hub_columns import READY, Columns

if TYPE_CHECKING:
    from saidpo_plugins.pools.hub import HubOptions

_SPELLED = re.compile(r"(?:(?P<map>[^=/]+)=)?(?P<where>[^@]+?)(?:@(?P<revision>[^:@]+))?(?::(?P<weight>[^:/]*))?")


@dataclass(frozen=True)
class Source:
    """One dataset of the mix."""

    name: str
    flag: str
    place: Place
    columns: Columns
    weight: float | None
    """None: none was said."""
    test_split: str = ""

    def rows(self, split: str) -> Iterator[dict[str, Any]]:
        """Its rows; the first one shows whether the columns are there that are needed."""
        for number, row in enumerate(rows_of(self.place, split, self.flag)):
            if number == 0:
                self._check(list(row))
            yield row

    def identity(self, split: str) -> Any:
        return identity_of(self.place, split, self.flag)

    def _check(self, have: Sequence[str]) -> None:
        listed = f"{self.flag}: {self.place.where} has the columns {', '.join(have)}"
        for option, wanted in (
            ("question", self.columns.question),
            ("answer", (*self.columns.answer, *self.columns.solution)),
        ):
            if not set(wanted) & set(have):
                raise UsageError(f"{listed}; none is called {' or '.join(wanted)}: --pool.{option}=COLUMN")
        missing = [name for name in (*self.columns.extra, *self.columns.only) if name not in have]
        if missing and not self.columns.repo:
            raise UsageError(f"{listed}; there is no {missing[0]}")


def sources_of(options: HubOptions) -> list[Source]:
    """The datasets of ``--pool.dataset``, with what the options say of their columns."""
    if not options.dataset:
        raise UsageError(
            f"--pool=hub needs --pool.dataset=NAME: {', '.join(READY)}, a name of the hub, a file or a folder"
        )
    found = [_source(text, "--pool.dataset", options) for text in options.dataset]
    names: dict[str, int] = {}
    for place, source in enumerate(found):
        count = names[source.name] = names.get(source.name, 0) + 1
        if count > 1:
            found[place] = replace(source, name=f"{source.name}-{count}")
    return found


def evaluation_sets(options: HubOptions) -> list[Source]:
    """What the pool is decontaminated against: the paper's benchmarks by their names, or datasets; of those the split
    ``test``. A file has one split.
    """
    from saidpo_plugins.common.benchmarks import BENCHMARKS

    flag, plain = "--pool.decontaminate", type(options)(dataset=options.dataset)
    found = []
    for text in options.decontaminate:
        if (known := BENCHMARKS.get(text)) is None:
            found.append(_source(text, flag, plain, evaluation=True))
        else:
            place = Place(where=known.path, configs=(known.config,) if known.config else ())
            found.append(Source(text, flag, place, Columns(), None, known.split))
    return found


def questions_of(source: Source) -> Iterator[str]:
    """The questions of an evaluation set, whatever their column is called."""
    wanted = (*source.columns.question, "question", "problem", "prompt", "input")
    column = ""
    for row in rows_of(source.place, source.test_split, source.flag):
        column = column or first_of(list(row), wanted)
        if not column:
            raise UsageError(
                f"{source.flag}: {source.place.where} has the columns {', '.join(row)}; none is called question or "
                "problem"
            )
        if isinstance(row[column], str) and row[column].strip():
            yield row[column]


def _source(text: str, flag: str, options: HubOptions, *, evaluation: bool = False) -> Source:
    match = _SPELLED.fullmatch(text)
    if match is None:
        raise UsageError(f"{flag}: expected [MAP=]WHERE[@REVISION][:WEIGHT], got {text!r}")
    where, weight = match["where"], _weight(match["weight"], text, flag)
    by_repo = {columns.repo.lower(): columns for columns in READY.values()}
    columns = READY.get(match["map"] or where) or by_repo.get(where.lower(), Columns())
    if match["map"] and not columns.name:
        raise UsageError(f"{flag}: there is no map {match['map']!r}, only {', '.join(READY)}")
    if where in READY:
        where = columns.repo
    configs = (options.config,) if options.config else columns.configs
    place = Place(where=where, configs=configs, revision=match["revision"] or "")
    if place.path is None and "/" not in where:
        raise UsageError(f"{flag}: {where!r} is no ready dataset ({', '.join(READY)}), no file and no name of the hub")
    name = Path(where).name if evaluation and place.path else columns.name or Path(where).name.split(".")[0].lower()
    return Source(name, flag, place, _told(columns, options, name), weight, "test")


def _weight(text: str | None, whole: str, flag: str) -> float | None:
    if text is None:
        return None
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise UsageError(f"{flag}: {whole!r}: the weight after the colon has to be a number above 0")
    return weight


def _told(columns: Columns, options: HubOptions, name: str) -> Columns:
    """``columns`` with what the options say instead."""
    only = dict(columns.only)
    for item in options.keep:
        column, _, value = item.partition("=")
        values = only[column][0] if column in only and only[column][1].startswith("not kept") else ()
        only[column] = ((*values, value), f"not kept by --pool.keep={column}")
    return replace(
        columns,
        name=columns.name or name,
        question=(options.question,) if options.question else columns.question,
        answer=(options.answer,) if options.answer else columns.answer,
        solution=() if options.answer else columns.solution,
        tags=options.tags or columns.tags,
        group=options.group or columns.group,
        domain=options.domain,
        extra=options.extra,
        only=only,
    )
