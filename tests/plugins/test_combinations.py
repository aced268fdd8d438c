"""Every bundled clusterer, difficulty and sampler together, and every pair builder with every trainer: one tiny round.

The default suite runs each component at least once, in combinations that differ in all parts; the slow tests run all.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from saidpo_core.registry import load_registry
from saidpo_core.runner import start
from saidpo_core.settings import resolve

REGISTRY = load_registry()
TINY = {
    "pool.size": 120,
    "pool.held_out": 1,
    "embedder": "tfidf",
    "rounds": 1,
    "probe_min": 16,
    "draw": 12,
    "samples": 4,
    "max_pairs": 4,
    "generator.max_new_tokens": 48,
    "trainer.steps": 1,
    "trainer.batch_size": 4,
    "trainer.micro_batch_size": 4,
}


KINDS = ("clusterer", "difficulty", "sampler", "pair-builder", "trainer")


def bundled(kind: str) -> list[str]:
    return sorted(offer.component.name for offer in REGISTRY.of_kind(kind) if offer.bundled)


def spread(*names: Sequence[str]) -> list[tuple[str, ...]]:
    """As few combinations as hold every name at least once."""
    count = max(map(len, names))
    return [tuple(column[row % len(column)] for column in names) for row in range(count)]


def cases(*kinds: str) -> list[object]:
    """All combinations."""
    return [pytest.param(*item, id="-".join(item)) for item in itertools.product(*map(bundled, kinds))]


def run(path: Path, **components: str) -> Mapping[str, object]:
    """One round with these components; returns its row of the summary."""
    chosen = {kind.replace("_", "-"): name for kind, name in components.items()}
    trainer = REGISTRY.find("trainer", chosen.get("trainer", "dpo"), "")
    known = {f"trainer.{name}" for name in trainer.component.options.__dataclass_fields__}
    values = {key: value for key, value in TINY.items() if not key.startswith("trainer.") or key in known} | chosen
    settings = resolve(REGISTRY, values, dict.fromkeys(values, "test"))
    start(settings, REGISTRY, path)
    summary = json.loads((path / "summary.json").read_text())
    assert summary["finished"]
    row: Mapping[str, object] = summary["rounds"][1]
    assert (path / "round-1" / "05-train" / "model" / "model.safetensors").is_file()
    return row


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path_factory.getbasetemp() / "combinations-cache"))


@pytest.mark.parametrize("names", spread(*map(bundled, KINDS)), ids="-".join)
def test_every_component_runs(tmp_path: Path, names: tuple[str, ...]) -> None:
    row = run(tmp_path / "run", **dict(zip(KINDS, names, strict=True)))
    assert (row["explored"], row["pairs"], row["steps"]) == (28, 4, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("clusterer", "difficulty", "sampler"), cases("clusterer", "difficulty", "sampler"))
def test_every_selection_runs(tmp_path: Path, clusterer: str, difficulty: str, sampler: str) -> None:
    row = run(tmp_path / "run", clusterer=clusterer, difficulty=difficulty, sampler=sampler)
    assert row["explored"] == 28
    assert row["pairs"] == 4


@pytest.mark.slow
@pytest.mark.parametrize(("pair_builder", "trainer"), cases("pair-builder", "trainer"))
def test_every_pair_builder_feeds_every_trainer(tmp_path: Path, pair_builder: str, trainer: str) -> None:
    row = run(tmp_path / "run", pair_builder=pair_builder, trainer=trainer)
    assert row["pairs"] == 4
    assert row["steps"] == 1
