"""How long a policy stays loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from saidpo_core.cli.entry import cli
from saidpo_core.engines import NO_CHANGES, KeptPolicy
from saidpo_core.parts import Parts
from saidpo_core.registry import load_registry
from saidpo_core.settings import resolve
from saidpo_plugins.generators.transformers import TransformersGenerator
from saidpo_plugins.trainers.dpo import DPO
from tests.tiny import TINY_RUN

A, B = Path("a"), Path("b")


class Loads:
    """Notes what is loaded and unloaded."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @contextmanager
    def load(self, policy: Path, changes: Mapping[str, Any]) -> Iterator[Any]:
        name = " ".join([policy.name, *(f"{key}={value}" for key, value in changes.items())])
        self.notes.append(f"load {name}")
        try:
            yield name
        except ValueError as error:
            self.notes.append(f"{error} in {name}")
            raise
        finally:
            self.notes.append(f"unload {name}")


def test_the_same_policy_is_loaded_once() -> None:
    loads = Loads()
    with KeptPolicy(loads.load) as kept:
        assert kept.engine(A, NO_CHANGES) is kept.engine(A, {})
        assert loads.notes == ["load a"]
    assert loads.notes == ["load a", "unload a"]


def test_another_one_or_other_options_come_after_it_was_unloaded() -> None:
    loads = Loads()
    with KeptPolicy(loads.load) as kept:
        kept.engine(A, {})
        kept.engine(A, {"top_p": 0.5})
        kept.engine(B, {})
        kept.engine(A, {})
    expected = [
        "load a",
        "unload a",
        "load a top_p=0.5",
        "unload a top_p=0.5",
        "load b",
        "unload b",
        "load a",
        "unload a",
    ]
    assert loads.notes == expected


def test_released_it_is_loaded_again() -> None:
    loads = Loads()
    with KeptPolicy(loads.load) as kept:
        kept.release()
        kept.engine(A, {})
        kept.release()
        assert loads.notes == ["load a", "unload a"]
        kept.engine(A, {})
    assert loads.notes == ["load a", "unload a"] * 2


def test_it_learns_of_an_error() -> None:
    loads = Loads()

    def lose() -> None:
        with KeptPolicy(loads.load) as kept:
            kept.engine(A, {})
            raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        lose()
    assert loads.notes == ["load a", "lost in a", "unload a"]


def test_one_that_cannot_be_loaded_leaves_nothing_behind() -> None:
    @contextmanager
    def refuse(policy: Path, changes: Mapping[str, Any]) -> Iterator[Any]:
        if policy == B:
            raise ValueError("no weights")
        yield policy

    with KeptPolicy(refuse) as kept:
        kept.engine(A, {})
        with pytest.raises(ValueError, match="no weights"):
            kept.engine(B, {})
        with pytest.raises(ValueError, match="no weights"):
            kept.engine(B, {})
        assert kept.engine(A, {}) == A


def test_a_run_loads_each_policy_once_and_trains_with_none_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured is what the next round probes and explores."""
    notes: list[str] = []
    load, train = TransformersGenerator.load, DPO.train

    @contextmanager
    def noted_load(self: TransformersGenerator, policy: Path) -> Iterator[Any]:
        notes.append("load")
        with load(self, policy) as engine:
            yield engine
        notes.append("unload")

    def noted_train(self: DPO, job: Any) -> Any:
        notes.append("train")
        return train(self, job)

    monkeypatch.setattr(TransformersGenerator, "load", noted_load)
    monkeypatch.setattr(DPO, "train", noted_train)
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path / "cache"))
    flags = [*TINY_RUN, "--rounds=2", "--embedder=tfidf", "--quiet", f"--run-dir={tmp_path / 'run'}"]
    cli.main(flags, prog_name="saidpo", standalone_mode=False)
    assert notes == ["load", "unload", "train"] * 2 + ["load", "unload"]


def test_options_that_are_those_of_the_run_need_no_load_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evaluator may ask for what is so anyway."""
    loads = Loads()
    monkeypatch.setattr(TransformersGenerator, "load", lambda self, policy: loads.load(policy, {}))
    registry = load_registry()
    with Parts(
        resolve(registry, {"generator.top_p": "0.9"}, {"generator.top_p": "--generator.top_p"}), registry
    ) as parts:
        parts.engine(A)
        parts.engine(A, {"top_p": 0.9})
        assert loads.notes == ["load a"]
        parts.engine(A, {"top_p": 0.8})
        assert loads.notes == ["load a", "unload a", "load a"]
