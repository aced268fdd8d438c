"""The paper's eight benchmarks: where they are on the hub, and which columns hold question and gold answer.

A benchmark comes from a file of one's own if there is one, else from the hub through ``datasets``. Columns are those of
the hub's data sets and of the files that Qwen2.5-Math's evaluation uses; the first that a row has is taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import Problem, UsageError
from saidpo_core.models import hub_can_be_found
from saidpo_plugins.common.gold import last_box
from saidpo_plugins.common.rows import quiet_datasets, rows_of

_QUESTION = ("question", "problem", "Question", "Problem")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Where a benchmark is, and what its columns mean."""

    name: str
    path: str
    """Of the data set on the hub."""
    split: str
    config: str | None = None
    gold: Callable[[dict[str, Any]], str]
    """The gold answer of a row; empty if it has none."""
    solution: tuple[str, ...] = ("solution",)
    """Columns with a worked solution, which tells how long answers are."""
    size: int
    """Problems in the whole set, as far as the literature counts them."""
    also: str = ""
    """Another name of its file, as in Qwen2.5-Math's evaluation."""


def _text(value: Any) -> str:
    """A cell as text: lists with commas (several answers), whole floats as the integers that they mean."""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _answer(row: dict[str, Any]) -> str:
    """The column ``answer``, else the last box of the solution."""
    found = next((_text(row[key]) for key in ("answer", "Answer", "final_answer") if _text(row.get(key))), "")
    return found or last_box(_text(row.get("solution", row.get("Solution"))))


def _after_hashes(row: dict[str, Any]) -> str:
    """GSM8K: the last line of its solution is ``#### 1,234``."""
    _, hashes, found = _text(row.get("answer")).rpartition("####")
    return found.strip() if hashes else ""


def _integer(row: dict[str, Any]) -> str:
    """AIME: an integer from 0 to 999, written ``033`` in some copies and in a box in others."""
    found = _answer(row)
    found = last_box(found) or found
    return str(int(found)) if found.isdecimal() else ""


def _olympiad(row: dict[str, Any]) -> str:
    """OlympiadBench: a list ``final_answer``; the unit in a column of its own goes with a single answer."""
    answers = row.get("final_answer")
    found = _text(answers).replace("$", "")
    unit = _text(row.get("unit")).strip("$ ")
    several = row.get("is_multiple_answer") or (isinstance(answers, list) and len(answers) > 1)
    return f"{found} {unit}" if found and unit and not several else found


_EIGHT = (
    Benchmark(
        name="gsm8k",
        path="openai/gsm8k",
        config="main",
        split="test",
        gold=_after_hashes,
        solution=("answer",),
        size=1319,
    ),
    Benchmark(name="math500", path="HuggingFaceH4/MATH-500", split="test", gold=_answer, size=500, also="math_oai"),
    Benchmark(name="minerva", path="math-ai/minervamath", split="test", gold=_answer, size=272, also="minerva_math"),
    Benchmark(
        name="gaokao2023en", path="MARIO-Math-Reasoning/Gaokao2023-Math-En", split="train", gold=_answer, size=385
    ),
    Benchmark(
        name="olympiadbench",
        path="Hothan/OlympiadBench",
        config="OE_TO_maths_en_COMP",
        split="train",
        gold=_olympiad,
        size=674,
    ),
    Benchmark(
        name="collegemath",
        path="di-zhang-fdu/College_Math_Test",
        split="test",
        gold=_answer,
        size=2818,
        also="college_math",
    ),
    Benchmark(name="aime24", path="math-ai/aime24", split="test", gold=_integer, size=30),
    Benchmark(name="amc23", path="math-ai/amc23", split="test", gold=_answer, size=40),
)
BENCHMARKS: dict[str, Benchmark] = {item.name: item for item in _EIGHT}
"""The eight of the paper, as its experiments name them."""

_OWN = Benchmark(name="", path="", split="", gold=lambda row: _after_hashes(row) or _answer(row), size=0)


def load_benchmarks(names: Sequence[str], files: Path | None) -> list[Problem]:
    """The problems of ``names``; without any, of all files in the folder ``files``, and without that of all eight.

    Group and id of a problem begin with the benchmark's name; ``extra["source"]`` says where it was read. Raises one
    ``UsageError`` about all that is missing, and where to put it.
    """
    places = _files_in(files) if files is not None else {}
    names = tuple(dict.fromkeys(names)) or tuple(places) or tuple(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS and name not in places]
    if unknown:
        where = f", nor a file of that name in {files}" if files is not None else ""
        raise UsageError(f"no benchmark {', '.join(unknown)}{where}; there are {', '.join((*BENCHMARKS, *places))}")
    problems: list[Problem] = []
    missing: list[str] = []
    offline = any(name not in places for name in names) and not hub_can_be_found()
    for name in names:
        try:
            problems += from_file(name, places[name]) if name in places else from_hub(BENCHMARKS[name], offline=offline)
        except _NotHere as error:
            missing.append(str(error))
            offline = offline or isinstance(error.__cause__, ConnectionError)  # each try takes half a minute
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(names)} benchmarks are not here, and the hub "
            + ("cannot be reached:\n  " if offline else "did not give them:\n  ")
            + "\n  ".join(missing)
            + "\nWhere there is a network, run what stands behind each name; put the files into a folder here, and give"
            " --evaluator.files=FOLDER (saidpo eval: --files)"
        )
    return problems


