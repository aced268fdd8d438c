"""Code of the pages, installed as an installer would: a module on the path, with the metadata of a distribution."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, block

Install = Callable[[str, str, str], None]
HYPERPLANES = block(DOCS / "first-plugin.md", "saidpo-hyperplanes/src/saidpo_hyperplanes/clusterer.py")


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """``install(distribution, module, code)``; gone after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    before = set(sys.modules)

    def call(distribution: str, module: str, code: str) -> None:
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        info = folder / f"{distribution.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[saidpo]\nx = {module}\n")

    yield call
    sys.path.remove(str(folder))
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def hyperplanes(install: Install) -> None:
    """The plug-in of the ten-minute page."""
    install("saidpo-hyperplanes", "saidpo_hyperplanes.clusterer", HYPERPLANES.text)
