"""Pool and verifier ``reasoning-gym``, with the real package and its own scorers."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from saidpo_core import MissingExtra, Problem, ProblemSets, UsageError
from saidpo_plugins.common.reasoning_gym import RUNS_ANSWERS
from saidpo_plugins.pools import reasoning_gym as pool_module
from saidpo_plugins.pools.reasoning_gym import ReasoningGymOptions as PoolOptions
from saidpo_plugins.pools.reasoning_gym import ReasoningGymPool
from saidpo_plugins.verifiers import reasoning_gym as verifier_module
from saidpo_plugins.verifiers.reasoning_gym import ReasoningGymOptions, ReasoningGymVerifier


def load(seed: int = 0, **options: object) -> ProblemSets:
    return ReasoningGymPool(PoolOptions(**options)).load(np.random.default_rng(seed))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def default() -> ProblemSets:
    return load(size=200, held_out=5)


@pytest.fixture(scope="module")
def verifier() -> Iterator[ReasoningGymVerifier]:
    verifier = ReasoningGymVerifier(ReasoningGymOptions(timeout=3.0, workers=1))
    yield verifier
    verifier.close()


# ---- The pool --------------------------------------------------------------------------------------------------------


def test_default_pool_has_every_task_in_equal_parts(default: ProblemSets) -> None:
    tasks = PoolOptions().datasets
    assert len(default.problems) == 200
    assert set(Counter(problem.group for problem in default.problems).values()) == {200 // 16, 200 // 16 + 1}
    assert Counter(problem.group for problem in default.held_out) == dict.fromkeys(tasks, 5)


def test_problems_are_complete(default: ProblemSets) -> None:
    problems = default.problems + default.held_out
    assert len({problem.id for problem in problems}) == len(problems)
    for problem in problems:
        assert problem.question.strip()
        assert problem.answer.strip()
        assert problem.domain == "reasoning-gym"
        assert problem.extra["dataset"] == problem.group
        assert json.loads(json.dumps(problem.extra)) == problem.extra
    [first] = [problem for problem in default.problems if problem.id == "chain_sum-0"]
    assert first.tags == ("arithmetic", "chain sum")


def test_no_question_comes_twice_nor_is_held_out_and_in_the_pool(default: ProblemSets) -> None:
    questions = [problem.question for problem in default.problems + default.held_out]
    assert len(set(questions)) == len(questions)


def test_the_seed_decides() -> None:
    options = {"datasets": ("gcd", "lcm"), "size": 11, "held_out": 3}
    assert load(1, **options) == load(1, **options)
    assert load(1, **options) != load(2, **options)


def test_task_with_few_questions_is_used_up_and_a_note_says_so() -> None:
    sets = load(datasets=("leg_counting", "tower_of_hanoi"), size=4000, held_out=5)
    hanoi = [problem for problem in sets.problems if problem.group == "tower_of_hanoi"]
    assert 5 <= len(hanoi) < 2000
    assert sets.notes == (f"Reasoning Gym's tower_of_hanoi has only {len(hanoi)} different questions, not 2000.",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"datasets": ("chain_sum", "chain_sun")}, r"no task chain_sun\. Did you mean chain_sum\?"),
        ({"datasets": ()}, "expected at least one"),
        ({"datasets": ("countdown",)}, "countdown cannot be used: .* as Python code"),
        ({"datasets": ("composite",)}, "mixture of other tasks"),
        ({"datasets": ("game_of_life_halting",)}, "any answer"),
        ({"datasets": ("graph_color",)}, "no gold answer"),
        ({"datasets": ("arc_agi",)}, "stored as JSON"),
        ({"datasets": ("gcd", "lcm"), "size": 1}, "pool.size: expected at least 2"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(**options)


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pool_module, verifier_module):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"--pool=reasoning-gym needs .* pip install 'saidpo\[reasoning-gym\]'"):
        load()
    with pytest.raises(MissingExtra, match=r"--verifier=reasoning-gym needs"):
        ReasoningGymVerifier(ReasoningGymOptions()).self_test()


def test_every_scorer_that_runs_answers_is_known() -> None:
    """A new version of the package may bring more: this looks at the scorers that are installed."""
    from reasoning_gym.factory import DATASETS

    calls = ("eval(answer", "parse_expr(answer", "exec(answer", "sympify(answer")
    found = {name for name, (cls, _) in DATASETS.items() if any(c in inspect.getsource(cls) for c in calls)}
    assert found - {"composite"} == RUNS_ANSWERS


# ---- The verifier ----------------------------------------------------------------------------------------------------


def test_gold_answers_are_right_and_longer_numbers_are_not(
    default: ProblemSets, verifier: ReasoningGymVerifier
) -> None:
    held_out = default.held_out
    right = verifier.verify([(problem, f"It follows.\n#### {problem.answer}") for problem in held_out])
    assert {verdict.outcome for verdict in right} == {"right"}
    assert [verdict.extracted for verdict in right] == [problem.answer.strip("$") for problem in held_out]
    numbers = [problem for problem in held_out if problem.answer.isdigit()]
    longer = verifier.verify([(problem, f"\\boxed{{{problem.answer}7}}") for problem in numbers])
    assert len(longer) > 20
    assert {verdict.outcome for verdict in longer} == {"wrong"}


def problem(dataset: str, answer: str, **metadata: object) -> Problem:
    entry = {"question": "?", "answer": answer, "metadata": {"source_dataset": dataset, **metadata}}
    extra = {"dataset": dataset, "entry": entry}
    return Problem(id=dataset, question="?", answer=answer, domain="reasoning-gym", extra=extra)


@pytest.mark.parametrize(
    ("case", "response", "outcome", "reason"),
    [
        (problem("chain_sum", "5"), "2 + 3 = 5\n#### +5.00", "right", ""),
        (problem("chain_sum", "5"), "5", "right", ""),
        (problem("chain_sum", "5"), "<think>6?</think>5", "right", ""),
        (problem("chain_sum", "5"), "the sum is 5", "wrong", "score 0.0833333"),  # partial credit
        (problem("chain_sum", "5"), "2 + 3\n= 5", "wrong", "no final answer"),
        (problem("chain_sum", "5"), "\\boxed{5", "wrong", "no final answer"),
        (problem("gsm_symbolic", "5"), "5 apples and 4 more\nmake 9", "wrong", "no final answer"),
        (problem("gsm_symbolic", "9"), "5 apples and 4 more\nmake\n#### 9", "right", ""),
        (problem("sudoku", "1 2\n2 1", solution=[[1, 2], [2, 1]]), "Answer:\n1 2\n2 1\nDone.", "right", ""),
        (problem("sentence_reordering", "He was here."), "\\boxed{He was here.}", "right", ""),
        (problem("string_splitting", "1 0"), "\\boxed{1 0}", "right", ""),
        (problem("prime_factorization", "2 × 3"), "\\boxed{two}", "unverifiable", "ValueError: "),
        (problem("coin_flip", "0.5"), "\\boxed{1e999999999}", "unverifiable", "timeout"),
        (problem("countdown", "1+1"), "\\boxed{__import__('os')}", "unverifiable", "as Python code"),
        (Problem(id="plain", question="?", answer="5"), "\\boxed{5}", "unverifiable", "no Reasoning Gym entry"),
        (problem("no_such_task", "5"), "\\boxed{5}", "unverifiable", "not registered"),
    ],
)
def test_verdicts(verifier: ReasoningGymVerifier, case: Problem, response: str, outcome: str, reason: str) -> None:
    [verdict, after] = verifier.verify([(case, response), (problem("chain_sum", "5"), "#### 5")])
    assert verdict.outcome == outcome
    assert reason in verdict.reason
    assert after.outcome == "right"


def test_self_test_checks_a_worker_and_leaves_the_package_out_of_this_process() -> None:
    script = (
        "import sys\n"
        "from saidpo_plugins.verifiers.reasoning_gym import ReasoningGymOptions, ReasoningGymVerifier\n"
        "verifier = ReasoningGymVerifier(ReasoningGymOptions())\n"
        "verifier.self_test(); verifier.close(); verifier.close()\n"
        "print('reasoning_gym' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "False\n"
