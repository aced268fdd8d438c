"""The page of results says what the stored results say, and each comes from a study that ships."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from saidpo_core.registry import load_registry
from saidpo_core.study import analysis
from saidpo_core.study.file import read_study
from saidpo_core.study.tables import sentences
from tests.docs.pages import DOCS, ROOT

STORED = sorted((DOCS / "results").glob("*.json"))


def result(path: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return tree


def test_the_committed_pages_are_those_that_the_script_writes(tmp_path: Path) -> None:
    written, readme = tmp_path / "results.md", tmp_path / "README.md"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    readme.write_text(
        re.sub(r"(<!-- (?:result|imbalance): [\w -]+ -->\n).*?(<!-- end -->)", r"\1\2", text, flags=re.DOTALL)
    )
    assert "corrected for 3 comparisons" not in readme.read_text()
    command = [sys.executable, str(DOCS / "results.py"), "--out", str(written), "--readme", str(readme)]
    subprocess.run(command, cwd=tmp_path, check=True)
    committed = (DOCS / "results.md").read_text(encoding="utf-8")
    assert written.read_text(encoding="utf-8") == committed, "docs/results.md is old: python docs/results.py"
    assert readme.read_text(encoding="utf-8") == text, "README.md is old: python docs/results.py"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_result_is_of_a_study_that_ships_and_is_complete(path: Path, tmp_path: Path) -> None:
    found = result(path)
    said = re.fullmatch(r"saidpo study (examples/studies/[\w-]+\.toml) --on=([\w-]+)", found["command"])
    assert said is not None, found["command"]
    study = read_study(load_registry(), ROOT / said[1], said[2], tmp_path)
    assert found["runs"] == {"planned": len(study.jobs), "finished": len(study.jobs)}
    assert (found["reference"], found["score"]) == (study.reference, study.score)
    assert (found["bases"], found["seeds"]) == (list(study.bases), list(study.seeds))
    common, own = json.loads(json.dumps(analysis.settings_of(study)))
    assert found["settings"] == common, "the study's file was changed since"
    assert {name: arm["settings"] for name, arm in found["arms"].items()} == own, "the study's file was changed since"


def test_the_page_tells_every_tested_difference() -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    told = set(re.findall(r"<!-- study: ([\w-]+) -->", (DOCS / "templates/results.md").read_text(encoding="utf-8")))
    assert {"table1-three-bases", "table3-three-bases"} <= told
    for path in STORED:
        if path.stem in told:
            assert all(f"- {sentence}" in page for sentence in sentences(result(path)))


def test_a_folder_without_a_result_is_named(tmp_path: Path) -> None:
    command = [sys.executable, str(DOCS / "results.py"), str(tmp_path), "--out", str(tmp_path / "page.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{tmp_path}: no study.json there" in done.stderr
    assert not (tmp_path / "page.md").exists()
