"""All labelled cases through the real command. The labels follow ``docs/verifying.md``, which is the policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CLASSES = {
    *("integers", "rationals", "decimals", "scientific", "percent", "mixed-numbers", "thousands", "money", "degrees"),
    *("units", "sets", "tuples", "intervals", "matrices", "choices", "words", "unicode", "symbolic", "equations"),
    *("inequalities", "ratios", "times", "complex", "bases", "combinatorics", "infinity", "empty", "plus-minus"),
    *("hedges", "approximation", "latex", "extraction", "thinking", "gold-forms", "unreadable-gold"),
}


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a file; a response may be given as pieces with how often they are repeated."""
    rows = [json.loads(line) for line in (HERE / name).open(encoding="utf-8")]
    for row in rows:
        if isinstance(row["response"], list):
            row["response"] = "".join(piece * count for piece, count in row["response"])
    return rows


def verdicts(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    source, target = folder / "cases.jsonl", folder / "verdicts.jsonl"
    lines = (json.dumps({key: row[key] for key in ("id", "gold", "response")}) for row in rows)
    source.write_text("".join(line + "\n" for line in lines))
    watched = [sys.executable, "-m", "tests.memory", str(folder.parent / f"{folder.name}.peak")]
    command = [*watched, sys.executable, "-m", "saidpo_core.cli", "verify", "--verifier=math"]
    done = subprocess.run(
        [*command, "--in", str(source), "--out", str(target)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *sys.path])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = [json.loads(line) for line in target.open(encoding="utf-8")]
    assert [item["id"] for item in found] == [row["id"] for row in rows]
    return found


def test_every_class_has_cases_of_both_kinds() -> None:
    rows = cases("maths.jsonl")
    assert len(rows) >= 300
    assert len({row["id"] for row in rows}) == len(rows)
    kinds = Counter((row["class"], row["verdict"]) for row in rows)
    assert {row["class"] for row in rows} == CLASSES
    for name in CLASSES - {"hedges", "latex", "unreadable-gold"}:
        assert kinds[name, "right"], name
        assert kinds[name, "wrong"], name


def test_maths(tmp_path: Path) -> None:
    rows = cases("maths.jsonl")
    found = verdicts(rows, tmp_path)
    mistaken = [(row, item) for row, item in zip(rows, found, strict=True) if item["verdict"] != row["verdict"]]
    assert mistaken == []
    assert all(item["reason"] for item in found if item["verdict"] == "unverifiable")


@pytest.mark.slow
def test_hostile(tmp_path: Path) -> None:
    """No crash, no hang, nothing executed, no verdict later than 3 s, no process with more than 1.5 GB."""
    rows = cases("hostile.jsonl")
    assert len(rows) >= 100
    found = verdicts(rows, tmp_path)
    assert [(r["id"], f) for r, f in zip(rows, found, strict=True) if f["verdict"] not in r["verdicts"]] == []
    assert max(item["seconds"] for item in found) <= 3
    assert [item for item in found if item["reason"].startswith("the comparison failed")] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.jsonl", "verdicts.jsonl"]
    assert 1e7 < int((tmp_path.parent / f"{tmp_path.name}.peak").read_text()) < 1.5e9
