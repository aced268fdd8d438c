"""The studies that ship: each can be planned in every place, and runs shortened."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from saidpo_core.registry import load_registry
from saidpo_core.study.file import read_study
from tests.command import Saidpo

STUDIES = sorted((Path(__file__).parents[2] / "examples" / "studies").glob("*.toml"))
PLACES = [(path, on) for path in STUDIES for on in tomllib.loads(path.read_text())["on"]]


@pytest.mark.parametrize(("path", "on"), PLACES, ids=lambda item: getattr(item, "stem", item))
def test_it_can_be_planned(path: Path, on: str, tmp_path: Path) -> None:
    study = read_study(load_registry(), path, on, tmp_path)
    assert len(study.jobs) == len(study.arms) * len(study.bases) * len(study.seeds)
    assert {"embedded", "short", "real"} <= set(tomllib.loads(path.read_text())["on"])
    assert study.texts["question"].endswith("?")
    if on == "embedded":
        assert len(study.seeds) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_runs_shortened(path: Path, tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("study", str(path), "--on=short", "--out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out/study.json").read_text())
    assert result["runs"]["finished"] == result["runs"]["planned"] > 1
    assert all(arm["tokens"] > 0 for arm in result["arms"].values())
