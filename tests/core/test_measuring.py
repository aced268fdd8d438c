"""A measurement keeps every response, and a killed one asks only for what it has not got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from saidpo_core import Evaluation, Generation, GroupScore, Problem, Request, UsageError, Verdict
from saidpo_core.codecs import evaluation_to_json
from saidpo_core.conformance.samples import problems as sample_problems
from saidpo_core.engines import CheckedEngine
from saidpo_core.events import Observers
from saidpo_core.measuring import (
    measure,
    problems_to_measure,
    read_answers,
    read_verdicts,
    seen_in_training,
    text_key,
)
from saidpo_core.records import Prompt
from saidpo_core.registry import load_registry
from saidpo_core.run_dir import RunDir
from saidpo_plugins.evaluators.greedy import GreedyEvaluator, GreedyOptions
from tests.builders import make_problem, make_response

REGISTRY = load_registry()
OFFER = REGISTRY.default("evaluator")
PROBLEMS = sample_problems(10)


class Killed(KeyboardInterrupt):
    """As a signal would end the process in the middle."""


class Parts:
    """What ``measure`` uses of a run's parts: a policy that counts what it is asked, and fails after ``enough``."""

    def __init__(self, evaluator: Any, enough: int = 1000) -> None:
        self.evaluator = evaluator
        self.asked: list[str] = []
        self.loaded: list[Mapping[str, Any]] = []
        self.enough = enough
        self.verifier = SimpleNamespace(verify=self._verify, self_test=lambda: None, close=lambda: None)

    def offer(self, kind: str) -> Any:
        return REGISTRY.default(kind)

    def engine(self, policy: Path, changes: Mapping[str, Any]) -> CheckedEngine:
        if dict(changes) not in self.loaded:
            self.loaded.append(dict(changes))
        return CheckedEngine(SimpleNamespace(generate=self._generate), self.offer("generator"), Prompt())  # type: ignore[arg-type]

    def _generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        if len(self.asked) + len(requests) > self.enough:
            raise Killed
        self.asked += [request.problem.id for request in requests]
        return [
            Generation(prompt_ids=(1,), responses=(make_response(f"#### {int(r.problem.id[-2:]) % 3}"),))
            for r in requests
        ]

    def _verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        return [Verdict(outcome="right" if text.endswith("0") else "wrong", extracted=text[5:]) for _, text in cases]


def run(folder: Path, parts: Parts, problems: Sequence[Problem] = PROBLEMS) -> Evaluation:
    return measure(RunDir(folder, Observers(REGISTRY.manager)), parts, 0, folder, problems, {})  # type: ignore[arg-type]


def greedy() -> GreedyEvaluator:
    return GreedyEvaluator(GreedyOptions(per_batch=4))


def files(folder: Path) -> dict[str, bytes]:
    stage = folder / "start/05-evaluate"
    return {p.name: p.read_bytes() for p in stage.iterdir() if not p.name.startswith(("timing", "stage.json"))}


def test_responses_and_verdicts_are_kept(tmp_path: Path) -> None:
    run(tmp_path, Parts(greedy()))
    answers = list(read_answers(tmp_path / "start/05-evaluate"))
    verdicts = read_verdicts(tmp_path / "start/05-evaluate")
    assert [id for id, _ in answers] == [problem.id for problem in PROBLEMS]
    for id, generation in answers:
        text = generation.responses[0].text
        assert verdicts[id, text_key(text)].extracted == text[5:]


def test_killed_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", Parts(greedy()))
    with pytest.raises(Killed):
        run(tmp_path / "killed", Parts(greedy(), enough=6))
    parts = Parts(greedy())
    again = run(tmp_path / "killed", parts)
    assert parts.asked == [problem.id for problem in PROBLEMS[4:]]  # the first call of 4 had been kept
    assert evaluation_to_json(again) == evaluation_to_json(whole)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_nothing_is_loaded_if_all_had_been_generated(tmp_path: Path) -> None:
    class Stumbling(GreedyEvaluator):
        def evaluate(self, *arguments: Any) -> Evaluation:
            super().evaluate(*arguments)
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, Parts(Stumbling(GreedyOptions())))
    parts = Parts(GreedyEvaluator(GreedyOptions()))
    run(tmp_path, parts)
    assert parts.loaded == []


