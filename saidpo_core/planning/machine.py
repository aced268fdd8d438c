"""The machine that a plan is for: this one, or one that is named (``8xH100``, ``1x24GB``). Imports no torch."""

from __future__ import annotations

import os
import re
import subprocess
import time
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from saidpo_core.errors import UsageError
from saidpo_core.options import nearest
from saidpo_core.planning.records import Machine

GB = 1e9
_REQUEST = re.compile(r"(?:(?P<count>\d+)\s*x\s*)?(?P<device>.+)", re.IGNORECASE)
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>GB|GiB)", re.IGNORECASE)
_UNITS = {"gb": GB, "gib": 2.0**30}
_EXPECTED = "expected devices and memory or name, such as 8x80GB, 1x24GB, 8xH100"


@dataclass(frozen=True)
class Card:
    """What ``nvidia-smi`` says of one accelerator."""

    name: str
    memory: float
    """Bytes."""
    capability: str
    driver: str


def this_machine() -> Machine:
    """The accelerators of this machine, the smallest standing for all; else its processor."""
    cards = accelerators()
    if not cards:
        flops, bandwidth = cpu_speed()
        source = "measured now with numpy: a product of float32 matrices, and a copy"
        return Machine(
            device="cpu", devices=1, memory=memory_available(), bandwidth=bandwidth, flops=flops, source=source
        )
    smallest = min(cards, key=lambda card: card.memory)
    known = _known_as(smallest.name)
    return Machine(
        device=smallest.name,
        devices=len(cards),
        memory=smallest.memory,
        bandwidth=known["bandwidth"] * 1e9 if known else None,
        flops=known["tflops"] * 1e12 if known else None,
        source="data sheet, not measured" if known else "",
    )


def named_machine(text: str, where: str) -> Machine:
    """``8x80GB``, ``H100``, ``2 x A100-80GB``. Raises ``UsageError`` naming ``where`` for anything else."""
    found = _REQUEST.fullmatch(text.strip())
    count = int(found["count"] or 1) if found else 0
    if found is None or count < 1:
        raise UsageError(f"{where}: {_EXPECTED}; got {text!r}")
    device = found["device"].strip()
    size = _MEMORY.fullmatch(device)
    if size is None:
        known = next((row for row in data_sheets() if row["name"].lower() == device.lower()), None)
        if known is None:
            names = [row["name"] for row in data_sheets()]
            raise UsageError(f"{where}: {_EXPECTED}; got {text!r}.{nearest(device, names)}")
        return _from_sheet(known, count, known["memory"] * GB, "data sheet, not measured")
    memory = float(size["number"]) * _UNITS[size["unit"].lower()]
    if memory <= 0:
        raise UsageError(f"{where}: {_EXPECTED}; got {text!r}")
    same = [row for row in data_sheets() if abs(row["memory"] * GB - memory) < 0.05 * memory]
    if not same:
        return Machine(device=device, devices=count, memory=memory)
    slowest = min(same, key=lambda row: (row["tflops"], row["bandwidth"]))
    source = f"data sheet of the slowest card of this size that saidpo knows, {slowest['name']}; not measured"
    return _from_sheet(slowest, count, memory, source, device)


def data_sheets() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _sheets()["device"]
    return rows


@cache
def _sheets() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("devices.toml").read_text(encoding="utf-8"))


def _from_sheet(row: dict[str, Any], count: int, memory: float, source: str, name: str = "") -> Machine:
    return Machine(
        device=name or row["name"],
        devices=count,
        memory=memory,
        bandwidth=row["bandwidth"] * 1e9,
        flops=row["tflops"] * 1e12,
        source=source,
    )


def _known_as(name: str) -> dict[str, Any] | None:
    """The data sheet of a card by the name that its driver gives it."""
    matching = (row for row in data_sheets() if any(re.search(rf"\b{word}\b", name) for word in row["match"]))
    return next(matching, None)


def accelerators() -> list[Card]:
    """NVIDIA's, as their driver sees them, those that ``CUDA_VISIBLE_DEVICES`` leaves; empty if there are none."""
    command = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total,compute_cap,driver_version"]
    try:
        done = subprocess.run(
            [*command, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=2, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = []
    for line in done.stdout.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 6 and fields[3].isdigit():
            index, uuid, name, memory, capability, driver = fields
            if visible is None or {index, uuid} & {item.strip() for item in visible.split(",")}:
                cards.append(Card(name, int(memory) * 2.0**20, capability, driver))
    return cards


def memory_total() -> float:
    """Bytes that this process could have: of the machine, or of its control group if that allows less."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    limit = _number("/sys/fs/cgroup/memory.max")
    return total if limit is None else min(total, limit)


def memory_available() -> float:
    """Bytes that can be had now, without pushing others out."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return memory_total()
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    return free if limit is None or used is None else min(free, limit - used)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_speed() -> tuple[float, float]:
    """(FLOP/s of a float32 matrix product, bytes/s of reading and writing), best of a few; takes about 0.2 s."""
    import numpy as np

    n = 768
    a = np.full((n, n), 0.5, dtype=np.float32)
    block = np.zeros(2**25, dtype=np.uint8)  # 32 MiB: more than most caches hold
    other = np.empty_like(block)

    def best(work: Any) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        return max(min(times), 1e-9)

    return 2 * n**3 / best(lambda: a @ a), 2 * block.size / best(lambda: np.copyto(other, block))


def _number(path: str) -> float | None:
    try:
        return float(Path(path).read_text())
    except (OSError, ValueError):
        return None
