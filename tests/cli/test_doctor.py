"""``saidpo doctor``: the real command on this machine, whole and with packages that are broken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from saidpo_core.doctor.facts import extra_facts, unwritable
from tests.command import Saidpo


def package(folder: Path, name: str, code: str) -> None:
    """A package that hides the installed one of its name."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)


def test_it_says_what_is_here_and_ends_well(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("This machine", "cores", "Packages", "torch 2.", "Extras", "verifier/code", "in all", "KV cache"):
        assert said in done.stdout
    assert "The default run works here: saidpo" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_json_holds_the_same_and_the_plan_of_the_run_that_is_named(tmp_path: Path, saidpo: Saidpo) -> None:
    flags = ("--model=Qwen/Qwen2.5-Math-7B", "--plan-for=1x24GB", "--rounds=5")
    done = saidpo("doctor", "--json", "--full", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["default_run"] == {"works": True, "problems": []}
    assert facts["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert facts["imports"]["torch"]["state"] == "imports"
    assert facts["plan"]["model"]["parameters"] == 7_615_616_512
    assert (facts["plan"]["rounds"], facts["plan"]["machine"]["devices"]) == (5, 1)
    assert any("training needs" in problem for problem in facts["plan"]["problems"])
    said = {f"{row['kind']}/{row['name']}": row for row in facts["components"]}
    assert said["verifier/code"]["works"] in (True, False)
    assert said["verifier/code"]["says"]
    assert {row["name"] for row in facts["extras"]} >= {"code", "hdbscan", "openai"}


@pytest.mark.slow
def test_a_broken_package_is_reported_and_no_traceback(tmp_path: Path, saidpo: Saidpo) -> None:
    package(tmp_path / "site", "hdbscan", "raise RuntimeError('built for another numpy')\n")
    package(tmp_path / "site", "reasoning_gym", "import os\nos._exit(3)\n")
    done = saidpo("doctor", "--full", cwd=tmp_path, path=tmp_path / "site")
    assert done.returncode == 0, done.stdout + done.stderr  # the default run needs neither
    assert "hdbscan cannot be imported: RuntimeError: built for another numpy" in done.stdout
    assert "reasoning_gym cannot be imported: its process ended with status 3" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr


def test_a_package_that_the_default_run_needs_and_that_is_broken_is_an_error(tmp_path: Path, saidpo: Saidpo) -> None:
    package(tmp_path / "site", "torch", "raise ImportError('libcudart.so.12: cannot open shared object file')\n")
    done = saidpo("doctor", cwd=tmp_path, path=tmp_path / "site")
    assert done.returncode == 1
    assert "The default run cannot work here:" in done.stdout
    assert "torch cannot be imported: ImportError: libcudart.so.12" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_package_that_never_ends_its_import_keeps_nobody_waiting(tmp_path: Path, saidpo: Saidpo) -> None:
    package(tmp_path / "site", "torch", "import time\ntime.sleep(600)\n")
    done = saidpo("doctor", "--json", cwd=tmp_path, path=tmp_path / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["imports"]["torch"] == {"state": "not tried in time"}


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    assert unwritable(tmp_path) == ""
    assert "name another place with --run-dir" in unwritable(Path("/proc/self"))


def test_a_missing_extra_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "demo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nProvides-Extra: fast\nProvides-Extra: whole\n"
        'Requires-Dist: no-such-package-1; extra == "fast"\nRequires-Dist: numpy; extra == "whole"\n'
        'Requires-Dist: no-such-package-2; extra == "fast" and python_version < "3"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert extra_facts("demo") == [
        {"name": "fast", "missing": ["no-such-package-1"], "install": "pip install 'demo[fast]'"},
        {"name": "whole", "missing": [], "install": "pip install 'demo[whole]'"},
    ]
