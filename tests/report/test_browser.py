"""The report in a real browser: it opens quickly, asks for nothing, can be read by all, and runs no text of a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from saidpo_plugins.report.build import write_report
from tests.report.chromium import PROGRAM, Page
from tests.report.made_up import MadeUp
from tests.report.test_report import hostile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    MadeUp(truncated=0.08, tag=lambda c: f"a rather long name of an area, number {c}").write(folder / "run")
    write_report(folder / "run", folder / "run" / "report.html")
    return folder / "run" / "report.html"


def test_every_chart_is_drawn(page: Page, file: Path) -> None:
    page.open(file)
    assert page.run("document.documentElement.dataset.drawn") == "yes"
    places, drawn = page.run(
        "[document.querySelectorAll('.plot').length, document.querySelectorAll('.plot .main-svg').length]"
    )
    assert places >= 10
    assert drawn >= places
    assert page.run("document.getElementById('no-charts').hidden")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, file: Path, width: int, dark: bool) -> None:
    page.show(width, 844, dark)
    page.open(file)
    assert page.run("document.documentElement.scrollWidth") <= width
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert (
        page.run("Math.max(...[...document.querySelectorAll('.plot svg')].map(s => s.getBoundingClientRect().right))")
        <= width
    )


def test_words_stand_out_from_their_ground_in_light_and_dark(page: Page, file: Path) -> None:
    """At least 4.5 to 1 for text (WCAG 2.1, 1.4.3), by the colours that the browser really uses."""
    contrast = """(() => {
      const rgb = text => text.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = e => { for (; e; e = e.parentElement) {
        const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c; }
        return rgb(getComputedStyle(document.body).backgroundColor); };
      const bad = [];
      const words = 'p, li, dd, h1, h2, td, th, summary, figcaption, label, small, a, span, mark, h4, button, output';
      for (const e of document.querySelectorAll(words)) {
        if (!e.textContent.trim() || !e.getClientRects().length) continue;
        const a = light(rgb(getComputedStyle(e).color)), b = light(ground(e));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) bad.push([e.tagName, e.className, e.textContent.slice(0, 30), ratio]);
      }
      return bad;
    })()"""
    for dark in (False, True):
        page.show(1280, 900, dark)
        page.open(file)
        page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.run(contrast) == []
        ground = page.run("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(18, 22, 27)") is dark


def test_charts_follow_when_the_system_turns_dark(page: Page, file: Path) -> None:
    page.open(file)
    colour = "document.querySelector('#rounds-figure .scatterlayer .trace:last-child path.js-line').style.stroke"
    before = page.run(colour)
    page.show(1280, 900, dark=True)
    page.wait(f"{colour} !== {before!r}")


def test_the_slider_of_the_map_works_by_keyboard_and_says_its_round(page: Page, file: Path) -> None:
    page.open(file)
    page.run("document.getElementById('map-figure-round').focus()")
    colours = "document.getElementById('map-figure').data[0].marker.color.join()"
    first = page.run(colours)
    page.press("ArrowRight", 39)
    assert "round 2" in page.run("document.getElementById('map-figure-said').textContent")
    assert page.run("document.getElementById('map-figure-round').getAttribute('aria-valuetext')").startswith("round 2")
    assert page.run(colours) != first
    page.press("ArrowLeft", 37)
    assert page.run(colours) == first


def test_every_control_can_be_reached_by_tab_and_shows_where_it_is(page: Page, file: Path) -> None:
    page.open(file)
    reached = set()
    for _ in range(140):
        page.press("Tab", 9)
        told = page.run(
            "(() => { const e = document.activeElement; return [e.tagName, e.id, e.getAttribute('href'), "
            "getComputedStyle(e).outlineStyle] })()"
        )
        reached.add(told[1] or told[2] or told[0])
        assert told[0] == "BODY" or told[3] != "none", told
    assert {
        "map-figure-round",
        "pairs-search",
        "pairs-round",
        "pairs-cluster",
        "pairs-more",
        "#summary",
        "SUMMARY",
    } <= reached


def test_charts_have_words_for_those_who_cannot_see_them(page: Page, file: Path) -> None:
    page.open(file)
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    images = [n["name"]["value"] for n in nodes if n.get("role", {}).get("value") == "image" and n["name"]["value"]]
    assert len(images) >= 10
    assert all(len(name) > 30 for name in images)
    headings = [n["name"]["value"] for n in nodes if n.get("role", {}).get("value") == "heading"]
    assert "In short" in headings
    named = ("slider", "searchbox", "combobox", "button")
    assert all(n["name"]["value"] for n in nodes if n.get("role", {}).get("value") in named)


def test_a_table_opens_by_keyboard_and_a_link_leads_to_its_section(page: Page, file: Path) -> None:
    page.open(file)
    page.run("document.querySelector('#clusters summary').focus()")
    page.press("Enter", 13, chr(13))
    page.wait("document.querySelector('#clusters details').open")
    page.click("nav a[href='#cost']")
    page.wait("Math.abs(document.getElementById('cost').getBoundingClientRect().top) < 120")


def test_pairs_can_be_searched_and_show_where_they_part(page: Page, file: Path) -> None:
    page.open(file)
    total = page.run("JSON.parse(document.getElementById('data').textContent).pairs.length")
    count = "document.getElementById('pairs-count').textContent"
    assert page.run(count) == f"{total} of {total} pairs, 6 shown"
    page.click("#pairs-more")
    page.wait("document.querySelectorAll('.pair').length === 12")
    first = page.run("document.querySelector('.pair .question').textContent")
    page.click("#pairs-search")
    page.type(first)
    page.wait(f"!({count}).startsWith('{total} of')")
    questions = page.run("[...document.querySelectorAll('.pair .question')].map(e => e.textContent)")
    words = set(first.split())
    assert first in questions
    assert all(all(word in question for word in words) for question in questions)
    marks = page.run("[...document.querySelector('.pair').querySelectorAll('mark')].map(e => e.textContent)")
    assert len(marks) == 2
    assert int(marks[1]) == int(marks[0]) + 1
    page.type(" nothing has this")
    page.wait(f"({count}).startsWith('0 of')")
    page.run("document.getElementById('pairs-search').value = ''")
    page.run("(e => { e.value = '2'; e.dispatchEvent(new Event('change')) })(document.getElementById('pairs-round'))")
    metas = page.run("[...document.querySelectorAll('.pair .meta:first-child')].map(e => e.textContent)")
    assert metas
    assert all(meta.startswith("round 2 · ") for meta in metas)


def test_no_text_of_a_model_is_run_and_all_of_it_is_shown(page: Page, tmp_path: Path) -> None:
    hostile().write(tmp_path / "run")
    write_report(tmp_path / "run", tmp_path / "report.html")
    page.open(tmp_path / "report.html")
    assert page.run("document.documentElement.dataset.drawn") == "yes"
    assert page.run("typeof window.broken") == "undefined"
    assert page.run("document.querySelectorAll('main img, main iframe, main a[href^=javascript]').length") == 0
    shown = page.run("document.querySelector('.pair .chosen pre').textContent")
    assert shown.startswith("<script>window.broken = 1</script></script><img src=x onerror='window.broken = 2'>")
    assert "⟨U+2028⟩⟨U+2029⟩⟨U+202E⟩⟨U+0000⟩" in shown
    labels = page.run("[...document.querySelectorAll('#rates-figure .ytick text')].map(e => e.textContent)")
    assert any(label.startswith("<script>window") for label in labels)
    assert any(label.startswith('<a href="javascript') for label in labels)
    assert page.run("document.querySelectorAll('.plot a').length") == 0


def test_a_browser_without_decompression_says_so_and_shows_the_rest(page: Page, file: Path) -> None:
    script = page.send("Page.addScriptToEvaluateOnNewDocument", source="delete window.DecompressionStream")
    try:
        page.open(file)
        assert "too old" in page.run("document.getElementById('no-charts').textContent")
        assert page.run("document.querySelectorAll('.pair').length") == 6
    finally:
        page.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_with_100_000_problems_it_is_small_and_opens_at_once(page: Page, tmp_path: Path) -> None:
    """Under 10 MB; its text is there within 3 s, and so are its charts where nothing else takes the processor."""
    wanted = MadeUp(problems=100_000, clusters=150, rounds=3, probe=1000, draw=2000, dimensions=384)
    wanted.write(tmp_path / "run")
    write_report(tmp_path / "run", tmp_path / "report.html")
    size = (tmp_path / "report.html").stat().st_size
    assert size < 10e6
    work, texts = [], []
    for _ in range(3):
        page.open(tmp_path / "report.html")
        work.append(page.seconds_of_work())
        texts.append(page.run("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000)
    print(f"{size / 1e6:.1f} MB; text after {min(texts):.2f} s, charts after {min(work):.2f} s of work")
    assert min(texts) < 3
    assert min(work) < 3
