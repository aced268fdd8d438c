"""Peak memory of one real step in a process of its own: ``python peak_memory.py generate|train FOLDER OPTIONS``.

OPTIONS is JSON. Prints the peak in bytes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from saidpo_core import Pair, Problem, Request, Response, TrainingJob
from saidpo_core.conformance.trainer import SumsVerifier
from tests.memory import own_peak

QUESTION = "What is the sum of one and one? " * 3


def generate(folder: Path, options: dict[str, Any]) -> None:
    """``requests`` responses of ``max_new_tokens`` each: a random policy hardly ever ends one."""
    from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions

    count = options.pop("requests")
    problem = Problem(id="p", question=QUESTION, answer="2")
    with TransformersGenerator(TransformersOptions(**options)).load(folder) as engine:
        engine.generate([Request(problem=problem, seeds=tuple(range(count)))])


def train(folder: Path, options: dict[str, Any]) -> None:
    """A few steps on pairs of ``tokens`` tokens a response."""
    from saidpo_plugins.trainers.dpo import DPO, DPOOptions

    tokens = options.pop("tokens")
    size = options["batch_size"]

    def response(start: int) -> Response:
        ids = tuple((start + i) % 200 for i in range(tokens))
        return Response(text="x", token_ids=ids, logprobs=(-1.0,) * tokens, finish_reason="stop")

    pairs = [
        Pair(problem_id="p", prompt_ids=tuple(range(96)), chosen=response(i), rejected=response(i + 7))
        for i in range(2 * size)
    ]
    with tempfile.TemporaryDirectory() as out:
        job = TrainingJob(
            policy=folder,
            initial_policy=folder,
            out=Path(out),
            pairs=pairs,
            attempts=(),
            problems={},
            samples=2,
            verifier=SumsVerifier(),
            round=1,
            seed=0,
            progress=lambda done, total: None,
        )
        DPO(DPOOptions(**options)).train(job)


if __name__ == "__main__":
    what, where, given = sys.argv[1:]
    {"generate": generate, "train": train}[what](Path(where), json.loads(given))
    print(own_peak())