class _NotHere(Exception):
    """The benchmark could not be fetched; how to get it."""


def _files_in(folder: Path) -> dict[str, Path]:
    """Benchmark -> file: ``NAME.jsonl``, ``NAME.jsonl.gz``, ``NAME.parquet``, or ``NAME/test.jsonl`` and so on."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; expected one with files such as aime24.jsonl or aime24.parquet")
    known = {item.also: item.name for item in BENCHMARKS.values() if item.also}
    found: dict[str, Path] = {}
    for ending in (".jsonl", ".jsonl.gz", ".parquet"):
        for path in sorted([*folder.glob(f"*{ending}"), *folder.glob(f"*/test{ending}")]):
            own = path.parent.name if path.parent != folder else path.name.removesuffix(ending)
            name = known.get(own, own)
            if name in found:
                raise UsageError(f"{path}: {found[name]} is {name} already; keep one of them")
            found[name] = path
    if not found:
        raise UsageError(f"{folder}: holds no .jsonl, .jsonl.gz or .parquet file; expected such as aime24.jsonl")
    return dict(sorted(found.items(), key=lambda item: ([*BENCHMARKS, item[0]].index(item[0]), item[0])))


def from_file(name: str, path: Path) -> list[Problem]:
    """The problems of one file, which may be one of the eight or of one's own with question and answer."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _problems(BENCHMARKS.get(name, _OWN), name, rows_of(path), f"{path.name}, sha256 {digest[:16]}")


def from_hub(benchmark: Benchmark, *, offline: bool = False) -> list[Problem]:
    """The problems of one of the eight, through ``datasets``; from its cache if ``offline``, or if nothing is newer."""
    import datasets

    with quiet_datasets(offline=offline):
        try:
            table = datasets.load_dataset(benchmark.path, benchmark.config, split=benchmark.split)
        except Exception as error:  # datasets, the hub's client and the network raise dozens of kinds
            why = "" if isinstance(error, ConnectionError) else f"   # {_why(error)}"
            raise _NotHere(f"{benchmark.name}: {_how_to_fetch(benchmark)}{why}") from error
        batches = table.with_format("arrow").iter(batch_size=1000)
        rows = [row for batch in batches for row in batch.to_pylist()]
    where = f"{benchmark.path}, {benchmark.split}"
    source = f"hub {where}, revision {_revision(table)}"
    return _problems(benchmark, benchmark.name, ((f"{where}, row {n}", row) for n, row in enumerate(rows, 1)), source)


def _revision(table: Any) -> str:
    """The commit that ``datasets`` read, which stands in the addresses of what it downloaded."""
    for address in table.info.download_checksums or {}:
        _, at, rest = address.partition("@")
        if at and len(rest) >= 40:
            return str(rest[:40])
    return "unknown"


def _how_to_fetch(benchmark: Benchmark) -> str:
    config = f"{benchmark.config!r}, " if benchmark.config else ""
    load = f"load_dataset({benchmark.path!r}, {config}split={benchmark.split!r})"
    return f"python -c \"from datasets import load_dataset; {load}.to_json('{benchmark.name}.jsonl')\""


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]:.100}"


def _problems(benchmark: Benchmark, name: str, rows: Iterator[tuple[str, Any]], source: str) -> list[Problem]:
    found = []
    for number, (where, row) in enumerate(rows):
        if not isinstance(row, dict):
            raise UsageError(f"{where}: expected a JSON object with a question and an answer")
        question = next((_text(row[key]) for key in _QUESTION if _text(row.get(key))), "")
        context = _text(row.get("context"))
        answer = benchmark.gold(row)
        for what, text in (("question", question), ("gold answer", answer)):
            if not text:
                raise UsageError(f"{where}: no {what} of {name} in the columns {', '.join(map(str, row))}")
        worked = next((_text(row[key]) for key in benchmark.solution if _text(row.get(key))), "")
        extra = {"source": source, **({"solution": worked} if worked and worked != answer else {})}
        question = f"{context}\n\n{question}" if context else question
        found.append(Problem(id=f"{name}/{number:04}", question=question, answer=answer, group=name, extra=extra))
    if not found:
        raise UsageError(f"{name} ({source}): holds no problem")
    return found


def content_hash(problems: Sequence[Problem]) -> str:
    """SHA-256 of questions and gold answers: the same problems have the same, wherever they were read."""
    rows = [[problem.question, problem.answer] for problem in problems]
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()
