"""``saidpo --help`` and ``saidpo plugins``: what they show, and that they import nothing heavy for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import saidpo_core
from saidpo_core.hookspecs import KINDS
from tests.command import Saidpo

HEAVY = ("torch", "transformers", "trl", "numpy", "scipy", "sklearn", "datasets", "rich", "sentence_transformers",
         "openai", "math_verify", "sympy", "pydantic", "saidpo_plugins.verifiers.answers",
         "saidpo_plugins.verifiers.sandbox")  # fmt: skip


def test_help_lists_the_kinds_and_the_runs_own_options(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for kind in KINDS:
        assert f"--{kind} NAME" in done.stdout
    for said in ("--rounds integer", "--config FILE", "--run-dir DIR", "[default: kmeans]", "3 nothing to do"):
        assert said in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "shown", "hidden"),
    [
        (["--clusterer=kmeans"], "--clusterer.k ", "--pool.path"),
        (["--clusterer", "kmeans"], "--clusterer.k ", "--pool.path"),
        (["--clusterer=none"], "--pool.size", "--clusterer.k "),
        (["--pool=jsonl"], "--pool.path path or none", "--pool.size"),
        (["run", "--pool=jsonl"], "--pool.path", "--pool.size"),
        (["--config=my.toml"], "--pool.path", "--pool.size"),
        (["--config=my.toml", "--pool=arithmetic"], "--pool.size", "--pool.path"),
    ],
)
def test_help_shows_the_options_of_the_chosen_components(
    tmp_path: Path, saidpo: Saidpo, flags: list[str], shown: str, hidden: str
) -> None:
    (tmp_path / "my.toml").write_text("pool = 'jsonl'\n")
    done = saidpo(*flags, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
    assert hidden not in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["plugins"], ["--clusterer=kmean"], ["--version"], ["compare", "--help"]]
)
def test_nothing_heavy_is_imported_for_it(tmp_path: Path, arguments: list[str]) -> None:
    source = """
import sys
from saidpo_core.cli.entry import main
heavy = sys.argv.pop(1).split(",")
try:
    main()
finally:
    print("heavy:", sorted(name for name in heavy if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", source, ",".join(HEAVY), *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == "heavy: []", done.stderr


def test_version(tmp_path: Path, saidpo: Saidpo) -> None:
    assert saidpo("--version", cwd=tmp_path).stdout == f"saidpo, version {saidpo_core.__version__}\n"


# saidpo plugins


def test_plugins_lists_every_kind_with_one_default(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("plugins", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    stars: dict[str, int] = {}
    kind = ""
    for line in done.stdout.split("\n\n")[0].splitlines()[1:]:
        kind = line.split()[0] if not line.startswith(" ") else kind
        stars[kind] = stars.get(kind, 0) + ("* " in line)
        assert f"saidpo {saidpo_core.__version__}" in line or kind == "policy"
    assert stars == {**dict.fromkeys([*KINDS, "policy"], 1), "observer": 0}


def test_plugins_as_json(tmp_path: Path, saidpo: Saidpo) -> None:
    tree = json.loads(saidpo("plugins", "--json", cwd=tmp_path).stdout)
    assert tree["broken"] == []
    assert {row["kind"] for row in tree["components"]} == set(KINDS)
    for kind in KINDS:
        assert len([row for row in tree["components"] if row["kind"] == kind and row["default"]]) == 1, kind
    for row in tree["components"]:
        assert row["summary"]
        assert row["source"]
        assert (row["distribution"], row["version"]) == ("saidpo", saidpo_core.__version__)
    assert [row["name"] for row in tree["policies"] if row["default"]] == ["embedded"]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of installed third-party packages: one that works and one that does not."""
    folder = tmp_path / "packages"
    sources = {
        "good_neighbour": "from saidpo_core import Component, hookimpl\n\n\n@hookimpl\ndef saidpo_clusterers():\n"
        "    return [Component(name='kmeans', summary='mine [fast]', build=print)]\n",
        "broken_one": "import a_package_that_is_not_there\n",
    }
    for name, source in sources.items():
        info = folder / f"{name}-2.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(f"[saidpo]\n{name} = {name}\n")
    return folder


def test_plugins_of_others_are_listed_and_a_broken_one_on_stderr(
    tmp_path: Path, saidpo: Saidpo, packages: Path
) -> None:
    done = saidpo("plugins", cwd=tmp_path, path=packages)
    assert done.returncode == 0
    assert "good-neighbour 2.0" in done.stdout
    assert "mine [fast]" in done.stdout
    assert done.stderr.startswith(
        "could not be loaded: broken-one 2.0 (broken_one): ModuleNotFoundError: No module named"
    )
    (broken,) = json.loads(saidpo("plugins", "--json", cwd=tmp_path, path=packages).stdout)["broken"]
    assert broken["plugin"] == "broken-one 2.0 (broken_one)"


def test_a_broken_package_and_a_second_kmeans_disturb_no_run(tmp_path: Path, saidpo: Saidpo, packages: Path) -> None:
    done = saidpo("--clusterer=kmeans", "--help", cwd=tmp_path, path=packages)
    assert done.returncode == 0
    assert "--clusterer.k " in done.stdout  # ours
    assert ",good-neighbour/kmeans[default:kmeans]" in "".join(done.stdout.split())  # lines break at dashes too
    theirs = saidpo("--clusterer=good-neighbour/kmeans", "--help", cwd=tmp_path, path=packages)
    assert "--clusterer.k " not in theirs.stdout
    assert theirs.returncode == 0
    unknown = saidpo("--clusterer=hdbscn", cwd=tmp_path, path=packages)
    assert unknown.returncode == 2
    assert "(could not be loaded: broken-one 2.0; see saidpo plugins)" in unknown.stderr
