"""``run.toml``: a run goes on only with the settings and the model that it was started with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from saidpo_core.errors import SaidpoError, UsageError
from saidpo_core.registry import load_registry
from saidpo_core.run_record import agree, fingerprint, take_back
from saidpo_core.settings import Settings, resolve


@pytest.fixture(scope="module")
def settings() -> Settings:
    return resolve(load_registry(), {}, {})


@pytest.fixture
def model(settings: Settings, tmp_path: Path) -> Path:
    assert settings.policy is not None
    shutil.copytree(settings.policy.folder, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_the_same_settings_and_model_go_on(settings: Settings, model: Path, run: Path) -> None:
    agree(settings, model, run)
    before = (run / "run.toml").read_bytes()
    agree(settings, model, run)
    assert (run / "run.toml").read_bytes() == before


def test_a_model_that_was_trained_again_is_noticed(settings: Settings, model: Path, run: Path) -> None:
    agree(settings, model, run)
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    with pytest.raises(UsageError, match="was changed since the run"):
        agree(settings, model, run)


def test_other_settings_are_refused_with_the_difference(settings: Settings, model: Path, run: Path) -> None:
    agree(settings, model, run)
    other = resolve(load_registry(), {"seed": 1, "clusterer.k": 7}, {"seed": "--seed", "clusterer.k": "--clusterer.k"})
    with pytest.raises(UsageError, match=r"(?s)seed: 0 -> 1.*clusterer.k: auto -> 7"):
        agree(other, model, run)


def test_a_run_of_a_version_with_fewer_options_goes_on_with_their_defaults(
    settings: Settings, model: Path, run: Path
) -> None:
    agree(settings, model, run)
    file = run / "run.toml"
    lines = file.read_text().splitlines(keepends=True)
    older = [line for line in lines if not line.startswith(("chunk = ", "probe_min = ", "alpha = "))]
    assert len(older) == len(lines) - 3
    file.write_text("".join(older))
    agree(settings, model, run)
    changed = {"generator.chunk": 7, "probe_min": 9}
    other = resolve(load_registry(), changed, {key: f"--{key}" for key in changed})
    with pytest.raises(UsageError, match=r"(?s)probe_min: 120 -> 9.*generator.chunk: 64 -> 7"):
        agree(other, model, run)


def test_a_fingerprint_sees_names_sizes_and_both_ends(model: Path) -> None:
    first = fingerprint(model)
    assert fingerprint(model) == first
    (model / "config.json").rename(model / "config2.json")
    assert fingerprint(model) != first


def test_settings_that_failed_before_any_policy_was_asked_are_forgotten(
    settings: Settings, model: Path, run: Path
) -> None:
    agree(settings, model, run)
    pool = run / "start" / "01-pool"
    pool.mkdir(parents=True)
    (pool / "stage.json").touch()
    take_back(run, SaidpoError("disk full"))
    assert pool.is_dir()
    take_back(run, UsageError("no tags"))
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("asked", ["start/05-evaluate", "start/05-evaluate.partial", "round-1/01-probe.partial"])
def test_what_a_policy_has_answered_is_never_thrown_away(
    settings: Settings, model: Path, run: Path, asked: str
) -> None:
    agree(settings, model, run)
    (run / asked).mkdir(parents=True)
    take_back(run, UsageError("no tags"))
    assert (run / asked).is_dir()
    assert (run / "run.toml").is_file()
