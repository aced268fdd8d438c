"""Keyed randomness: every random choice of a run has its own seed, a function of (run seed, round, stage, item).

So a run that was interrupted goes on with the very numbers that it would have drawn, and no choice depends on how
many numbers another one used.
"""

from __future__ import annotations

import hashlib
import json
from operator import index
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def keyed_seed(seed: int, *keys: str | int) -> int:
    """A seed in [0, 2^63) for these keys. Different keys give unrelated seeds; ``1`` and ``"1"`` are different keys."""
    parts = [index(seed), *(key if isinstance(key, str) else index(key) for key in keys)]
    # A JSON list is unambiguous: ("a", "b") and ("ab",) differ, and so do 1 and "1".
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1


def keyed_rng(seed: int, *keys: str | int) -> np.random.Generator:
    """A generator seeded with ``keyed_seed(seed, *keys)``."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(keyed_seed(seed, *keys)))
