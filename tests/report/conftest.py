from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saidpo_plugins.report.reading import RunData
from tests.report.chromium import Page, chromium
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    browser.problems.clear()
    browser.requests.clear()
    browser.show(1280, 900)
    yield browser
    assert browser.problems == [], "something went to the console"
    away = [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert away == [], "the page asked for something"
