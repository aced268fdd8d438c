"""Every bundled component keeps every promise of its kind: ``saidpo check``, a test each."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from saidpo_core.conformance import run_checks
from saidpo_core.hookspecs import OFFERED
from saidpo_core.registry import Offer, Registry, load_registry

REGISTRY = load_registry()
LONG = {
    "arithmetic", "code", "hdbscan", "kmeans", "llm", "math", "openai", "ray", "reasoning-gym", "scripted",
    "sentence-transformers", "transformers", "hub", "local", "vllm",
}  # fmt: skip
"""Take seconds, as trainers and observers do: a policy is loaded, trained or asked, or a pool is made, many times."""


def bundled() -> Iterator[object]:
    for kind in OFFERED:
        for offer in REGISTRY.of_kind(kind):
            if offer.bundled:
                slow = kind in ("trainer", "observer") or offer.component.name in LONG
                name = f"{kind}/{offer.component.name}"
                yield pytest.param(offer, id=name, marks=[pytest.mark.slow] if slow else [])


@pytest.fixture(scope="module")
def registry() -> Registry:
    return REGISTRY


@pytest.mark.parametrize("offer", bundled())
def test_it_keeps_every_promise(
    registry: Registry, offer: Offer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if offer.component.needs == "vllm" and find_spec("vllm") is None:
        pytest.skip("has an environment of its own: tests/vllm/test_engine.py checks its promises there")
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path_factory.getbasetemp() / "conformance-cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    results = list(run_checks(offer, registry))
    assert len(results) >= 15
    bad = [
        f"{item.check.name}: {item.status}: {item.message}"
        for item in results
        if item.status not in ("passed", "skipped")
    ]
    assert bad == []