def test_other_questions_are_asked_anew(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, Parts(greedy(), enough=9))  # two calls of 4 are kept
    others = [make_problem(id=problem.id, question="Another?", group=problem.group) for problem in PROBLEMS[:3]]
    parts = Parts(greedy())
    run(tmp_path, parts, others)
    assert parts.asked == [problem.id for problem in others]
    assert [id for id, _ in read_answers(tmp_path / "start/05-evaluate")] == parts.asked


def test_a_failure_before_any_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, Parts(greedy(), enough=0))
    assert list((tmp_path / "start").iterdir()) == []


# ---- Evaluators that bring their own problems ------------------------------------------------------------------------


class Bringing(GreedyEvaluator):
    """Brings two problems, once."""

    def __init__(self, options: Mapping[str, Any] | None = None, brought: Any = None) -> None:
        super().__init__(GreedyOptions())
        self.options_asked = options or {}
        self.brought = (
            brought if brought is not None else [make_problem(id=f"own{n:02}", group="own") for n in range(2)]
        )
        self.calls = 0

    def problems(self, held_out: Sequence[Problem]) -> Sequence[Problem]:
        self.calls += 1
        return self.brought  # type: ignore[no-any-return]

    def engine_options(self) -> Mapping[str, Any]:
        return self.options_asked


def test_own_problems_are_asked_for_once_and_kept(tmp_path: Path) -> None:
    evaluator = Bringing({"temperature": 0.5})
    run_dir, parts = RunDir(tmp_path, Observers(REGISTRY.manager)), Parts(evaluator)
    found = problems_to_measure(run_dir, parts, PROBLEMS)  # type: ignore[arg-type]
    again = RunDir(tmp_path, Observers(REGISTRY.manager))
    assert problems_to_measure(again, parts, PROBLEMS) == found == tuple(evaluator.brought)  # type: ignore[arg-type]
    assert evaluator.calls == 1
    evaluation = measure(run_dir, parts, 0, tmp_path, found, {})  # type: ignore[arg-type]
    assert evaluation.groups == {"own": GroupScore(right=1, total=2)}
    assert parts.loaded == [{"temperature": 0.5}]


def test_without_them_the_held_out_problems_are_measured(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, Observers(REGISTRY.manager))
    assert problems_to_measure(run_dir, Parts(greedy()), PROBLEMS) == PROBLEMS  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("brought", "message"),
    [
        ([], "there are none"),
        (["what"], "expected Problem objects, got str"),
        ([make_problem(), make_problem()], "the id 'p0' occurs twice"),
        ("ab", "expected a list of Problems, got str"),
    ],
)
def test_bad_ones_are_laid_at_the_evaluators_door(tmp_path: Path, brought: Any, message: str) -> None:
    run_dir = RunDir(tmp_path, Observers(REGISTRY.manager))
    with pytest.raises(Exception, match=f"broke its promise in problems: {message}"):
        problems_to_measure(run_dir, Parts(Bringing(brought=brought)), ())  # type: ignore[arg-type]


def test_questions_that_are_trained_on_are_counted_by_group() -> None:
    pool = [make_problem(id="a", question="What is\n1 + 1?"), make_problem(id="b", question="What is 2 + 2?")]
    measured = [
        make_problem(id="m", question="What is 1  + 1?", group="amc23"),
        make_problem(id="n", question="Other?"),
    ]
    [warning] = seen_in_training(pool, measured)
    assert "1 of amc23" in warning
    assert seen_in_training(pool[1:], measured) == []


def test_an_option_that_the_generator_does_not_have_is_refused(tmp_path: Path) -> None:
    from saidpo_core.parts import Parts as RealParts
    from saidpo_core.settings import resolve

    parts = RealParts(resolve(REGISTRY, {}, {}), REGISTRY)
    with pytest.raises(UsageError, match=r"asks for another beams, and generator transformers .* has no such option"):
        parts.engine(tmp_path, {"beams": 4})
