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

from saidpo_core.errors import UsageError
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
    rounds: list[tuple[int, float | None, float | None]]
    """Round, balanced held-out accuracy of both."""

    @property
    def equal(self) -> bool:
        return not (self.settings or self.parted or self.only)


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
    found = {}
    for path in run.glob("*/*/stage.json"):
        if path.parent.suffix == ".partial":
            continue
        try:
            files = json.loads(path.read_text(encoding="utf-8"))["files"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} cannot be read: {error!r}") from error
        found[str(path.parent.relative_to(run))] = files
    return found


def _order(stage: str) -> tuple[int, str]:
    folder, _, name = stage.partition("/")
    return (0 if folder == "start" else int(folder.removeprefix("round-")), name)


def _first_difference(a: Path, b: Path, files_a: Mapping[str, str], files_b: Mapping[str, str]) -> str:
    for name in sorted({*files_a, *files_b}):
        if files_a.get(name) == files_b.get(name):
            continue
        if name.endswith((".jsonl", ".json")):
            # Chunks may be cut otherwise in two runs that hold the same, so lines are compared over all of them.
            pattern = "attempts-*.jsonl" if name.startswith("attempts-") else name
            return _first_row(_rows(a, pattern), _rows(b, pattern), name.partition("-")[0])
        return f"{name} differs"
    return "nothing that can be named"


def _rows(folder: Path, pattern: str) -> Iterator[Any]:
    for path in sorted(folder.glob(pattern)):
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
    curves = []
    for run in (a, b):
        try:
            rows = json.loads((run / "summary.json").read_text(encoding="utf-8"))["rounds"]
            curves.append([row["accuracy_balanced"] for row in rows])
        except (OSError, ValueError, KeyError, TypeError):  # a run that has not measured anything yet
            curves.append([])
    return [(t, x, y) for t, (x, y) in enumerate(zip_longest(*curves))]
