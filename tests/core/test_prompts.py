"""``--prompt``: names and files, what is refused, and that every request of a run carries it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Generation, Prompt, Request, UsageError
from saidpo_core.engines import CheckedEngine
from saidpo_core.prompts import PROMPTS, find_prompt
from saidpo_core.registry import load_registry
from saidpo_core.run_record import agree
from saidpo_core.settings import Settings, read_toml, resolve
from tests.builders import make_problem, make_response

REGISTRY = load_registry()


def settings(**values: Any) -> Settings:
    return resolve(REGISTRY, values, {key: f"--{key}" for key in values})


def test_a_name_is_a_prompt_and_auto_is_the_default() -> None:
    assert settings().prompt == PROMPTS["auto"] == Prompt()
    assert settings(prompt="qwen-math").prompt is PROMPTS["qwen-math"]
    assert settings(prompt="qwen-math").as_tree()["prompt"] == "qwen-math"


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_bytes(b"Q: {question}\r\nA (in \\boxed{}):\n")
    found = settings(prompt=str(file))
    assert found.prompt == Prompt(text="Q: {question}\r\nA (in \\boxed{}):\n", chat="no")
    assert found.as_tree()["prompt"] == str(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\n", "2: the file ends without {question}"),
        ("", "1: the file ends without {question}"),
        ("a\n{problem}\n", "2: {problem} is no placeholder; expected {question}"),
        ("a {Question}", "1: {Question} is no placeholder; expected {question}"),
        ("{question}\n\n{question}", "3: a second {question}, after the one in line 1"),
        ("{question} {question}", "1: a second {question}, after the one in line 1"),
    ],
)
def test_a_file_with_no_or_two_placeholders_is_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(f"{file}:{message}")):
        settings(prompt=str(file))


def test_a_slip_of_the_pen_is_met_with_the_nearest_name() -> None:
    with pytest.raises(
        UsageError, match=r"--prompt: no such file, and no such prompt: qwen_math. Did you mean qwen-math"
    ):
        settings(prompt="qwen_math")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"\xff{question}")
    with pytest.raises(UsageError, match="cannot be read as text"):
        find_prompt(tmp_path / "mine.txt", "--prompt")
    with pytest.raises(UsageError, match="cannot be read as text"):
        find_prompt(tmp_path, "--prompt")


@given(st.text(), st.text(), st.text())
def test_filling_puts_the_question_in_and_changes_nothing_else(before: str, after: str, question: str) -> None:
    text = before.replace("{question}", "") + "{question}" + after.replace("{question}", "")
    if text.count("{question}") == 1:
        start, end = text.split("{question}")
        assert Prompt(text=text).fill(question) == start + question + end


def test_a_run_goes_on_only_with_the_same_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("{question}\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "run").mkdir()
    agree(settings(prompt=str(file)), tmp_path / "model", tmp_path / "run")
    agree(settings(prompt=str(file)), tmp_path / "model", tmp_path / "run")
    file.write_text("{question}\nA:")
    with pytest.raises(UsageError, match=r"mine.txt was changed since the run"):
        agree(settings(prompt=str(file)), tmp_path / "model", tmp_path / "run")
    values, _ = read_toml(tmp_path / "run/run.toml")
    assert values["prompt"] == str(file)


class NotingEngine:
    def __init__(self) -> None:
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        self.asked += requests
        return [Generation(prompt_ids=(1,), responses=tuple(make_response() for _ in r.seeds)) for r in requests]


def test_every_request_gets_the_runs_prompt_unless_it_brings_its_own() -> None:
    engine, own = NotingEngine(), Prompt(text="Hm: {question}", chat="no")
    offer = REGISTRY.default("generator")
    checked = CheckedEngine(engine, offer, PROMPTS["qwen-math"])
    problem = make_problem()
    checked.generate([Request(problem=problem, seeds=(0,)), Request(problem=problem, seeds=(1,), prompt=own)])
    assert [request.prompt for request in engine.asked] == [PROMPTS["qwen-math"], own]
    assert [request.seeds for request in engine.asked] == [(0,), (1,)]
