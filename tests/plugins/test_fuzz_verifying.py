"""Random and mutilated answers: nothing crashes, hangs or is unequal to itself. ``tests/bench/fuzz_verifying.py`` does
the same for as long as one likes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saidpo_plugins.verifiers.math import MathVerifier
from tests.bench.fuzz_verifying import FRAGMENTS

ANSWERS = st.text(max_size=60) | st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)
RESPONSES = ANSWERS | ANSWERS.map(lambda answer: f"\\boxed{{{answer}}}") | ANSWERS.map(lambda a: f"The answer is {a}")


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    with MathVerifier() as verifier:
        yield verifier


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(gold=ANSWERS, response=RESPONSES)
def test_any_gold_answer_and_any_response_get_a_verdict(verifier: MathVerifier, gold: str, response: str) -> None:
    verdict = verifier.judge(gold, response)
    assert verdict.outcome in ("right", "wrong", "unverifiable")
    assert not verdict.reason.startswith(("the comparison failed", "worker crashed"))
    assert verdict.seconds < 3
    assert bool(verdict.reason) == (verdict.outcome == "unverifiable" or verdict.extracted is None)


@pytest.mark.slow
def test_a_minute_of_the_script() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "tests" / "bench" / "fuzz_verifying.py"), "--minutes", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 faults" in done.stdout
