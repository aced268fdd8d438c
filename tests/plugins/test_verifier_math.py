"""Verifier ``math``: verdicts with reasons, from wherever it is called, and no response can stop it or make it act."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from saidpo_core import Problem, SaidpoError, Verdict
from saidpo_plugins.verifiers import math as math_module
from saidpo_plugins.verifiers.math import MathOptions, MathVerifier, saidpo_verifiers

ENDLESS = "\\sum_{k=1}^{10^{12}} \\frac{1}{k^2+1}"
# One for each way to a verdict: no answer, exact, by value, by math-verify, unreadable.
MIXED = [
    ("42", "there are 42", "wrong"),
    ("1/2", "\\boxed{0.5}", "right"),
    ("1/2", "\\boxed{0.4}", "wrong"),
    ("x^2-1", "The answer is (x-1)(x+1)", "right"),
    ("\\frac{1}{3}", "\\boxed{\\int_0^1 x^2 dx}", "right"),
    ("\\frac{1}{2}", "\\boxed{\\int_0^1 x^2 dx}", "wrong"),
    ("\\frac{1", "\\boxed{1}", "unverifiable"),
]


def case(gold: str, answer: str) -> tuple[Problem, str]:
    return Problem(id="p", question="?", answer=gold), f"So we get \\boxed{{{answer}}}."


def outcomes(verifier: MathVerifier) -> list[str]:
    return [verifier.judge(gold, response).outcome for gold, response, _ in MIXED]


DUE = [due for _, _, due in MIXED]


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    with MathVerifier(MathOptions(timeout=20.0)) as verifier:
        yield verifier


@pytest.fixture
def hasty() -> Iterator[MathVerifier]:
    with MathVerifier(MathOptions(timeout=1.0, workers=2)) as verifier:
        yield verifier


# ---- Verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "answer", "outcome"),
    [
        ("\\frac{\\pi^2}{6}", "\\sum_{k=1}^{\\infty} \\frac{1}{k^2}", "right"),
        ("1", "\\lim_{x\\to 0} \\frac{\\sin x}{x}", "right"),
        ("12", "\\operatorname{lcm}(4,6)", "right"),
        ("-2", "\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "right"),
        ("(\\int_0^1 x dx, 2)", "(\\frac12, 2)", "right"),
        ("\\int_0^1 x dx\\text{ cm}", "\\frac12\\text{ m}", "wrong"),
        ("\\sqrt{2}+\\int_0^1 10^{-7} dx", "\\sqrt{2}+\\int_0^1 2\\cdot 10^{-7} dx", "wrong"),
        ("10^{100000}", "10^{100000}+1", "wrong"),
        ("x+1", "((((", "wrong"),
        ("\\sqrt{x", "x", "unverifiable"),
        ("A \\diamond B", "x", "unverifiable"),
        ("A \\diamond B", "A \\diamond B", "right"),
        ("", "1", "unverifiable"),
    ],
)
def test_verdicts(verifier: MathVerifier, gold: str, answer: str, outcome: str) -> None:
    [verdict] = verifier.verify([case(gold, answer)])
    assert verdict.outcome == outcome
    assert verdict.extracted == answer
    assert bool(verdict.reason) == (outcome == "unverifiable")


def test_no_final_answer_is_wrong(verifier: MathVerifier) -> None:
    assert verifier.judge("7", "so there are\n7") == Verdict(outcome="wrong", reason="no final answer")


def test_gold_answer_may_be_a_worked_solution(verifier: MathVerifier) -> None:
    assert verifier.judge("She has 70 + 2 = 72.\n#### 72", "\\boxed{72}").outcome == "right"
    assert verifier.judge("She has $\\boxed{72}$", "\\boxed{70}").outcome == "wrong"


def test_long_answer_is_unverifiable_and_shown_shortened(verifier: MathVerifier) -> None:
    verdict = verifier.judge("42", "\\boxed{" + "1+" * 5000 + "1}")
    assert (verdict.outcome, verdict.reason) == ("unverifiable", "answer longer than 1000 characters")
    assert verdict.extracted is not None
    assert len(verdict.extracted) < 1100


def test_seconds_are_those_of_the_verdict(hasty: MathVerifier) -> None:
    verdicts = hasty.verify([case("3", "3"), case("1", ENDLESS), case("\\int_0^1 x dx", "\\frac12")])
    assert [verdict.outcome for verdict in verdicts] == ["right", "unverifiable", "right"]
    assert 0 < verdicts[0].seconds < 0.8
    assert 0.9 < verdicts[1].seconds < 2
    assert 0 < verdicts[2].seconds < 1
    assert verdicts[0] == Verdict(outcome="right", extracted="3"), "seconds are no part of what a verdict says"


def test_order_is_kept_under_mixed_cases(verifier: MathVerifier) -> None:
    kinds = [
        ("{n}", "{n}.0", "right"),
        ("x+{n}", "{n}+x", "right"),
        ("{n}", "-{n}", "wrong"),
        ("\\int_0^{n} 1 dx", "{n}", "right"),
    ]
    rows = [(kinds[n * 7 % 4], n + 1) for n in range(60)]
    verdicts = verifier.verify([case(g.replace("{n}", str(n)), a.replace("{n}", str(n))) for (g, a, _), n in rows])
    assert [verdict.outcome for verdict in verdicts] == [outcome for (_, _, outcome), _ in rows]
    assert [verdict.extracted for verdict in verdicts] == [a.replace("{n}", str(n)) for (_, a, _), n in rows]


# ---- The self-test ---------------------------------------------------------------------------------------------------


def test_self_test_uses_the_workers_that_the_run_will_use() -> None:
    with MathVerifier() as verifier:
        verifier.self_test()
        started = verifier._pool.pids
        assert started
        verifier.verify([case("\\int_0^1 x dx", "\\frac12")])
        assert verifier._pool.pids == started


def test_self_test_names_the_case_that_it_misjudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_module, "_SELF_TEST", (("42", "\\boxed{41}", "right"),))
    with MathVerifier() as verifier, pytest.raises(SaidpoError, match=r"gold answer '42'.*expected right, got wrong"):
        verifier.self_test()


def test_self_test_asks_again_if_a_busy_machine_left_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    timeout = Verdict(outcome="unverifiable", extracted="", reason="timeout")
    with MathVerifier() as verifier:
        judge, calls = MathVerifier.judge, itertools.count()
        monkeypatch.setattr(
            MathVerifier, "judge", lambda self, *case: timeout if next(calls) % 3 else judge(self, *case)
        )
        verifier.self_test()
        monkeypatch.setattr(MathVerifier, "judge", lambda self, *case: timeout)
        with pytest.raises(SaidpoError, match="expected right, got unverifiable timeout"):
            verifier.self_test()


def test_trial_has_cases_of_each_kind(verifier: MathVerifier, tmp_path: Path) -> None:
    [component] = saidpo_verifiers()
    assert component.trial is not None
    with component.trial(tmp_path) as trial:
        cases = list(trial.cases)
    assert {due for _, _, due in cases} == {"right", "wrong", "unverifiable"}
    verdicts = verifier.verify([(problem, response) for problem, response, _ in cases])
    assert [verdict.outcome for verdict in verdicts] == [due for _, _, due in cases]


# ---- What hangs or crashes -------------------------------------------------------------------------------------------


def test_hanging_case_is_unverifiable_and_the_others_are_judged(hasty: MathVerifier) -> None:
    cases = [case("\\int_0^1 x dx", "\\frac12"), case("1", ENDLESS), case("3", "3"), case(ENDLESS, "1")]
    cases += [case(f"\\int_0^{n} x dx", f"\\frac{{{n * n}}}{{2}}") for n in range(2, 9)]
    start = time.monotonic()
    verdicts = hasty.verify(cases)
    assert time.monotonic() - start < 6
    assert [verdict.outcome for verdict in verdicts] == [
        "right",
        "unverifiable",
        "right",
        "unverifiable",
        *["right"] * 7,
    ]
    assert [verdicts[1].reason, verdicts[3].reason] == ["timeout", "timeout"]
    assert max(verdict.seconds for verdict in verdicts) < 2.5
    start = time.monotonic()
    assert hasty.verify(cases) == verdicts, "what was asked before is remembered, time-outs too"
    assert time.monotonic() - start < 0.9


def test_memory_of_what_was_asked_is_bounded(verifier: MathVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_module, "_MEMO_SIZE", 10)
    verifier.verify([case(str(n), f"{n}.0") for n in range(1000)])
    verifier.verify([case("7", "1" * 600)])
    assert len(verifier._memo) <= 10
    assert max(len(gold) + len(answer) for gold, answer in verifier._memo) <= 500


def test_fault_of_ours_is_shown_and_stops_nothing(verifier: MathVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(gold: str, answer: str) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr("saidpo_plugins.verifiers.answers.compare.compare", broken)
    verdict = verifier.judge("1001", "\\boxed{1002}")
    assert (verdict.outcome, verdict.reason) == ("unverifiable", "the comparison failed: ZeroDivisionError: here")


# ---- From wherever it is called --------------------------------------------------------------------------------------


def test_in_threads(verifier: MathVerifier) -> None:
    found: list[list[str]] = []
    for _ in range(2):  # the thread in which a worker was started is gone when the next one uses it
        threads = [threading.Thread(target=lambda: found.append(outcomes(verifier))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [DUE] * 6


def test_in_an_asyncio_loop(verifier: MathVerifier) -> None:
    async def several() -> list[list[str]]:
        own = outcomes(verifier)  # in the loop's own thread
        return [own, *await asyncio.gather(*(asyncio.to_thread(outcomes, verifier) for _ in range(3)))]

    assert asyncio.run(several()) == [DUE] * 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_in_a_process_pool(verifier: MathVerifier, method: str) -> None:
    """The verifier goes there pickled, or comes along in a fork with workers that are its parent's."""
    assert outcomes(verifier) == DUE
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert list(pool.map(outcomes, [verifier] * 2)) == [DUE] * 2
    assert outcomes(verifier) == DUE


