"""Every block of code on the pages runs, and every component on them keeps its promises."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from saidpo_core.cli.check import check_components
from saidpo_core.conformance import run_checks
from saidpo_core.contracts import check_labels
from saidpo_core.errors import PluginError, SaidpoError
from saidpo_core.events import Observers, StageEvent
from saidpo_core.registry import load_registry
from saidpo_core.settings import read_toml, resolve
from tests.docs.conftest import HYPERPLANES, Install
from tests.docs.pages import BESIDES, DOCS, PAGES, Block, block, blocks, commands, patched
from tests.docs.test_commands import settings_of

PYTHON = [item for page in [*PAGES, *BESIDES] for item in blocks(page, "python") if item.runs]
PLUGINS = [item for item in PYTHON if "@hookimpl" in item.text]
FIRST_PLUGIN = DOCS / "first-plugin.md"


@pytest.mark.parametrize("item", [item for item in PYTHON if item not in PLUGINS], ids=str)
def test_a_block_of_python_runs(item: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(
        compile(item.text, str(item), "exec"), {"__name__": "page", "pytest": pytest}
    )  # pieces of test files among them


@pytest.mark.parametrize("item", PLUGINS, ids=str)
def test_a_plugin_on_a_page_loads_and_keeps_every_promise(item: Block, install: Install) -> None:
    install("saidpo-on-a-page", "saidpo_on_a_page", item.text)
    registry = load_registry()
    assert registry.broken == []
    mine = [offer for offer in registry.offers if offer.owner.distribution == "saidpo-on-a-page"]
    assert len(mine) == len(re.findall(r"^ +Component\(|\[Component\(", item.text, re.MULTILINE))
    for offer in mine:
        results = list(run_checks(offer, registry))
        assert [f"{result.check.name}: {result.message}" for result in results if result.status == "failed"] == []
        assert sum(result.status == "passed" for result in results) >= 15


def test_what_check_prints_is_on_the_page(
    install: Install, hyperplanes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, _ = check_outputs()
    check_components(load_registry(), ["saidpo-hyperplanes"], as_json=False, verbose=False)
    assert told(capsys.readouterr().out) == told(shown)


def test_the_mistake_on_the_page_fails_as_it_is_shown_there(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    _, shown = check_outputs()
    install("saidpo-hyperplanes", "saidpo_hyperplanes.clusterer", with_the_mistake())
    with pytest.raises(SaidpoError, match="1 of 1 components break a promise"):
        check_components(load_registry(), ["saidpo-hyperplanes"], as_json=False, verbose=False)
    assert told(capsys.readouterr().out) == told(shown)


def check_outputs() -> tuple[str, str]:
    """What ``saidpo check`` says on the ten-minute page: of the good component, of the one with the mistake."""
    good, bad = [item.text for item in blocks(FIRST_PLUGIN, "text") if item.text.startswith("clusterer ")]
    return good, bad


def with_the_mistake() -> str:
    (diff,) = blocks(FIRST_PLUGIN, "diff")
    return patched(HYPERPLANES.text, diff)


def told(text: str) -> list[str]:
    """Lines without seconds, which are another time other ones."""
    return [re.sub(r"\d+\.\d s", "N s", line) for line in text.strip().splitlines()]


def test_a_broken_promise_reads_as_on_the_page(hyperplanes: None) -> None:
    import numpy as np

    offer = load_registry().find("clusterer", "hyperplanes", "")
    (shown,) = [item.text for item in blocks(DOCS / "plugin-authors.md", "text")]
    with pytest.raises(PluginError) as caught:
        check_labels(np.array([0, 2]), 2, offer)
    assert str(caught.value) == shown.strip()


def test_the_observer_on_the_page_says_what_it_promises(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    (observer,) = [item for item in PLUGINS if item.page.name == "hooks.md"]
    install("observer-on-a-page", "observer_on_a_page", observer.text)
    hub = Observers(load_registry().manager)
    event = {"run_dir": Path("run"), "round": 1, "stage": "pair", "seconds": 1.25}
    hub.after(StageEvent(**event))
    hub.after(StageEvent(**event, reused=True))
    hub.after_round({"round": 0, "yield": None, "pairs": 0, "explored": 0}, {})
    hub.after_round({"round": 1, "yield": 0.1, "pairs": 42, "explored": 420}, {})
    hub.after_round({"round": 2, "yield": 0.25, "pairs": 105, "explored": 420}, {})
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["round 1 pair: 1.2 s", "round 1: only 42 pairs of 420 problems"]
    assert captured.out == ""


@pytest.mark.parametrize("item", [item for page in [*PAGES, *BESIDES] for item in blocks(page, "toml")], ids=str)
def test_a_block_of_toml_is_toml(item: Block) -> None:
    assert tomllib.loads(item.text)


def test_flags_and_file_on_the_settings_page_are_the_same_run(tmp_path: Path) -> None:
    page = DOCS / "reference/settings.md"
    (flags,) = [command for item in blocks(page, "bash") for command in commands(item)]
    path = tmp_path / "study.toml"
    path.write_text(block(page, "study.toml").text)
    values, where = read_toml(path)
    assert len(values) > 5
    assert settings_of(flags[1:]).as_tree() == resolve(load_registry(), values, where).as_tree()


def test_the_file_on_the_ten_minute_page_names_its_component(hyperplanes: None, tmp_path: Path) -> None:
    path = tmp_path / "hyperplanes.toml"
    path.write_text(block(FIRST_PLUGIN, "hyperplanes.toml").text)
    chosen = resolve(load_registry(), *read_toml(path)).parts["clusterer"]
    assert (chosen.offer.qualified, chosen.options.planes) == ("saidpo-hyperplanes/hyperplanes", 4)


def test_a_block_that_the_tests_do_not_see_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python {.wide}\ny = 2\n```\n")
    with pytest.raises(AssertionError, match="a block of code that the tests do not see"):
        blocks(page)
    page.write_text('text\n\n<!-- not run: why -->\n```python title="a.py"\nx = 1\n```\n')
    (found,) = blocks(page)
    seen = SimpleNamespace(line=found.line, title=found.title, runs=found.runs, text=found.text)
    assert seen == SimpleNamespace(line=5, title="a.py", runs=False, text="x = 1\n")
