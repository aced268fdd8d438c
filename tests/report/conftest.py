from __future__ import annotations

from pathlib import Path

import pytest

from saidpo_plugins.report.reading import RunData
from tests.report.made_up import MadeUp


@pytest.fixture(scope="package")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which all went well: two weak clusters of six, drawn three times as often, learned."""
    path = tmp_path_factory.mktemp("made-up") / "well"
    MadeUp().write(path)
    return path


@pytest.fixture(scope="package")
def run(well: Path) -> RunData:
    return RunData(well)
