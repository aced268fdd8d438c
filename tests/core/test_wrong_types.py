"""Whatever a component puts into a field of what it hands back: the check refuses it, or it can be written and read.

So a wrong type never becomes a traceback further on, in code that has nothing to do with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saidpo_core import (
    Attempts,
    Component,
    Evaluation,
    Generation,
    GroupScore,
    Pair,
    PluginError,
    ProblemSets,
    Request,
    TrainingReport,
    Verdict,
    codecs,
    contracts,
)
from saidpo_core.discovery import Owner
from saidpo_core.registry import Offer
from tests.builders import make_attempts, make_problem, make_response

OFFER = Offer("pool", Component(name="bad", summary="", build=print), Owner("bad-neighbour", "1.0", "bad_neighbour"))
WRONG: tuple[Any, ...] = (
    None, 7, -7, 0.5, float("nan"), float("inf"), -float("inf"), True, "text", "\ud800", b"bytes", (), (None,),
    ("a", 1), [1], {}, {"a": None}, {1: 1}, object(), np.float32(0.5), np.int64(3), np.array([1, 2]), np.array(None),
    Path("here"), len,
)  # fmt: skip

LOOP: dict[str, Any] = {}
LOOP["itself"] = LOOP

Check = Callable[[Any], Any]
"""Checks a value; returns what would be written of it and what is read back, both to be equal."""


def through(value: Any, encode: Callable[[Any], Any], decode: Callable[[Any], Any]) -> None:
    line = json.dumps(encode(value), ensure_ascii=False)
    line.encode()
    again = json.dumps(encode(decode(json.loads(line))), ensure_ascii=False)
    assert again == line


def check_problems(sets: Any) -> None:
    contracts.check_problems(sets, OFFER)
    for problem in (*sets.problems, *sets.held_out):
        through(problem, codecs.problem_to_json, codecs.problem_from_json)
    json.dumps(list(sets.notes)).encode()


def check_generation(generation: Any) -> None:
    problem = make_problem()
    contracts.check_generations([generation], [Request(problem=problem, seeds=(1, 2))], OFFER)
    verdicts = tuple(Verdict(outcome="wrong") for _ in generation.responses)
    attempts = Attempts(
        problem_id="p0", prompt_ids=generation.prompt_ids, responses=generation.responses, verdicts=verdicts
    )
    seconds = codecs.seconds_to_json(attempts)
    through(attempts, codecs.attempts_to_json, lambda row: codecs.attempts_from_json(row, json.loads(f"{seconds}")))


def check_verdict(verdict: Any) -> None:
    contracts.check_verdicts([verdict], 1, OFFER)
    json.dumps(round(verdict.seconds, 4), allow_nan=False)  # as saidpo verify writes it
    attempts = replace(make_attempts("r"), verdicts=(verdict,))
    through(attempts, codecs.attempts_to_json, lambda row: codecs.attempts_from_json(row, [0.0]))


def check_pair(pair: Any) -> None:
    contracts.check_pairs([pair], make_attempts("rw"), OFFER)
    through(pair, codecs.pair_to_json, codecs.pair_from_json)


def check_evaluation(evaluation: Any) -> None:
    contracts.check_evaluation(evaluation, [make_problem(group="g")], OFFER)
    through(evaluation, codecs.evaluation_to_json, codecs.evaluation_from_json)


RIGHT, WRONG_RESPONSE = make_attempts("rw").responses
GOOD: dict[str, tuple[Any, Check]] = {
    "problem": (make_problem(), lambda item: check_problems(ProblemSets(problems=(item,)))),
    "sets": (ProblemSets(problems=(make_problem(),), held_out=(make_problem("p1", "?"),)), check_problems),
    "response": (
        make_response(), lambda item: check_generation(Generation(prompt_ids=(1,), responses=(item, make_response())))
    ),
    "generation": (Generation(prompt_ids=(1,), responses=(make_response(), make_response())), check_generation),
    "verdict": (Verdict(outcome="right"), check_verdict),
    "pair": (Pair(problem_id="p0", prompt_ids=(1, 2, 3), chosen=RIGHT, rejected=WRONG_RESPONSE), check_pair),
    "chosen": (RIGHT, lambda item: check_pair(
        Pair(problem_id="p0", prompt_ids=(1, 2, 3), chosen=item, rejected=WRONG_RESPONSE)
    )),
    "evaluation": (
        Evaluation(groups={"g": GroupScore(right=1, total=1)}, accuracy_balanced=1.0, accuracy_pool=1.0),
        check_evaluation,
    ),
    "score": (GroupScore(right=1, total=1), lambda item: check_evaluation(
        Evaluation(groups={"g": item}, accuracy_balanced=1.0, accuracy_pool=1.0)
    )),
}  # fmt: skip


def spoilt(good: Any) -> Iterator[tuple[str, Any]]:
    for wrong in (*WRONG, 10**400):
        yield f"{wrong!r} for it", wrong
        for field in fields(good):
            yield f"{field.name}={wrong!r}", replace(good, **{field.name: wrong})


@pytest.mark.parametrize("name", GOOD)
def test_a_wrong_type_is_refused_where_it_crosses_or_can_be_kept(name: str) -> None:
    good, check = GOOD[name]
    check(good)
    refused = 0
    for what, value in spoilt(good):
        try:
            check(value)
        except PluginError:
            refused += 1
        except Exception as error:
            pytest.fail(f"{what}: {error!r}")
    assert refused > len(WRONG)


def test_what_contains_itself_is_refused() -> None:
    with pytest.raises(PluginError, match="extra"):
        contracts.check_problems(ProblemSets(problems=(make_problem(extra=LOOP),)), OFFER)


@pytest.mark.parametrize("field", ["steps", "metrics", "generated_tokens"])
def test_a_training_report_too(tmp_path: Path, field: str) -> None:
    for name in ("config.json", "tokenizer_config.json", "model.safetensors"):
        (tmp_path / name).touch()
    good = TrainingReport(steps=3, metrics={"loss_last": 0.5})
    losses = (None, np.float32(1), "low", np.array([1.0, 2.0]), float("inf"), float("nan"), 10**400)
    for wrong in (*WRONG, *({"loss": loss} for loss in losses)):
        report = replace(good, **{field: wrong})
        try:
            contracts.check_training(report, tmp_path, OFFER)
        except PluginError:
            continue
        through(report, codecs.report_to_json, codecs.report_from_json)
        json.dumps(codecs.report_to_json(report), allow_nan=False)


@pytest.mark.parametrize("wrong", WRONG)
def test_lists_and_arrays_too(wrong: Any) -> None:
    def array(value: Any) -> Any:
        return np.asarray(value, dtype=np.float64)  # as the core does, under the component's name

    for check in (
        lambda: contracts.check_labels(np.asarray(wrong), 2, OFFER),
        lambda: contracts.check_tags(wrong, 2, OFFER),
        lambda: contracts.check_tags([wrong, wrong], 2, OFFER),
        lambda: contracts.check_pairs(wrong, make_attempts("rw"), OFFER),
        lambda: contracts.check_verdicts(wrong, 1, OFFER),
        lambda: contracts.check_generations(wrong, [], OFFER),
    ):
        with suppress(PluginError):  # any other error fails the test
            check()
    for check_array in (contracts.check_weights, contracts.check_keys, contracts.check_embeddings):
        try:
            value = array(wrong)
        except (TypeError, ValueError):
            continue
        with pytest.raises(PluginError):
            check_array(value, 3, OFFER)
