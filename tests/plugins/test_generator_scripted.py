"""Generator ``scripted``: what is written down, in the policy's own tokens and with its own log-probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saidpo_core import Request, UsageError
from saidpo_plugins.generators.scripted import (
    ScriptedEngine,
    ScriptedGenerator,
    ScriptedOptions,
    saidpo_generators,
)
from saidpo_plugins.policies.embedded import saidpo_policies
from tests.builders import make_problem
from tests.byte_policy import make_byte_policy

TEXTS = {
    "p0": ["def f(x):\n    return x + 1\n", "Ünïcode → 🐎\n\n  and spaces  "],
    "p1": ["one", "two", "three"],
}
PROBLEMS = [make_problem(id=id, question=f"Question {id}?") for id in TEXTS]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_byte_policy(tmp_path_factory.mktemp("policy"), positions=128)


def write(path: Path, rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def script(folder: Path, texts: dict[str, list[str]] = TEXTS) -> Path:
    return write(folder / "responses.jsonl", ({"id": id, "responses": rows} for id, rows in texts.items()))


@pytest.fixture(scope="module")
def engine(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedEngine]:
    path = script(tmp_path_factory.mktemp("script"))
    with ScriptedGenerator(ScriptedOptions(path=path, batch_size=3)).load(policy) as loaded:
        yield loaded


def requests(*seeds: int) -> list[Request]:
    return [Request(problem=problem, seeds=seeds) for problem in PROBLEMS]


def test_the_seed_alone_chooses_and_every_response_comes_up(engine: ScriptedEngine) -> None:
    together = engine.generate(requests(*range(6)))
    for problem, generation in zip(PROBLEMS, together, strict=True):
        assert {response.text for response in generation.responses} == set(TEXTS[problem.id])
        for seed, response in enumerate(generation.responses):
            [alone] = engine.generate([Request(problem=problem, seeds=(seed,))])
            assert (alone.responses[0].text, alone.responses[0].token_ids) == (response.text, response.token_ids)
            assert np.allclose(alone.responses[0].logprobs, response.logprobs, atol=1e-5)


def test_greedy_is_the_first_whatever_the_seed(engine: ScriptedEngine) -> None:
    generations = engine.generate(requests(1, 5), greedy=True)
    assert [[r.text for r in g.responses] for g in generations] == [[TEXTS[p.id][0]] * 2 for p in PROBLEMS]


def test_tokens_spell_the_text_and_end(engine: ScriptedEngine) -> None:
    tokenizer = engine.engine.tokenizer
    for generation in engine.generate(requests(0, 1)):
        for response in generation.responses:
            assert response.finish_reason == "stop"
            assert response.token_ids[-1] == tokenizer.eos_token_id
            assert tokenizer.decode(response.token_ids[:-1]) == response.text


def test_log_probabilities_are_those_of_the_policy(engine: ScriptedEngine) -> None:
    for generation in engine.generate(requests(0, 1, 2)):
        for response in generation.responses:
            ids = torch.tensor([[*generation.prompt_ids, *response.token_ids]])
            with torch.inference_mode():
                logits = engine.engine.model(input_ids=ids).logits[0, len(generation.prompt_ids) - 1 : -1]
            due = torch.log_softmax(logits, -1).gather(1, torch.tensor(response.token_ids)[:, None])[:, 0]
            assert np.allclose(response.logprobs, due.numpy(), atol=1e-4)
            assert all(value < 0 for value in response.logprobs)


def test_a_long_response_is_truncated_by_the_option_and_by_the_model(policy: Path, tmp_path: Path) -> None:
    path = script(tmp_path, {"p0": ["x" * 500], "p1": ["y" * 20]})
    for limit, lengths in ((10, (10, 10)), (1000, (128 - len("Question p0?\n"), 21))):
        with ScriptedGenerator(ScriptedOptions(path=path, max_new_tokens=limit)).load(policy) as engine:
            first, second = (generation.responses[0] for generation in engine.generate(requests(0)))
        assert (len(first.token_ids), len(second.token_ids)) == lengths
        assert first.truncated
        assert second.truncated == (limit == 10)


def test_what_the_tokenizer_cannot_spell_is_named(tmp_path: Path) -> None:
    path = script(tmp_path, {"p0": ["def f(x): pass", "f'{x}'"]})
    policy = make_byte_policy(tmp_path / "policy", without="{}")
    with (
        ScriptedGenerator(ScriptedOptions(path=path)).load(policy) as engine,
        pytest.raises(UsageError, match="tokenizer cannot spell response 2 of the problem 'p0'"),
    ):
        engine.generate([Request(problem=PROBLEMS[0], seeds=(1,))])


def test_a_problem_without_responses_is_named(engine: ScriptedEngine) -> None:
    with pytest.raises(UsageError, match=r"responses\.jsonl: no responses for the problem 'other'"):
        engine.generate([Request(problem=make_problem(id="other"), seeds=(0,))])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", ":1: broken JSON"),
        ('\n{"id": "a"}', r':2: expected {"id": TEXT, "responses": \[TEXT, ...\]}'),
        ('{"id": "a", "responses": []}', ":1: expected"),
        ('{"id": "a", "responses": [""]}', ":1: expected"),
        ('{"id": 1, "responses": ["x"]}', ":1: expected"),
        ('{"id": "a", "responses": ["x"]}\n{"id": "a", "responses": ["x"]}', ":2: the id 'a' has come before"),
    ],
)
def test_a_broken_file_is_refused_before_anything_starts(
    policy: Path, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        ScriptedGenerator(ScriptedOptions(path=path)).check(policy)


def test_no_file(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--generator\.path=FILE"):
        ScriptedGenerator(ScriptedOptions()).check(policy)
    with pytest.raises(UsageError, match=r"none\.jsonl: cannot be read"):
        ScriptedGenerator(ScriptedOptions(path=tmp_path / "none.jsonl")).check(policy)


def test_its_trial_is_one_that_the_embedded_policy_can_spell(tmp_path: Path) -> None:
    [component] = saidpo_generators()
    assert component.trial is not None
    with component.trial(tmp_path) as trial:
        options = ScriptedOptions(path=Path(trial.options["path"]))
        with ScriptedGenerator(options).load(saidpo_policies()[0].folder) as engine:
            found = engine.generate([Request(problem=problem, seeds=(0, 1)) for problem in trial.problems])
    assert [len(generation.responses) for generation in found] == [2, 2]
