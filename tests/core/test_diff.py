"""``saidpo diff`` on real run directories, two of which part where their settings say they must."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from saidpo_core.diff import as_text, diff_runs
from saidpo_core.errors import UsageError
from tests.command import FinishedRun, Saidpo


@pytest.fixture
def copy(finished: FinishedRun, tmp_path: Path) -> Path:
    shutil.copytree(finished.path, tmp_path / "copy")
    return tmp_path / "copy"


def change(stage: Path, name: str, edit: object) -> None:
    """Edit a file of a stage and its hash, as a run that went otherwise would have written them."""
    path = stage / name
    rows = (
        [json.loads(line) for line in path.read_text().splitlines()]
        if name.endswith("l")
        else [json.loads(path.read_text())]
    )
    edit(rows)  # type: ignore[operator]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = json.loads((stage / "stage.json").read_text())
    manifest["files"][name] = "changed"
    (stage / "stage.json").write_text(json.dumps(manifest))


def test_a_run_and_its_copy(finished: FinishedRun, copy: Path) -> None:
    found = diff_runs(finished.path, copy)
    assert found.equal
    assert found.same == 6 + 6 * 2  # pool, preflight, tags, embeddings, clusters, the first measure; six a round
    text = as_text(found, finished.path, copy)
    assert "the same settings" in text
    assert "the same data in all 18 stages" in text


def test_the_problem_the_response_and_the_character_are_named(finished: FinishedRun, copy: Path) -> None:
    stage = copy / "round-1/03-explore"
    name = min(path.name for path in stage.glob("attempts-*"))

    def edit(rows: list[dict]) -> None:  # type: ignore[type-arg]
        rows[2]["responses"][1]["text"] = "Q" + rows[2]["responses"][1]["text"][1:]

    change(stage, name, edit)
    change(copy / "round-2/04-pair", "pairs.jsonl", lambda rows: rows.pop())
    found = diff_runs(finished.path, copy)
    rows = [json.loads(line) for line in (finished.path / "round-1/03-explore" / name).read_text().splitlines()]
    assert found.parted.startswith(f"round-1/03-explore: attempts, row 3 (problem {rows[2]['problem_id']}): ")
    assert "responses[1].text, character 0" in found.parted
    assert found.same == 8
    assert not found.equal


@pytest.mark.parametrize(
    ("stage", "name", "edit", "said"),
    [
        ("round-1/04-pair", "pairs.jsonl", lambda rows: rows.pop(), "pairs.jsonl: the first has more"),
        ("round-1/02-weigh", "draw.json", lambda rows: rows[0]["drawn"].pop(), "draw.json, row 1: length of drawn"),
    ],
)
def test_more_and_fewer(finished: FinishedRun, copy: Path, stage: str, name: str, edit: object, said: str) -> None:
    change(copy / stage, name, edit)
    assert diff_runs(finished.path, copy).parted.startswith(f"{stage}: {said}")


def test_a_run_that_is_not_finished(finished: FinishedRun, copy: Path) -> None:
    shutil.rmtree(copy / "round-2/06-evaluate")
    found = diff_runs(finished.path, copy)
    assert found.only == [f"round-2/06-evaluate is in {finished.path} alone"]
    assert not found.equal


def test_a_file_that_is_gone_is_not_called_the_same(finished: FinishedRun, copy: Path) -> None:
    (copy / "round-1/02-weigh/draw.json").unlink()
    found = diff_runs(finished.path, copy)
    assert found.gone == [f"{copy}/round-1/02-weigh/draw.json is missing"]
    assert not found.equal
    assert f"compared by hash alone:\n  {copy}/round-1/02-weigh/draw.json" in as_text(found, finished.path, copy)
    manifest = json.loads((copy / "round-1/02-weigh/stage.json").read_text())
    manifest["files"]["draw.json"] = "changed"
    (copy / "round-1/02-weigh/stage.json").write_text(json.dumps(manifest))
    assert diff_runs(finished.path, copy).parted == (
        "round-1/02-weigh: draw.json differs, by its hash: it is not there any more"
    )


@pytest.mark.parametrize("name", ["round-1/02-weigh/draw.json", "round-1/02-weigh/stage.json", "summary.json"])
def test_a_file_that_is_damaged_is_named(finished: FinishedRun, copy: Path, name: str) -> None:
    change(copy / "round-1/02-weigh", "draw.json", lambda rows: rows[0]["drawn"].pop())
    (copy / name).write_text('{"files": {"dr')
    with pytest.raises(UsageError, match=rf"^{copy}/{name} cannot be read \(JSONDecodeError"):
        diff_runs(finished.path, copy)


def test_a_copy_of_a_round_beside_it_is_no_stage(finished: FinishedRun, copy: Path) -> None:
    shutil.copytree(copy / "round-1", copy / "round-1-old")
    assert diff_runs(finished.path, copy).equal


@pytest.mark.slow
def test_from_the_command_line(finished: FinishedRun, saidpo: Saidpo, tmp_path: Path) -> None:
    other = saidpo(*finished.flags[:-1], "--sampler=uniform", "--rounds=1", "--run-dir=other", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    done = saidpo("diff", str(finished.path), "other", "--exit-code", cwd=tmp_path)
    assert done.returncode == 1
    assert "sampler.name: error-weighted -> uniform" in done.stdout
    assert "rounds: 2 -> 1" in done.stdout
    assert "the data part after 7 equal stages:\n  round-1/02-weigh: draw.json, row 1: drawn[" in done.stdout
    same = saidpo("diff", "other", "other", "--exit-code", "--json", cwd=tmp_path)
    assert same.returncode == 0
    assert json.loads(same.stdout)["settings"] == []


def test_what_is_no_run(tmp_path: Path, saidpo: Saidpo) -> None:
    with pytest.raises(UsageError, match=r"is not a run of saidpo: it has no run\.toml"):
        diff_runs(tmp_path, tmp_path)
    (tmp_path / "run.toml").write_text("= ")
    done = saidpo("diff", ".", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
