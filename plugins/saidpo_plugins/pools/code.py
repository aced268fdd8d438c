"""Pool ``code``: about fifty small Python problems with tests, for the verifier ``code``.

**Ours**, written for this project: strings, lists, number theory, dynamic programming, graphs, parsing, simulation and
more, half of them programs that read standard input and half functions and classes. Each has tags, and some in several
areas are held out. Enough to try the code domain, not to train a model on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saidpo_core import Component, NoOptions, Pool, ProblemSets, hookimpl
from saidpo_plugins.common.code_problems import code_problem

if TYPE_CHECKING:
    import numpy as np

_FILE = Path(__file__).with_name("code_problems.toml")


class CodePool:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def load(self, rng: np.random.Generator) -> ProblemSets:
        """The problems; ``rng`` is left alone, the pool is a fixed one."""
        import tomllib

        rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["problem"]
        made = [
            (
                row.get("held_out", False),
                code_problem(row["id"], row["question"], row["tests"], tags=tuple(row["tags"]), group=row["group"]),
            )
            for row in rows
        ]
        return ProblemSets(
            problems=tuple(problem for held_out, problem in made if not held_out),
            held_out=tuple(problem for held_out, problem in made if held_out),
            notes=("The pool code holds a few dozen small problems: it shows the code domain, it trains no model.",),
        )


@hookimpl
def saidpo_pools() -> list[Component[Pool]]:
    return [
        Component(
            name="code",
            summary="some fifty small Python problems with tests, for the verifier code",
            build=CodePool,
        )
    ]
