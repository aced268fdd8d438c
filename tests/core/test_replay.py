"""``saidpo replay`` on a real run: the same hooks select the same to the bit, others select otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from saidpo_core.errors import UsageError
from saidpo_core.registry import load_registry
from saidpo_core.replay import Replay, as_text, replay_run
from tests.command import FinishedRun, Saidpo


def replayed(run: FinishedRun, **changes: str) -> Replay:
    values = {key.replace("__", ".").replace("pair_builder", "pair-builder"): value for key, value in changes.items()}
    return replay_run(load_registry(), run.path, values)


def test_the_runs_own_hooks_select_what_the_run_selected(finished: FinishedRun) -> None:
    found = replayed(finished)
    assert found.changed == []
    assert [item.round for item in found.rounds] == [1, 2]
    for item in found.rounds:
        stored = json.loads((finished.path / f"round-{item.round}/02-weigh/draw.json").read_text())
        assert item.drawn == item.drawn_too == len(stored["drawn"])
        assert item.moved == 0
        assert item.yield_run == item.yield_replay
        assert item.same_pairs == item.run.pairs == item.replay.pairs > 0
        assert item.run == item.replay
    assert "nothing is another" in as_text(found)


def test_another_sampler_draws_otherwise_and_the_pairs_stay(finished: FinishedRun) -> None:
    found = replayed(finished, sampler="uniform")
    assert found.changed[0] == "sampler.name: error-weighted -> uniform"
    assert any(item.drawn_too < item.drawn for item in found.rounds)
    assert all(0 < item.moved < 1 for item in found.rounds)
    assert all(item.run == item.replay for item in found.rounds)
    assert "cannot say what a policy" in as_text(found)


def test_another_limit_and_pair_builder_keep_other_pairs_of_the_same_responses(finished: FinishedRun) -> None:
    found = replayed(finished, max_pairs="0", pair_builder="all")
    for item in found.rounds:
        assert item.drawn == item.drawn_too
        assert item.replay.pairs >= item.run.pairs == item.same_pairs
        assert item.replay.problems >= item.run.problems
    assert sum(item.replay.pairs for item in found.rounds) > sum(item.run.pairs for item in found.rounds)


def test_other_clusters(finished: FinishedRun) -> None:
    found = replayed(finished, clusterer="none")
    assert found.changed[0] == "clusterer.name: kmeans -> none"
    assert all(item.moved == 0 for item in found.rounds)  # all is one cluster
    assert all(item.covered == 1 for item in found.rounds)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("trainer", "--trainer: a replay neither generates nor trains; it heeds --clusterer, --difficulty"),
        ("samples", "--samples: a replay neither generates nor trains"),
    ],
)
def test_what_it_cannot_heed(finished: FinishedRun, key: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replayed(finished, **{key: "sft"})


def test_what_is_no_run_or_has_not_got_so_far(finished: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run of saidpo"):
        replay_run(load_registry(), tmp_path, {})
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("round-*"))
    with pytest.raises(UsageError, match="no round of this run has built its pairs yet"):
        replay_run(load_registry(), tmp_path / "run", {})


def test_from_the_command_line(finished: FinishedRun, saidpo: Saidpo, tmp_path: Path) -> None:
    done = saidpo("replay", str(finished.path), "--json", "--difficulty=random", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert tree["changed"][0] == "difficulty.name: steps -> random"
    wrong = saidpo("replay", str(finished.path), "--sampler.alpa=2", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--sampler.alpa" in wrong.stderr
    assert "Did you mean alpha?" in wrong.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_value_is_the_flags_and_not_the_files(finished: FinishedRun) -> None:
    assert "alpha" in (finished.path / "run.toml").read_text()
    with pytest.raises(UsageError, match=r"^--sampler\.alpha: "):
        replayed(finished, sampler__alpha="nan")


def test_means_over_no_pairs_are_neither_shown_nor_told_as_numbers(
    finished: FinishedRun, saidpo: Saidpo, tmp_path: Path
) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    (tmp_path / "run/round-1/04-pair/pairs.jsonl").write_text("")
    shown = as_text(replay_run(load_registry(), tmp_path / "run", {}))
    assert "nan" not in shown
    row = next(line for line in shown.splitlines() if line.strip().startswith("1  "))
    assert row.count("  - -> ") == 3, row  # tokens of the chosen and the rejected, and the margin
    done = saidpo("replay", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "NaN" not in done.stdout
    assert json.loads(done.stdout)["rounds"][0]["run"]["margin"] is None


DATA = (
    "start/01-pool/problems.jsonl",
    "start/02-tag/tags.jsonl",
    "start/03-embed/index.npy",
    "start/04-cluster/clusters.safetensors",
    "round-1/01-probe/attempts-0000000.jsonl",
    "round-1/02-weigh/draw.json",
    "round-2/03-explore/attempts-0000000.jsonl",
    "round-2/04-pair/pairs.jsonl",
)


@pytest.mark.parametrize("name", DATA)
def test_a_file_that_is_missing_or_damaged_is_named(finished: FinishedRun, tmp_path: Path, name: str) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    file = tmp_path / "run" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    where = file.parent if "03-embed" in name else file  # one of several
    with pytest.raises(UsageError, match=rf"^{where} cannot be read \(.*\); take it from a copy of the run$"):
        replay_run(load_registry(), tmp_path / "run", {})
    file.unlink()
    with pytest.raises(UsageError, match=rf"^{file} is missing; a replay needs all"):
        replay_run(load_registry(), tmp_path / "run", {})


def test_a_copy_of_a_round_beside_it_is_no_round_and_one_that_is_missing_is_named(
    finished: FinishedRun, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.path, run)
    shutil.copytree(run / "round-1", run / "round-1-old")
    assert [item.round for item in replay_run(load_registry(), run, {}).rounds] == [1, 2]
    shutil.rmtree(run / "round-1")
    with pytest.raises(UsageError, match=r"round-1/01-probe/stage\.json is missing"):
        replay_run(load_registry(), run, {})
