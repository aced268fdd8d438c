"""What a study's page is made from: names and texts of others, damaged files, and the command that is given them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import UsageError
from saidpo_plugins.report.study.build import page_of
from tests.command import Saidpo
from tests.report.test_report import HOSTILE, Elements, data_of
from tests.study.made_up import MadeUpStudy

# What is untrusted


def hostile_study() -> MadeUpStudy:
    names = [text.replace("\ud800", "") for text in HOSTILE]
    return MadeUpStudy(
        arms={f"{name} {i}": {"sampler": "uniform", "max_pairs": 10 + i} for i, name in enumerate(names)},
        bases=(names[4],),
        title=names[1],
        texts={"question": names[0], "about": names[3], "source": names[4]},
    )


def test_titles_and_names_of_arms_are_text(tmp_path: Path) -> None:
    hostile_study().write(tmp_path / "study")
    MadeUpStudy().write(tmp_path / "plain")
    page, plain = page_of(tmp_path / "study"), page_of(tmp_path / "plain")
    tags = [{tag for tag, _ in Elements(text).found} for text in (page, plain)]
    assert tags[0] <= tags[1]
    assert not {"img", "iframe", "object", "embed", "base"} & tags[0]
    assert not [name for _, attrs in Elements(page).found for name in attrs if name.startswith("on")]
    assert len(Elements(page).scripts) == len(Elements(plain).scripts) == 3
    shown = data_of(page)["figures"]["differences-figure"]["labels"]
    assert any(
        label.endswith('&lt;a href="javascript:window.broken=3"&gt;link&lt;/a&gt;&lt;b&gt;bold&lt;/b&gt; 4')
        for label in shown
    )
    assert "\u202e" not in page
    assert "⟨U+202E⟩" in page


# What is damaged


def changed(tree: dict[str, Any], place: str, value: Any) -> None:
    *way, last = place.split(".")
    for key in way:
        tree = tree[key]
    if value is ...:
        del tree[last]
    else:
        tree[last] = value


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("arms", ..., "arms is missing"),
        ("title", 7, "title: expected a text, got 7"),
        ("reference", "idpo", "reference: expected the name of an arm, got 'idpo'"),
        ("score", "best", "comparisons.static.best is missing"),
        ("seeds", [1, "x"], "seeds[1]: expected a whole number, got 'x'"),
        ("budget.warnings", "all", "budget.warnings: expected a list"),
        ("runs.finished", -1, "runs.finished: expected a whole number"),
        ("arms.static", [], "arms.static: expected a table"),
        ("arms.static.mean", [0.5, None, 0.5, 0.5], "arms.static.mean[1]: expected a number, got None"),
        ("arms.static.mean", [0.5], "arms.static.mean: expected accuracy before training and after at least one"),
        ("arms.static.sd", [0.1], "arms.static.sd: expected a list of 4"),
        ("arms.static.tokens", True, "arms.static.tokens: expected a number, got True"),
        ("arms.static.tokens", float("nan"), "arms.static.tokens: expected a number, got nan"),
        ("arms.static.tokens", 10**400, "arms.static.tokens: expected a number"),
        ("arms.static.settings", ..., "arms.static.settings is missing"),
        ("arms.static.accuracy", {"embedded/seed-0": [0.5]}, "arms.static.accuracy.embedded/seed-0: expected a list"),
        ("comparisons.static", ..., "comparisons.static is missing"),
        ("comparisons.static.final.paired", ..., "comparisons.static.final.paired is missing"),
        ("comparisons.static.final.high", None, "comparisons.static.final: expected a difference with both ends"),
        ("comparisons.static.final.p_corrected", None, "comparisons.static.final: expected a difference with both"),
        ("comparisons.static.mean.mean", None, "comparisons.static.mean: expected a difference with both ends"),
        ("command", ..., "command is missing"),
    ],
)  # fmt: skip
def test_a_study_of_another_shape_is_named_with_file_and_place(
    tmp_path: Path, place: str, value: Any, said: str
) -> None:
    tree = MadeUpStudy().write(tmp_path / "study")
    changed(tree, place, value)
    file = tmp_path / "study/study.json"
    file.write_text(json.dumps(tree))
    with pytest.raises(UsageError) as error:
        page_of(tmp_path / "study")
    assert str(error.value).startswith(f"{file}: {said}")
    assert str(error.value).endswith("; the command of the study writes it anew")


@pytest.mark.parametrize("text", [b"", b'{"arms": ', b"\xff\xfe", b"[" * 100_000, b"[]", b"null"])
def test_a_file_that_is_no_study_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "study.json").write_bytes(text)
    with pytest.raises(UsageError, match=r"study\.json: (not JSON|expected a table)"):
        page_of(tmp_path)


# The command


def test_the_command_writes_the_page_of_a_study_and_names_what_is_damaged(saidpo: Saidpo, tmp_path: Path) -> None:
    MadeUpStudy().write(tmp_path / "study")
    done = saidpo("report", "study", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "study/study.html\n", "")
    page = (tmp_path / "study/study.html").read_text()
    assert "<h1>Study: Where are problems drawn?" in page
    (tmp_path / "study/study.json").write_text("{}")
    done = saidpo("report", "study", "--out=mine.html", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "saidpo: study/study.json: arms is missing; the command of the study writes it anew\n"
    assert not (tmp_path / "mine.html").exists()
