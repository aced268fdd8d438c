"""Records written as JSON lines are read back exactly: odd text, every float, in order."""

from __future__ import annotations

import json
import math
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Attempts, Evaluation, GroupScore, Pair, Problem, Response, TrainingReport, Verdict, codecs
from saidpo_core.planning.plan import HELD_BYTES
from saidpo_core.rollouts import read_chunk, write_attempts

odd = st.sampled_from(["\u2028", "\u2029", "\x85", "\r\n", "\0", "\x1c", "\ufeff", "e\u0301", "𝟘", "שלום", '"\\'])
text = st.text(max_size=12) | odd | st.tuples(st.text(max_size=5), odd, st.text(max_size=5)).map("".join)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | finite | text
problems = st.builds(
    Problem,
    id=text,
    question=text,
    answer=text,
    tags=st.lists(text, max_size=3).map(tuple),
    domain=text,
    group=text,
    extra=st.dictionaries(text, scalars | st.lists(scalars, max_size=3), max_size=3),
)


@st.composite
def responses(draw: st.DrawFn) -> Response:
    ids = draw(st.lists(st.integers(0, 2**31), max_size=5))
    return Response(
        text=draw(text),
        token_ids=tuple(ids),
        logprobs=tuple(draw(st.lists(st.floats(max_value=0, allow_nan=False), min_size=len(ids), max_size=len(ids)))),
        finish_reason=draw(st.sampled_from(["stop", "length"])),
        widths=tuple(draw(st.just([]) | st.lists(st.integers(0, 9), min_size=len(ids), max_size=len(ids)))),
    )


@st.composite
def attempts(draw: st.DrawFn) -> Attempts:
    found = draw(st.lists(responses(), max_size=4))
    verdict = st.builds(
        Verdict,
        outcome=st.sampled_from(["right", "wrong", "unverifiable"]),
        extracted=st.none() | text,
        reason=text,
    )
    return Attempts(
        problem_id=draw(text),
        prompt_ids=tuple(draw(st.lists(st.integers(0, 2**31), max_size=5))),
        responses=tuple(found),
        verdicts=tuple(draw(st.lists(verdict, min_size=len(found), max_size=len(found)))),
    )


pairs = st.builds(
    Pair,
    problem_id=text,
    prompt_ids=st.lists(st.integers(0, 2**31), max_size=5).map(tuple),
    chosen=responses(),
    rejected=responses(),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codecs") / "attempts-0.jsonl"


@given(found=st.lists(problems, max_size=4))
def test_problems(file: Path, found: list[Problem]) -> None:
    codecs.write_lines(file, map(codecs.problem_to_json, found))
    assert list(codecs.read_lines(file, codecs.problem_from_json)) == found


@given(found=st.lists(attempts(), max_size=3))
def test_attempts_and_every_bit_of_their_log_probabilities(file: Path, found: list[Attempts]) -> None:
    write_attempts(file, found)
    again = read_chunk(file)
    assert again == found
    bits = [[value.hex() for response in item.responses for value in response.logprobs] for item in found]
    assert [[value.hex() for r in item.responses for value in r.logprobs] for item in again] == bits


@given(found=st.lists(pairs, max_size=3))
def test_pairs(file: Path, found: list[Pair]) -> None:
    codecs.write_lines(file, map(codecs.pair_to_json, found))
    assert list(codecs.read_lines(file, codecs.pair_from_json)) == found


def test_measured_seconds_lie_beside_the_data_and_come_back(tmp_path: Path) -> None:
    response = Response(text="x", token_ids=(1,), logprobs=(-1.0,), finish_reason="stop", seconds=0.25)
    item = Attempts(problem_id="p", prompt_ids=(), responses=(response,), verdicts=(Verdict(outcome="right"),))
    write_attempts(tmp_path / "attempts-0.jsonl", [item])
    assert read_chunk(tmp_path / "attempts-0.jsonl") == [item]
    assert "seconds" not in (tmp_path / "attempts-0.jsonl").read_text()


scores = st.integers(0, 99).flatmap(lambda right: st.builds(GroupScore, right=st.just(right), total=st.just(99)))


@given(
    found=st.builds(
        Evaluation,
        groups=st.dictionaries(text, scores, max_size=3),
        accuracy_balanced=st.floats(0, 1),
        accuracy_pool=st.floats(0, 1),
        unverifiable=st.integers(0, 9),
        truncated=st.integers(0, 9),
    )
)
def test_evaluations(file: Path, found: Evaluation) -> None:
    codecs.write_json(file, codecs.evaluation_to_json(found))
    assert codecs.evaluation_from_json(codecs.read_json(file)) == found


def test_an_accuracy_of_nothing_is_null_in_the_file_and_nan_again(tmp_path: Path) -> None:
    nothing = Evaluation(groups={}, accuracy_balanced=math.nan, accuracy_pool=math.nan)
    codecs.write_json(tmp_path / "x.json", codecs.evaluation_to_json(nothing))

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    again = codecs.evaluation_from_json(codecs.read_json(tmp_path / "x.json"))
    assert math.isnan(again.accuracy_balanced)
    assert math.isnan(again.accuracy_pool)


@given(metrics=st.dictionaries(text, finite, max_size=3), steps=st.integers(0))
def test_training_reports(file: Path, metrics: dict[str, float], steps: int) -> None:
    report = TrainingReport(steps=steps, metrics=metrics)
    codecs.write_json(file, codecs.report_to_json(report))
    assert codecs.report_from_json(codecs.read_json(file)) == report


def test_a_metric_of_nothing_is_null_in_the_file_and_nan_again(tmp_path: Path) -> None:
    codecs.write_json(tmp_path / "x.json", codecs.report_to_json(TrainingReport(steps=1, metrics={"kl": math.nan})))
    assert json.loads((tmp_path / "x.json").read_text())["metrics"] == {"kl": None}
    assert math.isnan(codecs.report_from_json(codecs.read_json(tmp_path / "x.json")).metrics["kl"])


def test_a_held_response_takes_the_memory_that_plans_take_it_to_take() -> None:
    rng = random.Random(0)

    def response(tokens: int) -> Response:
        return Response(
            text="".join(rng.choices("abc ", k=4 * tokens)),
            token_ids=tuple(rng.randrange(300, 150_000) for _ in range(tokens)),
            logprobs=tuple(-rng.random() for _ in range(tokens)),
            finish_reason="stop",
            widths=(4,) * tokens,
        )

    verdict = Verdict(outcome="right", extracted="1")
    item = Attempts(problem_id="p", prompt_ids=(1,), responses=(response(2000),), verdicts=(verdict,))
    line = json.dumps(codecs.attempts_to_json(item))
    tracemalloc.start()
    held = [codecs.attempts_from_json(json.loads(line), [0.0]) for _ in range(20)]
    taken = tracemalloc.get_traced_memory()[0] / sum(item.tokens for item in held)
    tracemalloc.stop()
    assert taken == pytest.approx(HELD_BYTES, rel=0.1)
