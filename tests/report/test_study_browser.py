"""The page of a study in a real browser, at the widths of a desk and a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from saidpo_plugins.report.study.build import write_page
from tests.report.chromium import PROGRAM, Page
from tests.report.test_study_files import hostile_study
from tests.report.test_study_page import THREE
from tests.study.made_up import MadeUpStudy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here (Debian: apt-get install chromium)"),
]
STUDIES: dict[str, Callable[[], MadeUpStudy]] = {
    "three bases": lambda: MadeUpStudy(bases=THREE, ended=lambda job: job.seed or job.arm != "static"),
    "a grid": lambda: MadeUpStudy(
        arms={
            f"clusterer.k={k}, sampler={name}": {"clusterer.k": k, "sampler": name}
            for k in (5, 10, 20)
            for name in ("uniform", "static", "error-weighted")
        }
    ),
    "one run each": lambda: MadeUpStudy(seeds=(0,)),
    "nothing ended": lambda: MadeUpStudy(ended=lambda job: False),
}


@pytest.fixture(scope="module", params=STUDIES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "study"
    STUDIES[request.param]().write(folder)
    write_page(folder, folder / "study.html")
    return folder / "study.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_every_chart_is_drawn_and_nothing_is_wider_than_the_screen(
    page: Page, file: Path, width: int, dark: bool
) -> None:
    page.show(width, 844, dark)
    page.open(file)
    assert page.run("document.documentElement.dataset.drawn") == "yes"
    drawn = page.run("[...document.querySelectorAll('.plot')].map(e => [e.id, !!e.querySelector('.main-svg')])")
    ids = ["differences-figure", "curves-figure", "bases-figure", "cost-figure"]
    ended = "<b>⚠</b> Incomplete: 15 of 15" not in file.read_text()
    assert drawn == [[name, True] for name in ids if ended]
    assert page.run("document.documentElement.scrollWidth") <= width
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.run("document.documentElement.scrollWidth") <= width
    narrow = page.run(
        "[...document.querySelectorAll('td, th')].filter(e => e.textContent.length > 5 && e.clientWidth < 40)"
        ".map(e => e.textContent)"
    )
    assert narrow == [], "columns so narrow that words are broken into letters"
    right = "Math.max(0, ...[...document.querySelectorAll('.plot svg')].map(s => s.getBoundingClientRect().right))"
    assert page.run(right) <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_marks_words_and_axes_are_inside_their_charts(page: Page, tmp_path: Path, width: int) -> None:
    """Nothing of a legend or of an axis' title is cut off, and the plot keeps most of the height."""
    STUDIES["a grid"]().write(tmp_path / "study")
    write_page(tmp_path / "study", tmp_path / "study.html")
    page.show(width, 844)
    page.open(tmp_path / "study.html")
    cut = page.run(
        """[...document.querySelectorAll('.plot')].flatMap(plot => { const box = plot.getBoundingClientRect();
        return [...plot.querySelectorAll('.legendtext, .xtitle, .ytitle, .xtick text, .ytick text')]
          .filter(e => { const b = e.getBoundingClientRect();
            return b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1; })
          .map(e => [plot.id, e.textContent]); })"""
    )
    assert cut == []
    assert page.run("document.querySelectorAll('.plot .scrollbar[height]:not([height=\"0\"])').length") == 0
    shares = page.run(
        "[...document.querySelectorAll('.plot')].map(p => p._fullLayout._size.h / p.getBoundingClientRect().height)"
    )
    assert min(shares) > 0.4


def test_the_forest_plot_has_its_line_at_zero_and_a_row_for_each_arm(page: Page, tmp_path: Path) -> None:
    MadeUpStudy(bases=THREE).write(tmp_path / "study")
    write_page(tmp_path / "study", tmp_path / "study.html")
    page.open(tmp_path / "study.html")
    rows = page.run("[...document.querySelectorAll('#differences-figure .ytick text')].map(e => e.textContent)")
    assert rows == ["static", "error-weighted"]
    zero = page.run(
        """(plot => { const line = plot.querySelector('.shapelayer path').getBoundingClientRect();
        const axis = plot._fullLayout.xaxis, left = plot.getBoundingClientRect().left;
        return [line.left + line.width / 2 - left, axis._offset + axis.c2p(0), line.height];
        })(document.getElementById('differences-figure'))"""
    )
    assert zero[0] == pytest.approx(zero[1], abs=1.5)
    assert zero[2] > 50


def test_a_table_opens_by_keyboard_and_answers_lead_to_their_evidence(page: Page, tmp_path: Path) -> None:
    MadeUpStudy().write(tmp_path / "study")
    write_page(tmp_path / "study", tmp_path / "study.html")
    page.open(tmp_path / "study.html")
    page.run("document.documentElement.style.scrollBehavior = 'auto'")  # looking again and again slows a soft scroll
    page.run("document.querySelector('#differences summary').focus()")
    page.press("Enter", 13, chr(13))
    page.wait("document.querySelector('#differences details').open")
    page.run("document.querySelector('.answers a').focus()")
    page.press("Enter", 13, chr(13))
    page.wait("Math.abs(document.getElementById('differences').getBoundingClientRect().top) < 120")


def test_no_name_of_an_arm_is_run(page: Page, tmp_path: Path) -> None:
    hostile_study().write(tmp_path / "study")
    write_page(tmp_path / "study", tmp_path / "study.html")
    page.open(tmp_path / "study.html")
    assert page.run("document.documentElement.dataset.drawn") == "yes"
    assert page.run("typeof window.broken") == "undefined"
    assert page.run("document.querySelectorAll('main img, main a[href^=javascript], .plot a').length") == 0
    names = page.run("[...document.querySelectorAll('#curves-figure .legendtext')].map(e => e.textContent)")
    assert any(name.startswith("1. <script>window.broken") for name in names)
    page.show(390, 844)
    page.open(tmp_path / "study.html")
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.run("document.documentElement.scrollWidth") <= 390
