"""How many problems pool ``hub`` takes of each dataset, and how large the known ones are: ``saidpo --dry-run`` plans
a run without fetching them.

Rows of their splits as their pages give them, before anything is filtered; lengths of questions are assumed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from saidpo_core import PoolSize, UsageError

ROWS = {
    "numina-math-1.5": 896_215,
    "math": 7_500,
    "gsm8k": 7_473,
    "deepscaler": 40_315,
    "openr1-math": 93_733,
}
"""Of the split that is trained on."""
TEST_ROWS = {"math": 5_000, "gsm8k": 1_319}
_NAME = re.compile(r"(?P<name>[^:=@]+)(?P<copy>=[^:]*)?(?:@[^:]*)?(?::(?P<weight>[\d.]+))?")


class NamesDatasets(Protocol):
    @property
    def dataset(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> int: ...
    @property
    def held_out(self) -> int | float | str: ...


def plan_hub(options: NamesDatasets) -> PoolSize:
    """Of the sets that are known. Raises ``UsageError`` for others: those have to be loaded to be counted."""
    if not options.dataset:
        raise UsageError("--pool=hub needs --pool.dataset=NAME")
    rows, weights, tests = [], [], []
    for text in options.dataset:
        found = _NAME.fullmatch(text)
        if found is None or found["copy"] or found["name"] not in ROWS:
            raise UsageError(f"--pool.dataset={text}: its size is not known without loading it")
        rows.append(ROWS[found["name"]])
        weights.append(None if found["weight"] is None else float(found["weight"]))
        tests.append(TEST_ROWS.get(found["name"]))
    held_out, total = options.held_out, sum(rows)
    if isinstance(held_out, str):
        if held_out != "test" or None in tests:
            raise UsageError(f"--pool.held_out={held_out}: the size of this split is not known without loading it")
        measured = sum(count or 0 for count in tests)
    else:
        measured = round(held_out * total) if isinstance(held_out, float) else min(held_out, total // 10)
        rows = [count - round(measured * count / total) for count in rows]  # set aside at random
    return PoolSize(
        problems=sum(mix_sizes(rows, weights, options.size)),
        held_out=measured,
        question_characters=250.0,
        source="rows as the datasets' pages give them, before filtering",
    )


def mix_sizes(have: Sequence[int], weights: Sequence[float | None], most: int) -> list[int]:
    """Problems of each dataset: all, or with weights as many as their proportions allow; at most ``most`` if not 0."""
    if all(weight is None for weight in weights):
        total = sum(have)
        if not most or most >= total:
            return list(have)
        return _whole([count * most / total for count in have], most)
    shares = [1.0 if weight is None else weight for weight in weights]
    scale = min((count / share for count, share in zip(have, shares, strict=True) if share), default=0.0)
    if most:
        scale = min(scale, most / sum(shares))
    return [min(count, int(scale * share + 1e-9)) for count, share in zip(have, shares, strict=True)]


def _whole(parts: list[float], total: int) -> list[int]:
    """Whole numbers of this sum, each next to its part: the largest remainders are rounded up."""
    floors = [int(part) for part in parts]
    order = sorted(range(len(parts)), key=lambda i: floors[i] - parts[i])
    for i in order[: total - sum(floors)]:
        floors[i] += 1
    return floors
