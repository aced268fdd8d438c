"""A component in a process of its own: what importing and building it drags in, and what it makes of ordinary input.

    python -m saidpo_core.conformance.alone KIND DISTRIBUTION/NAME

prints one JSON object. The hash seed of that process differs from ours, so that a component which depends on the order
of a set of texts gives another result there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saidpo_core.registry import Offer

HEAVY = (
    "accelerate", "datasets", "hdbscan", "jax", "math_verify", "matplotlib", "numpy", "openai", "pandas", "pydantic",
    "ray", "reasoning_gym", "scipy", "sentence_transformers", "sklearn", "sympy", "tensorflow", "torch",
    "transformers", "trl", "vllm",
)  # fmt: skip
SECONDS = 300


def report_of(offer: Offer) -> dict[str, Any]:
    """The report of a process of its own, for all checks that look at it."""
    return _run(offer.kind, offer.qualified, offer.owner.module)


def _run(kind: str, qualified: str, module: str) -> dict[str, Any]:
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") == "2" else "2"
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths}
    command = [sys.executable, "-m", __name__, kind, qualified, module]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return _nothing(f"not done after {SECONDS} s")
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return _nothing(f"exit code {done.returncode}: {last}")
    return report


def _nothing(problem: str) -> dict[str, Any]:
    return {"heavy imports": [], "heavy builds": [], "build seconds": 0.0, "result": None, "problem": problem}


def _heavy() -> list[str]:
    return [name for name in HEAVY if name in sys.modules]


def _report(kind: str, qualified: str, module: str) -> dict[str, Any]:
    """Import, build and work, noting after each what came along. Imports of ours are late: they are not the subject."""
    report = _nothing("")
    import_module(module.partition(":")[0])
    report["heavy imports"] = _heavy()

    from saidpo_core.conformance.kit import subject_of
    from saidpo_core.registry import load_registry

    registry = load_registry()
    offer = registry.find(kind, qualified, "check")
    default, before = offer.component.options(), _heavy()
    started = time.perf_counter()
    built = offer.component.build(default)
    report["build seconds"] = time.perf_counter() - started
    report["heavy builds"] = [name for name in _heavy() if name not in before]
    if hasattr(built, "close"):
        built.close()
    with subject_of(offer, registry) as subject:
        if "ordinary" in subject.inputs:
            report["result"] = subject.result()
    return report


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the component prints is no report
    try:
        found = _report(*sys.argv[1:])
    except Exception as error:
        found = _nothing(f"{type(error).__name__}: {error}")
    answers.write("\n" + json.dumps(found) + "\n")
    answers.flush()
