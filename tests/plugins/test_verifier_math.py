"""Verifier ``math``: what it takes for right, wrong and unverifiable, and that no response can stop it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saidpo_core import Problem, SaidpoError, Verdict
from saidpo_plugins.verifiers import math as math_module
from saidpo_plugins.verifiers.exact import compare
from saidpo_plugins.verifiers.extraction import extract
from saidpo_plugins.verifiers.math import MathOptions, MathVerifier
from saidpo_plugins.verifiers.workers import WorkerPool

TOWER = "9^{9^{9^{9}}}"


def case(gold: str, answer: str) -> tuple[Problem, str]:
    return Problem(id="p", question="?", answer=gold), f"So we get \\boxed{{{answer}}}."


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    verifier = MathVerifier(MathOptions(timeout=20.0))
    yield verifier
    verifier.close()


@pytest.fixture
def hasty() -> Iterator[MathVerifier]:
    verifier = MathVerifier(MathOptions(timeout=1.0, workers=2))
    yield verifier
    verifier.close()


# ---- Extraction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("First \\boxed{3}, no: \\boxed{42}.", "42"),
        ("\\boxed {42}", "42"),
        ("\\fbox{7}", "7"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{$5$}", "5"),
        ("12 + 5 = 17\n#### 17", "17"),
        ("#### 1,234\n", "1,234"),
        ("#### 3\nthen\n#### 4", "4"),
        ("#### Final Answer: 42", "42"),
        ("The answer is 5. I hope it is correct.", "5"),
        ("Therefore the final answer is: $\\frac{3}{4}$.", "\\frac{3}{4}"),
        ("The answer is $x = 3$ because of symmetry.", "x = 3"),
        ("The answer is $1$, $2$", "$1$, $2$"),
        ("**Answer:** 12", "12"),
        ("Answer: C", "C"),
        ("the answer is **3.14**", "3.14"),
        ("The answer is:\n\n17", "17"),
        ("<answer>9</answer>", "9"),
        ("#### Step 1\nadd\n#### Step 2\nThe answer is 8", "8"),
        ("42", "42"),
        ("  x = 5\n", "x = 5"),
        ("<think>maybe \\boxed{1}</think>It is \\boxed{2}", "2"),
        ("maybe \\boxed{1}</think>\n\\boxed{2}", "2"),
        ("\\boxed{2}<think>was it \\boxed{1}?</think>", "2"),
    ],
)
def test_final_answer_is_found(response: str, answer: str) -> None:
    assert extract(response) == answer


@pytest.mark.parametrize(
    "response",
    [
        "",
        "   \n",
        "We have 3 apples.\nTogether that makes 7",  # the last number of an unfinished response
        "12 + 5 = 17",  # working, not an answer
        "Adding the apples to the oranges makes 12",
        "So it is \\boxed{42",
        "\\boxed{1}, but no: \\boxed{4",  # taken back, not finished
        "\\boxed{}",
        "####",
        "<answer>4",
        "<think>It is \\boxed{3}, or the answer is 4",
        "<think>\\boxed{3}</think>",
    ],
)
def test_response_without_a_final_answer(response: str) -> None:
    assert extract(response) is None


PIECES = [
    "\\boxed{",
    "\\fbox {",
    "}",
    "{",
    "\\",
    "####",
    "answer is",
    "answer:",
    "<think>",
    "</think>",
    "$",
    "**",
    ".",
    "\n",
    "7",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join))
def test_extraction_takes_any_text(text: str) -> None:
    answer = extract(text)
    assert answer is None or (answer == answer.strip() and answer)


@pytest.mark.parametrize(
    "piece",
    [*PIECES, "\\boxed{1}", "<think></think>", "<answer>", "answer is ", "$$", "answer ", " ", ". ", "$.", "** "],
)
def test_extraction_is_linear(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    extract(text)
    extract(f"\\boxed{{{text}}}")
    extract(f"#### {text}")
    assert time.process_time() - start < 1.0


# ---- The exact stage -------------------------------------------------------------------------------------------------

SAME = [
    ("42", "42.0"),
    ("1234", "1,234"),
    ("83\\,154", "83154"),
    ("1{,}234{,}567", "1234567"),
    ("-5", "−5"),
    ("5", "+5"),
    ("012", "12"),
    ("1/2", "\\dfrac12"),
    ("\\frac{-1}{2}", "-\\frac{1}{2}"),
    ("½", "0.5"),
    ("3½", "7/2"),
    ("3\\frac{1}{2}", "3 1/2"),
    ("0.\\overline{3}", "1/3"),
    ("0.1\\overline{6}", "\\frac16"),
    ("1e-7", "0.0000001"),
    ("1.5\\times 10^{-7}", "1.5e-7"),
    ("1024", "2^{10}"),
    ("50%", "0.5"),
    ("50\\%", "50 percent"),
    ("50\\%", "50"),
    ("\\$5.00", "5"),
    ("$\\$3$", "3 dollars"),
    ("30^\\circ", "30"),
    ("30°", "30 degrees"),
    ("5\\text{ cm}", "5 cm"),
    ("5 cm^2", "5 square centimeters"),
    ("5 apples", "5"),
    ("2 million", "2,000,000"),
    ("2:3:5", "2 : 3 : 5"),
    ("(1,2)", "\\left( 1,\\, 2 \\right)"),
    ("1,2", "2 and 1"),
    ("\\{1,2\\}", "2, 1"),
    ("C", "\\text{(C)}"),
    ("C", "C. because"),
    ("Yes", "\\text{yes}"),
    ("x=5", "5"),
    ("4210_{5}", "4210"),
    ("2\\pi", "2 π"),
]
DIFFERENT = [
    ("1e-7", "2e-7"),
    ("\\frac{1}{2^{99}}", "\\frac{1}{2^{98}}"),
    ("2:3:5", "2:5:3"),
    ("1/3", "0.333"),
    ("0.5", "0.5%"),
    ("1", "1%"),
    ("5\\text{ cm}", "5\\text{ m}"),
    ("5 cm", "5 cm^2"),
    ("£5", "€5"),
    ("5 apples", "5 oranges"),
    ("101_2", "101_3"),
    ("3", "11_2"),
    ("(1,2)", "(2,1)"),
    ("1,2,3", "1,2"),
    ("C", "D"),
    ("C", "(B) 5"),
    ("east", "seat"),
    ("5", "unclear"),
    ("3", "-3"),
]
UNDECIDED = [("x+1", "1+x"), ("5x", "5"), ("[1,2]", "(1,2)"), ("12", "1 2"), ("1/0", "1"), ("x=5", "y=5"), ("ab", "ba")]
UNDECIDED += [("A", "(A)+1"), ("a_1", "A_1"), ("x_{12}", "X_{12}")]
UNDECIDED += [(TOWER, "1"), ("9^{9999}", "1"), ("1e99999", "1"), ("7" * 2000, "7" * 1999), ("1" + "/1" * 400, "1")]


@pytest.mark.parametrize(
    ("left", "right", "decision"),
    [(*pair, True) for pair in SAME] + [(*pair, False) for pair in DIFFERENT] + [(*pair, None) for pair in UNDECIDED],
)
def test_exact_stage(left: str, right: str, decision: bool | None) -> None:
    assert compare(left, right) is decision
    assert compare(right, left) is decision


FRACTIONS = st.fractions(max_denominator=10**6)
SPELLINGS = (
    lambda value: f"{value.numerator}/{value.denominator}",
    lambda value: f"\\frac{{{value.numerator}}}{{{value.denominator}}}",
    lambda value: f"-\\dfrac{{{-value.numerator}}}{{{value.denominator}}}",
    lambda value: f"$ {value.numerator} / {value.denominator} $",
    lambda value: f"{value.numerator:,}/{value.denominator:,}",
)


@given(FRACTIONS, FRACTIONS | st.none(), st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS))
def test_exact_stage_agrees_with_fraction(left, right, spell_left, spell_right) -> None:  # type: ignore[no-untyped-def]
    right = left if right is None else right
    assert compare(spell_left(left), spell_right(right)) is (left == right)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6), st.integers(-(10**6), 10**6))
def test_decimals_are_exact(decimal, millionths) -> None:  # type: ignore[no-untyped-def]
    assert compare(f"{decimal:f}", f"{millionths}/1000000") is (Fraction(decimal) == Fraction(millionths, 10**6))


ANSWER_PIECES = [
    "1",
    "23",
    "0.5",
    ",",
    ":",
    "/",
    "-",
    "%",
    "(",
    ")",
    "{",
    "}",
    "\\frac",
    "^",
    "_",
    " ",
    "cm",
    "\\text{",
    "x=",
    "C",
    "yes",
]
ANSWERS = st.lists(st.sampled_from(ANSWER_PIECES), max_size=6).map("".join) | st.text(max_size=12)


@settings(max_examples=300)
@given(ANSWERS, ANSWERS)
def test_exact_stage_is_symmetrical(left: str, right: str) -> None:
    assert compare(left, right) is compare(right, left)
    assert compare(left, left) is True


@pytest.mark.parametrize(
    "piece", ["\\frac{1}{", "1,", "(", "-", "{", "\\text{a}", "a ", "1:", "9^", "\\sqrt{", " ", "1 a/"]
)
def test_exact_stage_is_quick_on_what_it_reads(piece: str) -> None:
    text = (piece * 1000)[:1000]
    start = time.process_time()
    compare(text, "5" + text[:900])
    assert time.process_time() - start < 0.5


# ---- The whole verifier ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "answer", "outcome"),
    [
        ("x+1", "1+x", "right"),
        ("x^2-1", "(x-1)(x+1)", "right"),
        ("\\sqrt{2}", "\\frac{2}{\\sqrt{2}}", "right"),
        ("\\sqrt2", "√2", "right"),
        ("2\\sqrt{3}\\text{ cm}", "2\\sqrt{3}", "right"),
        ("\\frac{x}{2}", "0.5x", "right"),
        ("1\\pm\\sqrt2", "1+\\sqrt2,1-\\sqrt2", "right"),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "right"),
        ("\\sqrt2:1", "\\frac{2}{\\sqrt2}:1", "right"),
        ("x<5", "5>x", "right"),
        ("12", "2+10", "right"),
        ("So she has 70 + 2 = 72.\n#### 72", "72", "right"),
        ("10^{-7}x", "2\\cdot 10^{-7}x", "wrong"),
        ("\\frac{1}{2^{99}}+\\pi-\\pi", "\\frac{1}{2^{98}}", "wrong"),
        ("\\sqrt{2}", "1.414", "wrong"),
        ("\\sqrt{2}", "1.414214", "wrong"),
        ("\\sqrt2:1", "1:\\sqrt2", "wrong"),
        ("2\\sqrt{3}\\text{ cm}", "2\\sqrt{3}\\text{ m}", "wrong"),
        ("(\\sqrt2,1)", "(1,\\sqrt2)", "wrong"),
        ("[1,2]", "(1,2)", "wrong"),
        ("x=5", "y=5", "wrong"),
        ("x+1", "((((", "wrong"),
        ("\\sqrt{x", "x", "unverifiable"),
    ],
)
def test_verdicts(verifier: MathVerifier, gold: str, answer: str, outcome: str) -> None:
    [verdict] = verifier.verify([case(gold, answer)])
    assert verdict.outcome == outcome
    assert verdict.extracted == answer


def test_no_final_answer_is_wrong(verifier: MathVerifier) -> None:
    problem = Problem(id="p", question="?", answer="7")
    assert verifier.verify([(problem, "so there are\n7")]) == [Verdict(outcome="wrong", reason="no final answer")]


def test_unreadable_gold_that_is_repeated_word_for_word_is_right(verifier: MathVerifier) -> None:
    assert verifier.verify([case("\\unknown{3", "x")])[0].reason == "gold answer cannot be read"
    assert (
        verifier.verify([(Problem(id="p", question="?", answer="A \\diamond B"), "\\boxed{A \\diamond B}")])[0].outcome
        == "right"
    )


def test_self_test_passes_and_starts_no_process() -> None:
    verifier = MathVerifier(MathOptions())
    verifier.self_test()
    assert verifier.verify([case("1/2", "0.5"), case("3", "4")])[0].outcome == "right"
    assert verifier._pool.pids == []
    verifier.close()


def test_self_test_names_the_case_that_it_misjudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_module, "_SELF_TEST", (("42", "\\boxed{41}", "right"),))
    with pytest.raises(SaidpoError, match=r"gold answer '42'.*expected right, got wrong"):
        MathVerifier(MathOptions()).self_test()


def test_worker_that_misjudges_a_known_case_ends_the_run() -> None:
    pool = WorkerPool("json", "dumps", size=1, timeout=5.0, memory_mb=512, checks=[([1], "[2]")])
    with pytest.raises(SaidpoError, match=r"judges \[1\] as '\[1\]', not as '\[2\]'"):
        pool.run([[3]])
    assert pool.pids == []


def test_worker_that_cannot_start_ends_the_run() -> None:
    with pytest.raises(SaidpoError, match="no_such_module"):
        WorkerPool("no_such_module", "f", size=2, timeout=5.0, memory_mb=512).run([1])


def test_hanging_case_is_unverifiable_and_the_others_are_judged(hasty: MathVerifier) -> None:
    cases = [
        case("x+1", "1+x"),
        case("1", TOWER),
        case("x+1", "x+2"),
        case(TOWER, "1"),
        case("2x", "x+x"),
        case("3", "3"),
    ]
    start = time.monotonic()
    verdicts = hasty.verify(cases)
    assert time.monotonic() - start < 15
    assert [verdict.outcome for verdict in verdicts] == [
        "right",
        "unverifiable",
        "wrong",
        "unverifiable",
        "right",
        "right",
    ]
    assert [verdicts[1].reason, verdicts[3].reason] == ["timeout", "timeout"]
    assert hasty.verify([case("x-1", "-1+x")])[0].outcome == "right"
    start = time.monotonic()
    assert hasty.verify(cases) == verdicts, "what was asked before is remembered, time-outs too"
    assert time.monotonic() - start < 0.5


def test_order_is_kept_under_mixed_cases(verifier: MathVerifier) -> None:
    kinds = [
        ("{n}", "{n}.0", "right"),
        ("x+{n}", "{n}+x", "right"),
        ("{n}", "-{n}", "wrong"),
        ("{n}x", "{n}+x", "wrong"),
    ]
    rows = [(kinds[n * 7 % 4], n + 1) for n in range(60)]
    verdicts = verifier.verify([case(g.format(n=n), a.format(n=n)) for (g, a, _), n in rows])
    assert [verdict.outcome for verdict in verdicts] == [outcome for (_, _, outcome), _ in rows]
    assert [verdict.extracted for verdict in verdicts] == [a.format(n=n) for (_, a, _), n in rows]


def test_crashed_worker_costs_its_own_case_only(hasty: MathVerifier) -> None:
    hasty._pool.start()
    [pid] = hasty._pool.pids
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    killer.start()
    crashed, judged = hasty.verify([case("1", TOWER), case("x+3", "3+x")])
    assert (crashed.outcome, crashed.reason) == ("unverifiable", "worker crashed")
    assert judged.outcome == "right"
    assert pid not in hasty._pool.pids


def test_worker_that_died_between_two_calls_is_replaced(hasty: MathVerifier) -> None:
    assert hasty.verify([case("x+4", "4+x")])[0].outcome == "right"
    [pid] = hasty._pool.pids
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert hasty.verify([case("x+5", "5+x")])[0].outcome == "right"
    assert hasty._pool.pids != [pid]


def test_memory_limit_is_kept() -> None:
    pool = WorkerPool("builtins", "bytearray", size=1, timeout=20.0, memory_mb=300)
    assert [reply.problem for reply in pool.run([10**9])] == ["out of memory"]
    pool.close()


def test_works_in_a_thread_that_ends_and_in_asyncio(verifier: MathVerifier) -> None:
    outcomes: list[str] = []
    for n in (11, 12):  # the thread in which a worker was started is gone when the next one uses it
        thread = threading.Thread(
            target=lambda n=n: outcomes.extend(v.outcome for v in verifier.verify([case(f"x+{n}", f"{n}+x")]))
        )
        thread.start()
        thread.join()

    async def several() -> list[list[Verdict]]:
        calls = (asyncio.to_thread(verifier.verify, [case(f"x+{n}", "x+14")]) for n in range(13, 16))
        return list(await asyncio.gather(*calls))

    outcomes += [verdict.outcome for verdicts in asyncio.run(several()) for verdict in verdicts]
    assert outcomes == ["right", "right", "wrong", "right", "wrong"]


def test_close_ends_the_workers_and_may_be_called_twice() -> None:
    verifier = MathVerifier(MathOptions(workers=2))
    verifier.verify([case("x+1", "1+x"), case("x+2", "2+x")])
    pids = verifier._pool.pids
    assert len(pids) == 2
    verifier.close()
    verifier.close()
    assert not any(alive(pid) for pid in pids)


SCRIPT = f"""
import sys
from saidpo_core import Problem
from saidpo_plugins.verifiers.math import MathOptions, MathVerifier
verifier = MathVerifier(MathOptions(timeout=1.0, workers=2))
problems = [Problem(id=gold, question="?", answer=gold) for gold in ("x+1", "x", "1")]
verifier.verify([(problems[0], "1+x"), (problems[1], "1x")])
print(*verifier._pool.pids, flush=True)
verifier._pool._timeout = 2.0
verifier.verify([(problems[2], "{TOWER}")])
sys.exit("the tower was expected to hang until this process is killed")
"""


def test_workers_end_with_a_killed_parent_idle_or_busy() -> None:
    """Also: it works in a script without a main guard."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment) as script:
        assert script.stdout is not None
        pids = [int(pid) for pid in script.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.5)
        assert script.poll() is None
        script.kill()
    end = time.monotonic() + 15
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # an orphan may stay a zombie where nothing reaps it
        return stat.read().rpartition(")")[2].split()[0] != "Z"
