"""What plans are tried with: a small and a large model, on a small and a large machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from saidpo_core.planning.records import Machine, ModelShape

SMALL = ModelShape(
    name="small",
    parameters=20_000_000,
    layers=4,
    hidden=256,
    intermediate=1024,
    heads=4,
    kv_heads=2,
    head_size=64,
    vocabulary=32_000,
    positions=4096,
)
LARGE = replace(
    SMALL,
    name="large",
    parameters=7_000_000_000,
    layers=32,
    hidden=4096,
    intermediate=14_336,
    heads=32,
    kv_heads=8,
    head_size=128,
    positions=None,
)


def machines() -> Iterator[Machine]:
    yield Machine(device="cpu", devices=1, memory=16e9, bandwidth=20e9, flops=1e11)
    yield Machine(device="card", devices=1, memory=24e9)
    yield Machine(device="card", devices=8, memory=80e9, bandwidth=2e12, flops=3e14)
