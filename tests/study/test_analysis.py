"""What a study says of its settings, beside its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import saidpo_core
from saidpo_core.errors import UsageError
from saidpo_core.registry import load_registry
from saidpo_core.study.analysis import analyse
from saidpo_core.study.compare import plan_comparison
from tests.study.made_up import MadeUpStudy


def test_settings_that_arms_share_stand_once_and_those_that_differ_with_each(tmp_path: Path) -> None:
    result = MadeUpStudy().write(tmp_path / "study")
    assert json.loads((tmp_path / "study/study.json").read_text()) == result
    assert result["settings"] == {"rounds": 3, "samples": 4, "trainer.steps": 30, "round_tokens": "auto"}
    assert {name: arm["settings"] for name, arm in result["arms"].items()} == {
        "uniform": {"sampler": "uniform", "sampler.eps": None},  # it has no such option
        "static": {"sampler": "static", "sampler.eps": 0.1},  # its default
        "error-weighted": {"sampler": "error-weighted", "sampler.eps": 0.2},
    }
    assert result["command"] == "saidpo study 'made up.toml' --on=embedded"
    assert result["saidpo"] == saidpo_core.__version__


def test_an_arm_of_which_no_run_ended_has_its_settings_too(tmp_path: Path) -> None:
    result = MadeUpStudy(ended=lambda job: job.arm != "static").write(tmp_path / "study")
    assert result["arms"]["static"] == {
        "runs": 0, "planned": 5, "settings": {"sampler": "static", "sampler.eps": 0.1},
    }  # fmt: skip


def test_an_arm_of_fewer_rounds_has_empty_cells_and_its_budgets_stand_in_their_columns(tmp_path: Path) -> None:
    MadeUpStudy(arms={"three": {}, "one": {"rounds": 1}}).write(tmp_path / "study")
    head, _, three, one = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (tmp_path / "study/study.md").read_text().splitlines()
        if line.startswith("| ")
    ][:4]
    assert len(head) == len(three) == len(one)
    assert head[:6] == ["arm", "start", "round 1", "round 2", "round 3", "tokens"]
    assert (one[0], one[3:6]) == ("one", ["", "", "60,000"])
    assert (three[0], three[5]) == ("three", "180,000")


def test_a_finished_record_of_another_shape_is_named(tmp_path: Path) -> None:
    study = MadeUpStudy().plan(tmp_path / "study")
    study.jobs[0].folder.mkdir(parents=True)
    file = study.jobs[0].folder / "summary.json"
    file.write_text('{"finished": true}')
    with pytest.raises(UsageError, match=rf"^{file} cannot be read \(KeyError: 'rounds'\); take it from a copy"):
        analyse(study)


def test_the_pairs_of_the_tested_score_are_told_and_their_mean_is_the_difference(tmp_path: Path) -> None:
    wanted = MadeUpStudy(bases=("a", "b"), seeds=(3, 4), ended=lambda job: str(job) != "uniform, b, seed 4")
    tested = wanted.write(tmp_path / "study")["comparisons"]["error-weighted"]
    paired = tested["final"]["paired"]
    assert {base: list(of) for base, of in paired.items()} == {"a": ["3", "4"], "b": ["3"]}
    values = [value for of in paired.values() for value in of.values()]
    assert sum(values) / 3 == pytest.approx(tested["final"]["mean"])
    assert "paired" not in tested["mean"]


def test_a_comparison_tells_the_command_that_makes_it_again(tmp_path: Path) -> None:
    study = plan_comparison(
        load_registry(), samplers="uniform,static", arms=["no clusters: --clusterer=none"], arm_options=[], seeds=2,
        first_seed=3, out=tmp_path, config=None, flags=["--rounds=1", "--trainer.steps=3"],
    )  # fmt: skip
    assert study.command == (
        "compare", "--samplers=uniform,static", "--arm=no clusters: --clusterer=none", "--seeds=2", "--first-seed=3",
        "--", "--rounds=1", "--trainer.steps=3",
    )  # fmt: skip


def test_the_file_of_a_run_gives_a_comparison_its_model_and_limit_and_no_seed(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('model = "embedded-1"\nseed = 7\nround_tokens = 900\nrounds = 1\ntrainer = { steps = 3 }\n')

    def planned(*flags: str) -> list[str]:
        study = plan_comparison(
            load_registry(), samplers=None, arms=[], arm_options=[], seeds=2, first_seed=3, out=tmp_path, config=file,
            flags=flags,
        )  # fmt: skip
        job = study.jobs[0]
        return [*study.bases, study.tokens, str(job.settings.run.round_tokens), job.settings.run.model, str(job.seed)]

    assert planned() == ["embedded-1", "900", "900", "embedded-1", "3"]
    assert planned("--round-tokens=0", "--model=embedded") == ["embedded", "free", "0", "embedded", "3"]