def test_example_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verifying.md").read_text(encoding="utf-8")
    example = page.partition("```python\n")[2].partition("\n```")[0]
    *imports, call = example.splitlines()
    space: dict[str, object] = {}
    exec("\n".join(imports), space)
    verdict = eval(call, space)
    assert (verdict.outcome, verdict.extracted) == ("right", "0.5")


def test_pickled_copy_judges_alike(verifier: MathVerifier) -> None:
    with pickle.loads(pickle.dumps(verifier)) as copy:
        assert outcomes(copy) == DUE


CELLS = """
from saidpo_plugins.verifiers.math import MathVerifier
verifier = MathVerifier()
found = [verifier.judge(gold, response).outcome for gold, response, _ in mixed]
"""
NOTEBOOK = """
import json, sys
cells, mixed = json.loads(sys.argv[1])
space = {"__name__": "__main__", "mixed": mixed}
for cell in cells:
    exec(compile(cell, "<cell>", "exec"), space)
print(json.dumps(space["found"]))
"""


def test_in_cells_as_a_notebook_runs_them() -> None:
    """No file, no main guard, never closed: it ends with the interpreter."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    cells = json.dumps([CELLS.strip().splitlines(), MIXED])
    done = subprocess.run(
        [sys.executable, "-", cells], input=NOTEBOOK, capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == DUE


# ---- Nothing is executed ---------------------------------------------------------------------------------------------

AUDIT = """
import json, sys
from saidpo_plugins.verifiers import symbolic
from saidpo_plugins.verifiers.answers.compare import compare
from saidpo_plugins.verifiers.extraction import extract

