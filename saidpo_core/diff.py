"""``saidpo diff RUN_A RUN_B``: how two runs differ in settings and versions, and where their data parted (**ours**).

Stages are compared by the hashes in their ``stage.json``, so a run of any size takes no time; only the first stage that
differs is read, to name the problem and the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from saidpo_core import codecs
from saidpo_core.errors import readable
from saidpo_core.run_dir import files_of, gone_from, round_of
from saidpo_core.run_record import recorded
from saidpo_core.settings import differences

_SHOWN = 60


@dataclass(frozen=True)
class Diff:
    """All that differs; lists of lines for people."""

    settings: list[str]
    about: list[str]
    """Versions of packages and components, machine, the first policy's files."""
    same: int
    """Stages that are equal before the runs part."""
    parted: str
    """Where: ``round-2/03-explore: ...``; empty if all stages that both have are equal."""
    only: list[str]
    """Stages that one of the runs has not made."""
    gone: list[str]
    """Files that a stage wrote and that are not there any more: of these the hashes alone were compared."""
    rounds: list[tuple[int, float | None, float | None]]
    """Round, balanced held-out accuracy of both."""

    @property
    def equal(self) -> bool:
        return not (self.settings or self.parted or self.only or self.gone)


def diff_runs(a: Path, b: Path) -> Diff:
    """Compare two run directories. Raises ``UsageError`` for a folder that is none."""
    (settings_a, about_a), (settings_b, about_b) = map(recorded, (a, b))
    stages_a, stages_b = _stages(a), _stages(b)
    same, parted, only = 0, "", []
    for name in sorted({*stages_a, *stages_b}, key=_order):
        if name not in stages_a or name not in stages_b:
            only.append(f"{name} is in {a if name in stages_a else b} alone")
        elif not parted:
            if stages_a[name] == stages_b[name]:
                same += 1
            else:
                parted = f"{name}: {_first_difference(a / name, b / name, stages_a[name], stages_b[name])}"
    return Diff(
        settings=differences(settings_a, settings_b),
        about=differences(about_a, about_b),
        same=same,
        parted=parted,
        only=only,
        gone=[f"{path} is missing" for path in dict.fromkeys(_gone(a, stages_a) + _gone(b, stages_b))],
        rounds=_accuracies(a, b),
    )


def as_text(diff: Diff, a: Path, b: Path) -> str:
    """For people; every line says which of the two comes first."""
    parts = [f"{a} -> {b}"]
    parts.append(_section("settings", diff.settings, "the same settings"))
    parts.append(_section("versions and machine", diff.about, "the same versions and machine"))
    if diff.parted:
        parts.append(f"the data part after {diff.same} equal stages:\n  {diff.parted}")
    else:
        parts.append(f"the same data in all {diff.same} stages that both have")
    if diff.only:
        parts.append(_section("not in both", diff.only, ""))
    if diff.gone:
        parts.append(_section("not there any more, compared by hash alone", diff.gone, ""))
    if diff.rounds:
        rows = [
            f"  {'start' if t == 0 else f'round {t}':8} {_percent(x):>6} {_percent(y):>6}" for t, x, y in diff.rounds
        ]
        parts.append("balanced held-out accuracy:\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _section(title: str, lines: list[str], empty: str) -> str:
    return f"{title}:\n" + "\n".join(f"  {line}" for line in lines) if lines else empty


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def _stages(run: Path) -> dict[str, dict[str, str]]:
    """``round-1/01-probe`` -> hash of each of its files."""
    stages = (path.parent for path in run.glob("*/*/stage.json"))
    return {
        str(stage.relative_to(run)): files_of(stage)
        for stage in stages
        if stage.suffix != ".partial" and round_of(stage.parent) is not None
    }


def _gone(run: Path, stages: Mapping[str, Mapping[str, str]]) -> list[Path]:
    return [path for name in sorted(stages, key=_order) for path in gone_from(run / name)]


def _order(stage: str) -> tuple[int, str]:
    folder, _, name = stage.partition("/")
    return (round_of(Path(folder)) or 0, name)


def _first_difference(a: Path, b: Path, files_a: Mapping[str, str], files_b: Mapping[str, str]) -> str:
    for name in sorted({*files_a, *files_b}):
        if files_a.get(name) == files_b.get(name):
            continue
        if not all((folder / name).is_file() for folder, files in ((a, files_a), (b, files_b)) if name in files):
            return f"{name} differs, by its hash: it is not there any more"
        if name.endswith((".jsonl", ".json")):
            # Chunks may be cut otherwise in two runs that hold the same, so lines are compared over all of them.
            pattern = "attempts-*.jsonl" if name.startswith("attempts-") else name
            return _first_row(_rows(a, pattern), _rows(b, pattern), name.partition("-")[0])
        return f"{name} differs"
    return "nothing that can be named"


def _rows(folder: Path, pattern: str) -> Iterator[Any]:
    for path in sorted(folder.glob(pattern)):
        with readable(path):
            text = path.read_text(encoding="utf-8")
            yield from map(json.loads, text.split("\n")[:-1]) if path.suffix == ".jsonl" else [json.loads(text)]


def _first_row(rows_a: Iterator[Any], rows_b: Iterator[Any], what: str) -> str:
    for number, (one, other) in enumerate(zip_longest(rows_a, rows_b), 1):
        if one == other:
            continue
        if one is None or other is None:
            return f"{what}: the {'second' if one is None else 'first'} has more, from row {number} on"
        name = one.get("problem_id") or one.get("id") if isinstance(one, dict) else None
        where, x, y = _first_leaf(one, other)
        at = f"row {number}" + (f" (problem {name})" if name else "")
        return f"{what}, {at}: {where or 'value'}: {_short(x)} -> {_short(y)}"
    return f"{what}: the same rows, cut into other files"


def _first_leaf(one: Any, other: Any, where: str = "") -> tuple[str, Any, Any]:
    """The first place in two JSON values that differs, with what stands there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            if one.get(key) != other.get(key):
                return _first_leaf(one.get(key), other.get(key), f"{where}.{key}" if where else key)
    if isinstance(one, list) and isinstance(other, list):
        for index, (x, y) in enumerate(zip(one, other, strict=False)):
            if x != y:
                return _first_leaf(x, y, f"{where}[{index}]")
        return f"length of {where or 'list'}", len(one), len(other)
    if isinstance(one, str) and isinstance(other, str):
        start = next((i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))
        from_here = max(0, start - 20)
        return f"{where}, character {start}", one[from_here:], other[from_here:]
    return where, one, other


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _accuracies(a: Path, b: Path) -> list[tuple[int, float | None, float | None]]:
    curves: list[list[float | None]] = []
    for run in (a, b):
        file = run / "summary.json"
        if not file.is_file():  # a run that has not measured anything yet
            curves.append([])
            continue
        with readable(file):
            curves.append([row["accuracy_balanced"] for row in codecs.read_json(file)["rounds"]])
    return [(t, x, y) for t, (x, y) in enumerate(zip_longest(*curves))]
