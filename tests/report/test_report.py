"""What the report of a run says, against what is known of the run."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saidpo_core import UsageError
from saidpo_core.codecs import pair_from_json, read_lines
from saidpo_core.rollouts import read_attempts
from saidpo_plugins.report import weakest
from saidpo_plugins.report.build import report_of, sections_of
from saidpo_plugins.report.page import Figure
from saidpo_plugins.report.reading import PAIRS_A_ROUND, RunData
from saidpo_plugins.report.sections import cluster_map, groups, headline, levels, pairs
from tests.report.made_up import MadeUp


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        self.scripts += [""] if self._in_script else []

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def data_of(page: str) -> Any:
    elements = Elements(page)
    tags = [attrs for tag, attrs in elements.found if tag == "script"]
    (place,) = [i for i, attrs in enumerate(tags) if attrs.get("id") == "data"]
    return json.loads(elements.scripts[place])


# What is read


def test_counts_are_those_of_the_attempts(run: RunData, well: Path) -> None:
    for t, tried in enumerate(run.tried, 1):
        probe, rest = (read_attempts(well / f"round-{t}" / stage) for stage in ("01-probe", "03-explore"))
        assert [f"p{row}" for row in tried.row] == [a.problem_id for a in (*probe, *rest)]
        assert tried.right.tolist() == [len(a.right) for a in (*probe, *rest)]
        assert tried.counted.tolist() == [a.counted for a in (*probe, *rest)]
        assert tried.probed.tolist() == [True] * len(probe) + [False] * len(rest)
        assert len(tried.lengths["right"]) == sum(len(a.right) for a in probe)


def test_pairs_are_shown_from_all_of_a_round_and_their_number_is_told(tmp_path: Path) -> None:
    MadeUp(problems=1500, probe=500, draw=500, rounds=1, pass_rate=lambda c, t: 0.5).write(tmp_path / "run")
    run = RunData(tmp_path / "run")
    there = list(read_lines(tmp_path / "run/round-1/04-pair/pairs.jsonl", pair_from_json))
    shown, total = run.pairs
    assert total == len(there) > 2 * PAIRS_A_ROUND
    assert PAIRS_A_ROUND / 2 < len(shown) <= PAIRS_A_ROUND
    rows = [int(pair.problem_id[1:]) for pair in there]
    assert [rows.index(pair.row) * 10 // total for pair in shown] == sorted(
        rows.index(p.row) * 10 // total for p in shown
    )
    made = pairs.section(run)
    assert made is not None
    assert f"{len(shown)} of {total} pairs" in made.notes[0]


# What is said


def test_the_weakest_clusters_are_found_and_what_became_of_them(run: RunData) -> None:
    found = weakest.find_weakest(run)
    assert found is not None
    assert set(found.clusters) <= {0, 1}
    assert found.achieved[0] > 1.4 * found.pool_share
    assert found.here[0][0] == pytest.approx(0.3, abs=0.12)
    assert found.here[-1][0] == pytest.approx(0.7, abs=0.12)
    answers = {answer.question: answer for answer in headline.section(run).content["answers"]}
    assert answers["Did the draw follow?"].verdict == "Yes"
    assert answers["Did it learn there?"].verdict == "Yes"
    assert "area" in answers["Where was the model weak?"].text
    assert answers["Can it be trusted?"].verdict == "No warnings"


@pytest.mark.slow
def test_clusters_that_are_weak_by_chance_do_not_look_as_if_they_had_learned(tmp_path: Path) -> None:
    """All clusters are alike and nothing is learned: whoever chose the worst of round 1 and measured it there would
    see it recover."""
    changes = []
    for seed in range(10):
        wanted = MadeUp(clusters=20, rounds=2, probe=60, draw=120, seed=seed, pass_rate=lambda c, t: 0.7)
        wanted.write(tmp_path / str(seed))
        found = weakest.find_weakest(RunData(tmp_path / str(seed)))
        assert found is not None
        changes.append(found.here[1][0] - found.here[0][0])
    assert abs(np.mean(changes)) < 3 * np.std(changes) / np.sqrt(len(changes)) + 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "question", "verdict"),
    [
        (MadeUp(settings={"sampler": "uniform"}, weight=lambda c, t: 1.0), "Did the draw follow?", "No, by choice"),
        (MadeUp(weight=lambda c, t: 1.0, draw=200), "Did the draw follow?", "No"),
        (MadeUp(pass_rate=lambda c, t: 0.8 - 0.2 * t, draw=150), "Did it learn there?", "It got worse"),
        (MadeUp(pass_rate=lambda c, t: 0.5), "Did it learn there?", "Unclear"),
        (MadeUp(truncated=0.3), "Can it be trusted?", "1 warning"),
    ],
)
def test_the_headline_does_not_flatter(tmp_path: Path, wanted: MadeUp, question: str, verdict: str) -> None:
    wanted.write(tmp_path / "run")
    answers = {answer.question: answer for answer in headline.section(RunData(tmp_path / "run")).content["answers"]}
    assert answers[question].verdict == verdict, answers[question]


def test_gain_and_cost_are_those_of_the_record(run: RunData) -> None:
    before, after, difference, half = headline.gain(run) or (0, 0, 0, 0)
    assert (before, after) == (run.rows[0]["accuracy_balanced"], run.rows[-1]["accuracy_balanced"])
    assert difference == pytest.approx(after - before)
    by_hand = 1.96 * np.sqrt(sum(p * (1 - p) / 25 / 6 for p in ((before * 25 + 2) / 29, (after * 25 + 2) / 29)))
    assert half == pytest.approx(by_hand)
    assert headline.tokens_of(run) == sum(row["tokens"] for row in run.rows)


def test_levels_of_the_probe_and_flows_between_rounds(run: RunData, well: Path) -> None:
    made = levels.section(run)
    assert made is not None
    table = made.tables[0].rows
    probe = read_attempts(well / "round-1/01-probe")
    easy = sum(1 for a in probe if not a.wrong) / len(probe)
    assert table[0][1] == f"{100 * easy:.0f}%"
    both = {a.problem_id for s in ("01-probe", "03-explore") for a in read_attempts(well / "round-1" / s)}
    both &= {a.problem_id for s in ("01-probe", "03-explore") for a in read_attempts(well / "round-2" / s)}
    assert sum(int(row[2]) for row in made.tables[1].rows if row[0].startswith("round 1")) == len(both)
    (sankey,) = made.figures[1].data
    ends = list(zip(sankey["link"]["source"], sankey["link"]["target"], strict=True))
    assert len(set(ends)) == len(ends) == len(sankey["link"]["value"])


@pytest.mark.slow
def test_the_map_shows_every_text_of_a_small_pool_and_says_when_it_does_not(tmp_path: Path, run: RunData) -> None:
    made = cluster_map.section(run)
    assert made is not None
    (figure,) = made.figures
    assert len(figure.data[0]["x"]) == len(run.embeddings[0])  # type: ignore[index]
    assert [len(item["colours"]) for item in figure.rounds or ()] == [len(figure.data[0]["x"])] * 3
    wanted = MadeUp(problems=6000, clusters=500, rounds=1)
    wanted.write(tmp_path / "many")
    many = cluster_map.section(RunData(tmp_path / "many"))
    assert many is not None
    points = len(many.figures[0].data[0]["x"])
    assert points < 3500
    assert f"Drawn are {points:,} of 3,500 tag lists" in many.notes[-1]


@pytest.mark.slow
def test_every_figure_is_one_that_plotly_knows_and_is_told_in_words(run: RunData) -> None:
    import plotly.graph_objects as go

    figures = [figure for section in sections_of(run) for figure in section.figures]
    assert len(figures) >= 9
    for figure in figures:
        text = json.dumps(figure.spec()).replace('"@share"', '"Blues"')
        coloured = json.loads(re.sub(r'"@[a-z-]+"', '"#123456"', text))
        go.Figure(data=coloured["data"], layout=coloured["layout"])
        assert len(figure.alt) > 30


def test_every_section_has_its_numbers_in_a_table_or_says_them(run: RunData) -> None:
    for section in sections_of(run):
        assert section.tables or section.template or section.id == "map", section.id


# What is missing


def test_a_run_without_a_round_is_refused_and_a_damaged_record_too(tmp_path: Path) -> None:
    for text in ("{}", "[]", '{"rounds": []}'):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(UsageError, match="holds no round yet"):
            report_of(tmp_path)
    for text in ("no JSON", '{"rounds": [{"acc', "7"):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(UsageError, match=r"summary\.json cannot be read .* once it is deleted$"):
            report_of(tmp_path)


@pytest.mark.parametrize(
    "gone",
    [
        "round-*/01-probe",
        "round-*/03-explore",
        "round-*/0[1-4]-*",
        "start/01-pool",
        "start/02-tag",
        "start/03-embed",
        "start/04-cluster",
        "start",
        "round-*",
        "round-*/04-pair",
        "run.toml",
    ],
)
def test_a_run_whose_files_were_removed_is_reported_as_far_as_it_goes(tmp_path: Path, well: Path, gone: str) -> None:
    shutil.copytree(well, tmp_path / "run")
    for path in (tmp_path / "run").glob(gone):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = report_of(tmp_path / "run")
    assert 'id="rounds"' in page
    assert data_of(page)["figures"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("start/01-pool/problems.jsonl", '{"id": "p'),
        ("start/02-tag/tags.jsonl", "["),
        ("start/04-cluster/clusters.safetensors", "short"),
        ("round-1/03-explore/attempts-0000000.jsonl", '{"problem_id": "p1", "respo'),
        ("round-2/04-pair/pairs.jsonl", '{"problem_id": "of another pool"}\n'),
    ],
)
def test_a_file_that_is_damaged_is_named(tmp_path: Path, well: Path, name: str, text: str) -> None:
    shutil.copytree(well, tmp_path / "run")
    (tmp_path / "run" / name).write_text(text)
    with pytest.raises(UsageError, match=f"^{tmp_path}/run/{name} cannot be read .* take it from a copy of the run$"):
        report_of(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    "wanted",
    [
        MadeUp(rounds=0),
        MadeUp(clusters=1),
        MadeUp(clusters=2, rounds=1),
        MadeUp(held_out=0),
        MadeUp(rounds=1, pass_rate=lambda c, t: 1.0),
        MadeUp(rounds=2, pass_rate=lambda c, t: 0.0),
        MadeUp(truncated=1.0, rounds=1),
        MadeUp(finished=False, rounds=1),
        MadeUp(training=lambda t: {}),
        MadeUp(training=lambda t: {"loss_last": float("nan")}),
    ],
    ids=[
        "no round",
        "one cluster",
        "two clusters",
        "not measured",
        "all right",
        "all wrong",
        "all truncated",
        "not finished",
        "nothing reported",
        "no number",
    ],
)
def test_unusual_runs_have_a_report_too(tmp_path: Path, wanted: MadeUp) -> None:
    wanted.write(tmp_path / "run")
    page = report_of(tmp_path / "run")
    assert ("(not finished)" in page) is not wanted.finished
    assert not re.search(r"\bnan\b", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL).lower())


def test_records_of_before_there_were_probe_facts_are_reported(tmp_path: Path, well: Path) -> None:
    shutil.copytree(well, tmp_path / "run")
    record = json.loads((well / "summary.json").read_text())
    del record["warnings"], record["findings"]
    for row in record["rounds"][1:]:
        del row["probe"], row["lengths"]
    for cluster in record["clusters"]:
        for row in cluster["rounds"]:
            del row["probe_errors"]
    (tmp_path / "run/summary.json").write_text(json.dumps(record))
    assert 'id="clusters"' in report_of(tmp_path / "run")


# What is untrusted

HOSTILE = (
    "<script>window.broken = 1</script>",
    "</script><img src=x onerror='window.broken = 2'>",
    "<!--<script>",
    "]]>\u2028\u2029\u202e\x00\ud800 & \"quoted\" 'too' `${1}` {{ 7 * 7 }} {% raw %}",
    '<a href="javascript:window.broken=3">link</a><b>bold</b>',
    "javascript:alert(1)",
)


def hostile() -> MadeUp:
    everything = "".join(HOSTILE)
    return MadeUp(
        clusters=len(HOSTILE),
        tag=lambda c: HOSTILE[c].replace("\ud800", ""),
        question=lambda i: everything.replace("\ud800", ""),
        text=lambda i, right: f"{everything}{right}".replace("\ud800", ""),
    )


def test_no_text_of_a_model_becomes_part_of_the_page(tmp_path: Path, well: Path) -> None:
    hostile().write(tmp_path / "run")
    page, plain = report_of(tmp_path / "run"), report_of(well)
    tags = [{tag for tag, _ in Elements(text).found} for text in (page, plain)]
    assert tags[0] <= tags[1]
    assert not {"img", "iframe", "object", "embed", "base"} & tags[0]
    handlers = [name for _, attrs in Elements(page).found for name in attrs if name.startswith("on")]
    assert handlers == []
    assert len(Elements(page).scripts) == len(Elements(plain).scripts) == 3
    pair = data_of(page)["pairs"][0]
    assert pair["chosen"].startswith(HOSTILE[0] + HOSTILE[1])
    assert "49" not in re.findall(r"&#34;quoted.{0,60}", page)[0]


def test_the_page_asks_for_nothing(well: Path) -> None:
    page = report_of(well)
    for _, attrs in Elements(page).found:
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith(("#", "data:,"))
    policy = next(a["content"] for t, a in Elements(page).found if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy


def test_the_same_run_gives_the_same_page(well: Path) -> None:
    assert report_of(well) == report_of(well)


def test_sections_do_not_know_each_other_by_name_twice(run: RunData) -> None:
    ids = [section.id for section in sections_of(run)]
    figures: list[Figure] = [figure for section in sections_of(run) for figure in section.figures]
    assert len(set(ids)) == len(ids)
    assert len({figure.id for figure in figures}) == len(figures)


# Groups


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (0.96, "Of 6 groups 6 rose, 6 of them beyond chance, and 0 fell, none beyond chance."),
        (0.56, "Of 6 groups 6 rose, 0 of them beyond chance, and 0 fell, none beyond chance."),
        (0.44, "Of 6 groups 0 rose, 0 of them beyond chance, and 6 fell, none beyond chance."),
        (0.04, f"0 of them beyond chance, and 6 fell, beyond chance {', '.join(f'group {c}' for c in range(6))}."),
    ],
)
def test_how_many_groups_rose_and_fell_and_how_many_beyond_chance(tmp_path: Path, last: float, said: str) -> None:
    MadeUp(rounds=1, accuracy=lambda t: last if t else 0.48).write(tmp_path / "run")
    section = groups.section(RunData(tmp_path / "run"))
    assert section is not None
    assert section.answer.endswith(said)