for request, due in symbolic.CHECKS:
    assert symbolic.judge(request) == due
seen = []
watched = ("os.", "subprocess.", "socket.", "shutil.", "pty.", "ctypes.")

def hook(event, arguments):
    if event == "compile" and arguments[0] is not None:
        source = arguments[0]
        seen.append(source.decode() if isinstance(source, bytes) else str(source))
    elif event.startswith(watched) and event not in ("os.listdir", "os.scandir"):
        seen.append(event)

sys.addaudithook(hook)
for row in json.load(sys.stdin):
    for gold, answer in (("42", row), (row, "42"), ("\\\\int_0^1 x dx", row), (row, row + "+1")):
        extract(f"\\\\boxed{{{answer}}}")
        compare(gold, answer)
        try:
            symbolic.judge([gold, answer])
        except Exception:
            pass
print(json.dumps(seen))
"""


def test_no_text_reaches_the_interpreter_or_a_shell(tmp_path: Path) -> None:
    """An audit hook sees every compilation and every system call of note while hostile texts are judged, the last
    stage included. SymPy compiles functions of its own making (on monomials), and nothing else is compiled.
    """
    lines = (Path(__file__).parents[1] / "verifying" / "hostile.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["class"] == "code"]
    texts = [row["response"].removeprefix("So it is \\boxed{").removesuffix("}.") for row in rows]
    texts += ["2**3", "1e5", "sqrt(4)", "\\int_0^{1.5} x^{2.5} dx", "\\operatorname{eye}(2)", "\\frac{d}{dx} x^2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", AUDIT],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert [source for source in seen if not source.startswith("def monomial_")] == []
    assert not any(text in source for text in texts for source in seen if len(text) > 6)
    assert list(tmp_path.iterdir()) == []
