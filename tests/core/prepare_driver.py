"""Prepares a pool, and kills itself at a given moment.

    python prepare_driver.py FOLDER MOMENT

``FOLDER/pool.parquet`` becomes tags, vectors, clusters in ``FOLDER/run``. Every call of the embedder is written down in
``FOLDER/embedded.txt``, begin and end. ``MOMENT``: ``never``; ``load N``: before row N; ``embed N``: in the embedder's
N-th call; ``write N``: before the N-th file of vectors appears; ``rename STAGE``: before this stage appears.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from saidpo_core import prepare, run_dir
from saidpo_core.events import Observers
from saidpo_core.parts import Parts
from saidpo_core.prepare import find_knowledge, load_pool
from saidpo_core.problem_file import outline_of
from saidpo_core.registry import load_registry
from saidpo_core.run_dir import RunDir
from saidpo_core.settings import resolve
from saidpo_plugins.pools import hub_prepare

prepare.EMBEDDED_TOGETHER = 4096


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class HashedWords:
    def __init__(self, log: Path, fatal: int) -> None:
        self.log, self.fatal = log, fatal
        self.calls = count(1)

    def embed(self, texts: Sequence[str], progress: Any) -> Any:
        self.write(f"begin {texts[0]}")
        if next(self.calls) == self.fatal:
            die()
        vectors = np.zeros((len(texts), 32), np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, crc32(word.encode()) % 32] += 1
        self.write(f"end {texts[0]}")
        return vectors

    def write(self, line: str) -> None:
        with self.log.open("a") as file:
            file.write(line + "\n")


def arm(moment: str) -> int:
    """Set the trap; the call of the embedder that is fatal, 0 for none."""
    what, _, which = moment.partition(" ")
    if what == "rename":
        rename = os.rename
        run_dir.os.rename = lambda a, b: die() if which in Path(b).name else rename(a, b)  # type: ignore[attr-defined]
    elif what == "write":
        written = count(1)
        write = prepare.write_atomically

        def write_or_die(path: Path, content: Any, **options: Any) -> None:
            if path.name.startswith("vectors") and next(written) == int(which):
                die()
            write(path, content, **options)

        prepare.write_atomically = write_or_die  # type: ignore[attr-defined]
    elif what == "load":
        rows = count()
        problem_of = hub_prepare.problem_of
        hub_prepare.problem_of = lambda *given: die() if next(rows) == int(which) else problem_of(*given)  # type: ignore
    return int(which) if what == "embed" else 0


def main() -> None:
    folder, moment = Path(sys.argv[1]), sys.argv[2]
    fatal = arm(moment)
    registry = load_registry()
    values = {
        "model": "m",
        "pool": "hub",
        "pool.dataset": [f"numina-math-1.5={folder / 'pool.parquet'}"],
        "pool.tags": ["tags"],
        "clusterer": "minibatch-kmeans",
    }
    parts = Parts(resolve(registry, values, {key: key for key in values}), registry)
    parts.embedder = HashedWords(folder / "embedded.txt", fatal)
    run = RunDir(folder / "run", Observers(registry.manager))
    sets = load_pool(run, parts, 0)
    find_knowledge(run, parts, sets, outline_of(sets.problems), 0)


if __name__ == "__main__":
    main()
