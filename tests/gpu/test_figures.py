"""The frame itself, which needs no GPU: figures are kept, bad ones fail, and the table shows both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gpu.conftest import FIGURES, Figure, keep
from tests.gpu.run import exit_code, outcomes, table

pytest_plugins = ["pytester"]
SOURCE = """
from tests.gpu.conftest import figure

def test_quick(figure):
    figure("speed", 120.0, "tokens/s", 100, at_least=True)

def test_wrong(figure):
    figure("difference", 0.5, "nats", 0.1)
    figure("seconds", 3.0, "s")

def test_left_out():
    import pytest
    pytest.skip("no such card")
"""


def test_figures_are_kept_judged_and_shown(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    monkeypatch.setenv(FIGURES, str(tmp_path / "figures.jsonl"))
    pytester.makepyfile(SOURCE)
    done = pytester.runpytest_inprocess("--junitxml=report.xml", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=2, errors=1, skipped=1)
    figures = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert [(row["name"], row["good"]) for row in figures] == [
        ("speed", True),
        ("difference", False),
        ("seconds", True),
    ]
    checks = outcomes(pytester.path / "report.xml")
    assert {row["check"]: row["state"] for row in checks}["test_left_out"] == "skipped"
    assert exit_code(checks) == 1
    text = "\n".join(table({"machine": {"devices": ["card, 80 GB"], "versions": {"torch": "2"}}, "checks": checks,
                            "figures": figures}))  # fmt: skip
    for said in ("card, 80 GB", "120 tokens/s", ">= 100", "beyond", "0.5 nats", "<= 0.1", "no such card"):
        assert said in text


def test_without_a_limit_or_a_file_a_figure_is_only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FIGURES, raising=False)
    keep([Figure("t", "x", 1.0, "s", None, False)])
    assert Figure("t", "x", 1.0, "s", None, False).good
    assert not Figure("t", "x", 1.0, "s", 2.0, True).good


def test_where_nothing_ran_is_no_success() -> None:
    assert exit_code([{"state": "skipped"}]) == 3
    assert exit_code([{"state": "passed"}, {"state": "skipped"}]) == 0
    assert exit_code([]) == 3
