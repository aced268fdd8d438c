"""What the page of a study says, against what is known of the study."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from saidpo_plugins.report.page import Section
from saidpo_plugins.report.study.build import page_of, sections_of
from saidpo_plugins.report.study.look import looks
from saidpo_plugins.report.study.reading import StudyData, read_study
from saidpo_plugins.report.study.sections import bases, cost, curves, differences, headline, reproduce, warnings
from tests.study.made_up import MadeUpStudy

THREE = ("base-a", "base-b", "base-c")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bases; on base-c alone ``static`` is better."""
    path = tmp_path_factory.mktemp("study") / "study"
    noise = lambda arm, seed: 0.004 * ((7 * seed + len(arm)) % 5)  # noqa: E731
    better = {"error-weighted": 0.03}
    MadeUpStudy(
        bases=THREE,
        gain=lambda arm, base, seed: (
            0.05 + better.get(arm, 0.0) + noise(arm, seed) + 0.06 * (arm == "static" and base == "base-c")
        ),
        tokens=lambda arm: 66_000 if arm == "static" else 60_000,
    ).write(path)
    return path


@pytest.fixture(scope="module")
def study(folder: Path) -> StudyData:
    return read_study(folder)


def read(wanted: MadeUpStudy, folder: Path) -> StudyData:
    wanted.write(folder / "study")
    return read_study(folder / "study")


def made(section: Section | None) -> Section:
    assert section is not None
    return section


def row(section: Section, table: int, first: str) -> list[str]:
    return next(list(cells) for cells in section.tables[table].rows if cells[0] == first)


# What is said


def test_each_tested_difference_is_a_sentence_with_the_figures_of_a_t_test(tmp_path: Path) -> None:
    """On one base with five seeds the test is the ordinary paired one."""
    from scipy import stats

    study = read(MadeUpStudy(), tmp_path)
    answers = {answer.question: answer for answer in headline.section(study).content["answers"]}
    assert list(answers) == ["static against uniform", "error-weighted against uniform"]
    answer = answers["error-weighted against uniform"]
    arms = {arm.name: arm for arm in study.arms}
    pairs = [arms["error-weighted"].curves[run][-1] - curve[-1] for run, curve in arms["uniform"].curves.items()]
    test = stats.ttest_1samp(pairs, 0)
    low, high = test.confidence_interval()
    signed = [f"{100 * value:+.1f}".replace("-", "−") for value in (low, high)]
    assert (
        f"is {100 * sum(pairs) / 5:.1f} points above uniform, 95% interval {signed[0]}\xa0to\xa0{signed[1]}"
        in answer.text
    )
    assert f"p = {test.pvalue:.2g}, " in answer.text
    assert "corrected for 2 comparisons (5 pairs of runs): significant at 5%." in answer.text
    assert answer.verdict == f"+{100 * sum(pairs) / 5:.1f} points, significant at 5%"
    assert answers["static against uniform"].verdict.endswith(", not significant")
    assert headline.section(study).answer == "Does drawing by errors pay?"
    assert headline.section(study).notes[0] == "Made up: no run was made."


def test_not_significant_is_said_not_to_mean_no_difference(tmp_path: Path) -> None:
    warned = "“Not significant” is not “no difference”"
    study = read(MadeUpStudy(), tmp_path)
    assert any(note.startswith(warned) for note in headline.section(study).notes)
    sure = replace(study, differences={"error-weighted": study.differences["error-weighted"]})
    assert not any(note.startswith(warned) for note in headline.section(sure).notes)


def test_where_nothing_can_be_tested_no_verdict_is_given(tmp_path: Path) -> None:
    study = read(MadeUpStudy(seeds=(3,)), tmp_path)
    answer = headline.section(study).content["answers"][1]
    assert answer.verdict == "+5.4 points, not tested"
    assert "by 1 pair of runs: too few to test" in answer.text
    forest = differences.section(study)
    assert [trace["name"] for trace in forest.figures[0].data] == ["not tested"]
    assert row(forest, 0, "static")[2:6] == ["–", "–", "–", "–"]


