"""The example packages, built and installed as their users would, under the real command."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest

import saidpo_core
from tests.packaging.conftest import EXAMPLES, FLAGS, Fresh
from tests.tiny import TINY_RUN

CHOSEN = ("--clusterer=spectral", "--clusterer.k=6", "--sampler=thompson", "--sampler.sharpness=2.5")


def test_the_environment_uses_what_was_built(fresh: Fresh, tmp_path: Path) -> None:
    source = "import saidpo_core, saidpo_plugins, saidpo_spectral as s; print(saidpo_core.__file__, s.__file__)"
    paths = fresh.call(str(fresh.python), "-c", source, cwd=tmp_path).stdout.split()
    assert len(paths) == 2
    assert all(path.startswith(str(fresh.folder)) for path in paths)


def test_plugins_shows_them_with_owner_and_version(fresh: Fresh, tmp_path: Path) -> None:
    done = fresh.saidpo("plugins", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name, owner in (("spectral", "saidpo-spectral 0.1.0"), ("thompson", "saidpo-bandit 0.1.0")):
        (line,) = [line for line in done.stdout.splitlines() if f" {name} " in line and owner in line]
        assert "* " not in line
    rows = json.loads(fresh.saidpo("plugins", "--json", cwd=tmp_path).stdout)["components"]
    owners = {(row["distribution"], row["version"]) for row in rows}
    assert owners == {("saidpo", saidpo_core.__version__), ("saidpo-spectral", "0.1.0"), ("saidpo-bandit", "0.1.0")}


def test_help_shows_their_options(fresh: Fresh, tmp_path: Path) -> None:
    shown = fresh.saidpo("--clusterer=spectral", "--sampler=thompson", "--help", cwd=tmp_path).stdout
    for flag in ("--clusterer.k integer", "--clusterer.neighbors integer", "--sampler.sharpness number"):
        assert flag in shown
    refused = fresh.saidpo("--clusterer=spectral", "--clusterer.k=0", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--clusterer.k: must be >= 1" in refused.stderr


def test_a_run_by_flags_and_the_same_one_by_a_file(fresh: Fresh, tmp_path: Path) -> None:
    done = fresh.saidpo(*FLAGS, *CHOSEN, "--run-dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    recorded = tomllib.loads((tmp_path / "run/run.toml").read_text())
    assert recorded["clusterer"] == {"name": "saidpo-spectral/spectral", "k": 6, "neighbors": 10}
    assert recorded["sampler"]["name"] == "saidpo-bandit/thompson"
    assert recorded["about"]["components"]["clusterer"] == "saidpo-spectral/spectral 0.1.0"
    assert "clusters 6," in done.stdout

    (tmp_path / "mine.toml").write_text(
        "[clusterer]\nname = 'spectral'\nk = 6\n[sampler]\nname = 'saidpo-bandit/thompson'\nsharpness = 2.5\n"
    )
    by_file = [*FLAGS, "--config=mine.toml", "--run-dir=run"]
    same, other = fresh.many([by_file, [*by_file, "--clusterer.k=7"]], tmp_path)
    assert same[0] == 3, same  # it is the same run, which is complete
    assert other[0] == 2
    assert "clusterer.k: 6 -> 7" in other[2]


@pytest.mark.slow
def test_a_run_of_theirs_that_was_killed_ends_as_one_that_was_not(fresh: Fresh, tmp_path: Path) -> None:
    flags = (*TINY_RUN, "--embedder=tfidf", *CHOSEN)
    for name in ("whole", "killed"):
        assert fresh.saidpo(*flags, f"--run-dir={name}", cwd=tmp_path).returncode == 0
    # As after a kill in the second round: its stages are gone, and the samplers' memory with the process.
    shutil.rmtree(tmp_path / "killed/round-2")
    os.remove(tmp_path / "killed/summary.json")
    assert fresh.saidpo(*flags, "--run-dir=killed", cwd=tmp_path).returncode == 0
    for file in ("02-weigh/draw.json", "04-pair/pairs.jsonl", "05-train/model/model.safetensors"):
        whole, killed = (tmp_path / name / "round-2" / file for name in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes(), file


def test_their_own_tests_pass(fresh: Fresh, tmp_path: Path) -> None:
    for example in EXAMPLES:
        shutil.copytree(example / "tests", tmp_path / example.name)
    done = fresh.call(str(fresh.python), "-m", "pytest", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
