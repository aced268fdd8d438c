"""A real sandbox for the tests of the verifier ``code``; without one they fail, they are not skipped."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from saidpo_plugins.verifiers.sandbox.isolation import working_layout
from saidpo_plugins.verifiers.sandbox.layout import Layout


@pytest.fixture(scope="session")
def layout() -> Layout:
    return working_layout()


@pytest.fixture(scope="session")
def readable_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the interpreter and its library in a folder that every user can read."""
    prefix = Path(sys.base_prefix)
    copy = tmp_path_factory.mktemp("python")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for folder in (copy, *copy.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder.owner() != "root":
            break
        folder.chmod(folder.stat().st_mode | 0o055) if folder.stat().st_mode & 0o055 != 0o055 else None
    left_out = ("site-packages", "dist-packages", "test", "idlelib", "tkinter", "turtledemo", "*.a", "config-*")
    shutil.copytree(prefix / "lib" / version, copy / "lib" / version, ignore=shutil.ignore_patterns(*left_out))
    for library in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy(library, copy / "lib" / library.name)
    (copy / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), copy / "bin" / version)
    return copy / "bin" / version
