"""The site builds without a warning and without a network, and its pages fetch nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

pytestmark = pytest.mark.slow
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
    environment = {**os.environ, **offline, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def test_every_page_is_built_and_nothing_else_of_the_folder(site: Path) -> None:
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    sources = [path.relative_to(DOCS) for path in DOCS.rglob("*.md") if "templates" not in path.parts]
    assert pages == {"404.html", *(str(path.with_suffix(".html")) for path in sources)}
    assert [path.name for path in site.rglob("*.py")] == []


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=\"((?:https?:)?//[^\"]+)\"")
    for path in site.rglob("*.html"):
        assert fetched.findall(path.read_text()) == [], path
        assert 'class="mermaid"' not in path.read_text(), "diagrams are drawn by a script from elsewhere"
    for path in site.rglob("*.css"):
        assert re.findall(r"(?:url|@import)\(?\s*['\"]?(?:https?:)?//", path.read_text()) == [], path


def test_code_in_tables_is_shown_as_it_is_written(site: Path) -> None:
    assert "<code>str | None</code>" in (site / "reference/records.html").read_text().replace("&#124;", "|")
