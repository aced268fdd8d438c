"""Pool ``hub``: any dataset that ``datasets`` can load, of the hub or of this disk; several in a mix (**ours**).

A dataset is named ``[MAP=]WHERE[@REVISION][:WEIGHT]``: ``gsm8k``, ``math:2``, ``gsm8k=./my-copy``, ``./mine.parquet``,
``owner/name@1a2b3c``. Maps say which columns are what; there are ready ones (``hub_columns.py``), and the options say
it for any other dataset. With a weight anywhere, the mix is the largest in these proportions (1 where none is said).

Rows without a use (proofs, no answer, a choice without its choices, ...) are dropped and counted; so are questions that
came before, and those that are in, or overlap with, an evaluation set (``overlap.py``). What is left goes into an Arrow
file in the cache, which the next run with the same data finds; all that was dropped is told in the notes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import Component, Pool, ProblemSets, SaidpoError, Trial, UsageError, hookimpl, option
from saidpo_plugins.common.later import later

if TYPE_CHECKING:
    import numpy as np

    from saidpo_plugins.pools.hub_sources import Source

_VERSION = 1  # raise it with any change to what becomes of a row: it is part of the cache's keys


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    dataset: tuple[str, ...] = option(
        (), "what to load (required): gsm8k, math:2, gsm8k=FOLDER, FILE, owner/name@REVISION:WEIGHT; several make a mix"
    )
    split: str = option("train", "the split to train on; a file has but one")
    config: str = option("", "the configuration of the dataset (default: the map's, else the only one)")
    question: str = option("", "column of the question (default: the map's; else question, problem or prompt)")
    answer: str = option("", "column of the gold answer (default: the map's; else answer, or a box in solution)")
    tags: tuple[str, ...] = option((), "columns of knowledge points (default: the map's; else tags)")
    group: str = option("", "column that held-out accuracy is reported over (default: the map's; else the dataset)")
    domain: str = option("math", "which kind of verifier judges the responses")
    extra: tuple[str, ...] = option((), "columns to keep in Problem.extra, such as tests")
    keep: tuple[str, ...] = option((), "keep only rows with this value: COLUMN=VALUE; several of a column: any of them")
    held_out: int | float | str = option(
        200, "to measure with: so many problems (at most a tenth), a share such as 0.02, or a split such as test", low=0
    )
    decontaminate: tuple[str, ...] = option(
        (), "evaluation sets, named as datasets are: what overlaps with their questions is dropped from the pool"
    )
    size: int = option(0, "at most so many problems, chosen at random; 0: all", low=0)
    cache: Path | None = option(
        None, "folder of prepared problems (default: $SAIDPO_CACHE/pools or ~/.cache/saidpo/pools)"
    )

    def __post_init__(self) -> None:
        if isinstance(self.held_out, float) and not self.held_out < 1:
            raise UsageError(f"pool.held_out: expected a whole number, a share below 1 or a split, got {self.held_out}")
        for item in self.keep:
            if "=" not in item:
                raise UsageError(f"pool.keep: expected COLUMN=VALUE, got {item!r}")


class Hub:
    def __init__(self, options: HubOptions) -> None:
        self.options = options

    def load(self, rng: np.random.Generator) -> ProblemSets:
        import numpy as np

        from saidpo_plugins.pools.hub_arrow import ArrowProblems
        from saidpo_plugins.pools.hub_sizes import mix_sizes
        from saidpo_plugins.pools.hub_sources import sources_of

        sources = sources_of(self.options)
        path = self._prepared(sources)
        report = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        notes = list(report["notes"])
        of_source = [np.arange(start, stop) for start, stop in report["rows"]]
        held_rows = np.arange(*report["held_out"])
        if not len(held_rows) and self.options.held_out and not isinstance(self.options.held_out, str):
            held_rows, note = _set_aside(of_source, self.options.held_out, rng)
            of_source = [rows[~np.isin(rows, held_rows)] for rows in of_source]
            notes.append(note)
        sizes = mix_sizes([len(rows) for rows in of_source], [s.weight for s in sources], self.options.size)
        chosen = [
            rows if size == len(rows) else np.sort(rng.choice(rows, size=size, replace=False))
            for rows, size in zip(of_source, sizes, strict=True)
        ]
        if sizes != [len(rows) for rows in of_source]:
            parts = (f"{size:,} of {s.name}" for size, s in zip(sizes, sources, strict=True))
            notes.append(f"the pool takes, chosen at random: {', '.join(parts)}")
        pool = ArrowProblems(path, np.concatenate(chosen))
        if not len(pool):
            raise UsageError(f"--pool.dataset: no problem is left to train on: {'; '.join(notes)}")
        return ProblemSets(problems=pool, held_out=tuple(ArrowProblems(path, held_rows)), notes=tuple(notes))

    def _prepared(self, sources: list[Source]) -> Path:
        """The Arrow file of all usable problems, made unless the same data were prepared before."""
        import hashlib

        from saidpo_core.prepare import cache_folder
        from saidpo_plugins.pools.hub_prepare import prepare
        from saidpo_plugins.pools.hub_sources import evaluation_sets

        options = self.options
        held_out = options.held_out if isinstance(options.held_out, str) else ""
        against = evaluation_sets(options)
        identities = [[repr(s.columns), s.name, s.identity(options.split)] for s in sources]
        identities += [[s.name, s.identity(s.test_split)] for s in against]
        identities += [s.identity(held_out) for s in sources if held_out]
        key = hashlib.sha256(json.dumps([_VERSION, identities]).encode()).hexdigest()[:24]
        folder = Path(os.path.expanduser(options.cache)) if options.cache else cache_folder() / "pools"
        path = folder / f"{key}.arrow"
        try:
            if not path.is_file():
                prepare(path, sources, options.split, held_out, against)
        except OSError as error:
            raise SaidpoError(
                f"--pool=hub: {path.parent}: the problems cannot be kept there: {error}; name a folder with room: "
                "--pool.cache=DIR"
            ) from error
        return path


def _set_aside(of_source: list[Any], wanted: int | float, rng: np.random.Generator) -> tuple[Any, str]:
    """Rows to measure with, at most a tenth of all."""
    import numpy as np

    rows = np.concatenate(of_source)
    count = round(wanted * len(rows)) if isinstance(wanted, float) else min(wanted, len(rows) // 10)
    found = np.sort(rng.choice(rows, size=count, replace=False))
    return found, f"{len(found):,} of {len(rows):,} problems were set aside at random to measure with"


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """A file in the shape of GSM8K, three dozen problems."""
    rows = ({"question": f"What is {i} + 1?", "answer": f"{i} + 1 = {i + 1}\n#### {i + 1}"} for i in range(36))
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield Trial(options={"dataset": [f"gsm8k={path}"], "cache": str(folder / "cache")})


@hookimpl
def saidpo_pools() -> list[Component[Pool]]:
    return [
        Component(
            name="hub",
            summary="datasets of the Hugging Face hub or of this disk, mixed, deduplicated, decontaminated",
            options=HubOptions,
            build=Hub,
            plan=later("saidpo_plugins.pools.hub_sizes", "plan_hub"),
            trial=_trial,
        )
    ]
