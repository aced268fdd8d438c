"""How large the known datasets of pool ``hub`` are, for ``saidpo --dry-run``: a run is planned without fetching them.

Rows of their training splits as their pages give them, before anything is filtered; lengths of questions are assumed.
"""

from __future__ import annotations

import re
from typing import Protocol

from saidpo_core import PoolSize, UsageError

ROWS = {
    "numina-math-1.5": 896_215,
    "math": 7_500,
    "gsm8k": 7_473,
    "deepscaler": 40_315,
    "openr1-math": 93_733,
}
_NAME = re.compile(r"(?P<name>[^:=@]+)(?P<copy>=[^:]*)?(?:@[^:]*)?(?::[\d.]+)?")


class NamesDatasets(Protocol):
    @property
    def dataset(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> int: ...
    @property
    def held_out(self) -> int | float | str: ...


def plan_hub(options: NamesDatasets) -> PoolSize:
    """Of the sets that are known. Raises ``UsageError`` for others: those have to be loaded to be counted."""
    rows = 0
    for text in options.dataset:
        found = _NAME.fullmatch(text)
        if found is None or found["copy"] or found["name"] not in ROWS:
            raise UsageError(f"--pool.dataset={text}: its size is not known without loading it")
        rows += ROWS[found["name"]]
    if not rows:
        raise UsageError("--pool=hub needs --pool.dataset=NAME")
    held_out = options.held_out
    measured = min(held_out, rows // 10) if isinstance(held_out, int) else 0
    measured = round(held_out * rows) if isinstance(held_out, float) else measured
    problems = rows - measured
    return PoolSize(
        problems=min(problems, options.size) if options.size else problems,
        held_out=measured,
        question_characters=250.0,
        source="rows as the datasets' pages give them, before filtering",
    )