def test_the_interval_for_other_bases_is_told_where_there_is_one(study: StudyData, tmp_path: Path) -> None:
    found = study.tested["static"]
    assert found.bases_low is not None
    assert found.bases_high is not None
    text = headline.section(study).content["answers"][0].text
    interval = f"{100 * found.bases_low:+.1f}\xa0to\xa0{100 * found.bases_high:+.1f}".replace("-", "−")
    assert text.endswith(f"For other bases of the kind the interval is {interval}.")
    (thin, thick, *_) = differences.section(study).figures[0].data
    assert (thin["name"], thick["name"]) == ("95%, other bases", "95%, these bases")
    assert thin["line"]["width"] < thick["line"]["width"]
    assert thin["x"][:2] == pytest.approx([100 * found.bases_low, 100 * found.bases_high])
    two = differences.section(read(MadeUpStudy(bases=THREE[:2]), tmp_path))
    assert "95%, other bases" not in [trace["name"] for trace in two.figures[0].data]
    assert any("takes three bases" in note for note in two.notes)


def test_the_forest_plot_shows_points_and_intervals_of_the_tested_score_and_zero(study: StudyData) -> None:
    (figure,) = differences.section(study).figures
    assert figure.labels == ["static", "error-weighted"]
    bars = next(trace for trace in figure.data if trace["name"] == "95%, these bases")
    for y, found in enumerate(study.tested.values()):
        assert bars["y"][3 * y : 3 * y + 2] == [y, y]
        assert bars["x"][3 * y : 3 * y + 2] == pytest.approx([100 * (found.low or 0), 100 * (found.high or 0)])
    marks = [trace for trace in figure.data if trace["mode"] == "markers"]
    places = {y: x for trace in marks for x, y in zip(trace["x"], trace["y"], strict=True)}
    assert places == {y: pytest.approx(100 * (f.mean or 0)) for y, f in enumerate(study.tested.values())}
    (zero,) = figure.layout["shapes"]
    assert (zero["x0"], zero["x1"], zero["yref"]) == (0, 0, "paper")


def test_all_scores_are_in_a_table_that_says_which_was_tested(study: StudyData) -> None:
    table = differences.section(study).tables[1]
    assert table.caption.endswith("none but “after the last round” was tested")
    assert table.columns[1:] == [
        "after the last round", "after round 1", "after round 2", "mean of the rounds", "gained per 100k tokens",
    ]  # fmt: skip
    mean = study.differences["error-weighted"]["round-1"].mean or 0
    assert row(differences.section(study), 1, "error-weighted")[2].startswith(f"+{100 * mean:.1f} (")


def test_curves_show_the_mean_of_each_arm_and_every_run(study: StudyData) -> None:
    section = made(curves.section(study))
    faint, means = section.figures[0].data[:3], section.figures[0].data[3:]
    for arm, runs, mean in zip(study.arms, faint, means, strict=True):
        assert mean["y"] == pytest.approx([100 * value for value in arm.mean])
        assert sum(value is None for value in runs["x"]) == len(arm.curves) == 15
        assert runs["y"][:4] == pytest.approx([100 * value for value in next(iter(arm.curves.values()))])
    assert len(section.tables[1].rows) == 45
    assert section.tables[1].rows[-1][:3] == ["error-weighted", "base-c", "4"]


def test_one_base_that_makes_the_result_is_seen(study: StudyData) -> None:
    section = made(bases.section(study))
    paired = study.tested["static"].paired
    rest = [value for base in THREE[:2] for value in paired[base].values()]
    everywhere = [value for base in THREE for value in paired[base].values()]
    said = f"by {100 * sum(everywhere) / 15:+.1f} points; without base-c, which speaks for it most, by "
    assert said + f"{100 * sum(rest) / 10:+.1f}.".replace("-", "−") in section.answer
    (figure,) = section.figures
    assert figure.labels == list(THREE)
    seeds = figure.data[0]
    assert seeds["x"] == pytest.approx([100 * value for value in everywhere])
    assert [round(y) for y in seeds["y"]] == [0] * 5 + [1] * 5 + [2] * 5
    assert {trace["marker"]["color"] for trace in figure.data} == {"@blue", "@orange"}


def test_on_one_base_each_arm_has_a_row_of_its_own(tmp_path: Path) -> None:
    section = made(bases.section(read(MadeUpStudy(), tmp_path)))
    assert section.figures[0].labels == ["static", "error-weighted"]
    assert [set(trace["y"]) for trace in section.figures[0].data] == [{0}, {0}, {1}, {1}]
    assert "error-weighted is above uniform in 5 of 5 pairs of runs on embedded." in section.answer


