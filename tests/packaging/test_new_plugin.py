"""What ``saidpo new-plugin`` writes, for each of the eleven kinds: it installs, is found, and keeps every promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from saidpo_core.hookspecs import KINDS
from tests.packaging.conftest import Fresh

pytestmark = pytest.mark.slow


def test_every_kind_installs_and_passes_its_checks(fresh: Fresh, tmp_path: Path) -> None:
    packages = [f"saidpo-new-{kind}" for kind in KINDS]
    for package, kind in zip(packages, KINDS, strict=True):
        done = fresh.saidpo("new-plugin", package, "--kind", kind, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
    where = ["--no-build-isolation", "--no-cache-dir", f"--target={target}", *(f"./{package}" for package in packages)]
    installed = subprocess.run([*pip, *where], cwd=tmp_path, capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr

    done = fresh.saidpo("check", *packages, "--json", cwd=tmp_path, path=target)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)["results"]
    assert {(row["kind"], row["distribution"]) for row in rows} == set(zip(KINDS, packages, strict=True))
    assert {row["status"] for row in rows} == {"passed"}

    # The three lines of pytest that come with a package say the same.
    own = fresh.call(str(fresh.python), "-m", "pytest", "-q", cwd=tmp_path / "saidpo-new-sampler", path=target)
    assert own.returncode == 0, own.stdout + own.stderr
    checks = sum(row["kind"] == "sampler" for row in rows)
    assert f"{checks} passed" in own.stdout
