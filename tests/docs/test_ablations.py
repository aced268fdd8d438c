"""The ablations page in real runs, shortened: its comparisons, and what it says of ablations that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import FLAGS, Saidpo
from tests.docs.pages import DOCS, blocks, commands

pytestmark = pytest.mark.slow
PAGE = DOCS / "ablations.md"


def comparison(name: str) -> list[str]:
    """The command of the page that writes into ``runs/NAME``, with two seeds and tiny runs."""
    found = [command for item in blocks(PAGE, "bash") for command in commands(item) if f"runs/{name}" in command]
    ((_, *arguments),) = found
    return [*arguments, "--seeds=2", "--jobs=2", "--", *FLAGS, "--rounds=1"]


def test_an_arm_of_any_flags(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo(*comparison("difficulty"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "random - steps, after the last round:" in done.stdout
    for seed in (0, 1):
        one, other = (tmp_path / f"runs/difficulty/embedded/{arm}/seed-{seed}" for arm in ("steps", "random"))
        assert 'name = "steps"' in (one / "run.toml").read_text()
        assert 'name = "random"' in (other / "run.toml").read_text()
        assert probe(one) == probe(other)


def probe(run: Path) -> bytes:
    return (run / "round-1/01-probe/attempts-0000000.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("one", "other", "stage"),
    [
        (("--clusterer=none",), ("--sampler=uniform",), "02-weigh/draw.json"),
        (("--max-pairs=0",), ("--max-pairs=0", "--difficulty=random"), "04-pair/pairs.jsonl"),
    ],
    ids=["one cluster is uniform sampling", "without a limit of pairs difficulty has no say"],
)
def test_ablations_that_are_none(
    tmp_path: Path, saidpo: Saidpo, one: tuple[str, ...], other: tuple[str, ...], stage: str
) -> None:
    made = []
    for name, flags in (("one", one), ("other", other)):
        done = saidpo(*FLAGS, "--rounds=1", *flags, f"--run-dir={name}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        text = (tmp_path / name / "round-1" / stage).read_text()
        made.append(json.loads(text)["drawn"] if stage.endswith(".json") else text)
    assert made[0] == made[1]
    assert len(made[0]) > 1