def test_gain_and_budgets_are_those_of_the_arms(study: StudyData) -> None:
    section = made(cost.section(study))
    static = next(arm for arm in study.arms if arm.name == "static")
    (point,) = [trace for trace in section.figures[0].data if trace["name"] == "static"]
    assert (point["x"], point["y"]) == ([198_000.0], [pytest.approx(100 * (static.mean[-1] - static.mean[0]))])
    assert row(section, 1, "static")[1:5] == ["198,000", "1,200", "90", "306"]
    assert row(section, 1, "static")[5:] == ["0.26", "62 s"]
    gain = 1e7 * (static.mean[-1] - static.mean[0]) / 198_000
    assert row(section, 0, "static")[3].startswith(f"+{gain:.1f} (")


def test_what_was_not_equal_and_what_did_not_end_is_warned_of(study: StudyData, tmp_path: Path) -> None:
    assert made(warnings.section(study)).content["said"] == ["Budget: static used 10% more tokens than uniform."]
    failed = read(MadeUpStudy(ended=lambda job: job.arm != "static" or job.seed > 1), tmp_path)
    (said,) = made(warnings.section(failed)).content["said"]
    assert said.startswith("Incomplete: 2 of 15 runs did not end (static 2 of 5).")
    assert "(not finished)" in page_of(tmp_path / "study")
    assert warnings.section(replace(failed, finished=15)) is None


def test_settings_and_the_command_are_told(study: StudyData) -> None:
    section = reproduce.section(study)
    assert section.content["command"] == "saidpo study 'made up.toml' --on=embedded"
    assert section.tables[0].columns == ["arm", "sampler", "sampler.eps"]
    assert row(section, 0, "uniform") == ["uniform", "uniform", "–"]
    assert row(section, 0, "error-weighted") == ["error-weighted", "error-weighted", "0.2"]
    assert row(section, 1, "trainer.steps") == ["trainer.steps", "30"]


def test_arms_differ_in_look_however_many_and_long_names_are_numbered(study: StudyData) -> None:
    many = [replace(study.arms[0], name=f"clusterer.k={k}, sampler=uniform") for k in range(60)]
    found = list(looks(replace(study, arms=tuple(many))).values())
    assert len({(look.colour, look.symbol, look.dash) for look in found}) == 60
    for one, other in pairwise(found[1:]):  # neighbours differ in each, for who sees no colours
        assert one.colour != other.colour
        assert one.symbol != other.symbol
        assert one.dash != other.dash
    assert found[10].name == "11. clusterer.k=10, sampler=uniform"
    assert all(len(look.legend) <= 38 for look in found)
    assert [look.name for look in looks(study).values()] == ["uniform", "static", "error-weighted"]
    assert [look.colour for look in looks(study).values()] == ["@grey", "@blue", "@orange"]


@pytest.mark.parametrize(
    "wanted",
    [
        MadeUpStudy(ended=lambda job: False),
        MadeUpStudy(ended=lambda job: job.arm == "uniform"),
        MadeUpStudy(ended=lambda job: job.arm != "uniform"),
        MadeUpStudy(ended=lambda job: job.arm != "static"),
        MadeUpStudy(seeds=(0,), rounds=1),
        MadeUpStudy(seeds=(0,), bases=THREE),
        MadeUpStudy(gain=lambda arm, base, seed: 0.0),
        MadeUpStudy(gain=lambda arm, base, seed: -0.05 if arm == "static" else 0.1),
        MadeUpStudy(score="round-2", rounds=20),
        MadeUpStudy(score="per-100k-tokens", texts={}),
        MadeUpStudy(tokens=lambda arm: 0),
        MadeUpStudy(bases=THREE, ended=lambda job: job.base == "base-b"),
    ],
    ids=[
        "nothing ended", "the reference alone", "all but the reference", "an arm without runs", "one run each",
        "one seed on each base", "all alike", "the same in each pair", "many rounds", "per token", "no tokens",
        "one base of three",
    ],
)  # fmt: skip
def test_unusual_studies_have_a_page_too(tmp_path: Path, wanted: MadeUpStudy) -> None:
    import plotly.graph_objects as go

    study = read(wanted, tmp_path)
    sections = sections_of(study)
    for section in sections:
        assert section.tables or section.template, section.id
        for figure in section.figures:
            spec = json.loads(re.sub(r'"@[a-z-]+"', '"#123456"', json.dumps(figure.spec())))
            go.Figure(data=spec["data"], layout=spec["layout"])
            assert len(figure.alt) > 30
    page = page_of(tmp_path / "study")
    shown = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None)\b", shown)
    assert [link in page for link in ('href="#summary"', 'href="#reproduce"')] == [True, True]


def test_the_same_study_gives_the_same_page(folder: Path) -> None:
    assert page_of(folder) == page_of(folder)
