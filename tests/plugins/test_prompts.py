"""One renderer: what each prompt makes of a question, in tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from transformers import AutoTokenizer

from saidpo_core import Prompt, Request, UsageError
from saidpo_core.prompts import PROMPTS
from saidpo_plugins.common.prompts import render
from tests.builders import make_problem
from tests.chat_policy import make_chat_policy

QUESTION = "Find {x} if $x \\in \\{1\\}$."  # braces are not the prompt's to read


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(make_chat_policy(tmp_path_factory.mktemp("chat")))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    return AutoTokenizer.from_pretrained(make_chat_policy(tmp_path_factory.mktemp("plain"), None, bos=True))


def text_of(tokenizer: Any, prompt: Prompt) -> str:
    request = Request(problem=make_problem(question=QUESTION), seeds=(0,), prompt=prompt)
    return str(tokenizer.decode(render(tokenizer, request, None)))


def turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


BEGIN = "<|im_start|>assistant\n"
BOXED = "Please reason step by step, and put your final answer within \\boxed{}."


def test_auto_is_the_template_if_there_is_one_and_else_the_question(chat: Any, plain: Any) -> None:
    assert text_of(chat, PROMPTS["auto"]) == text_of(chat, PROMPTS["chat"]) == turn("user", QUESTION) + BEGIN
    assert text_of(plain, PROMPTS["auto"]) == text_of(plain, PROMPTS["plain"]) == f"<bos>{QUESTION}\n"
    assert text_of(chat, PROMPTS["plain"]) == f"{QUESTION}\n"


def test_qwen_math_is_a_system_message_and_boxed_is_the_users(chat: Any) -> None:
    assert text_of(chat, PROMPTS["qwen-math"]) == turn("system", BOXED) + turn("user", QUESTION) + BEGIN
    assert text_of(chat, PROMPTS["boxed"]) == turn("user", f"{QUESTION}\n\n{BOXED}") + BEGIN


def test_llama_math_ends_with_the_question(chat: Any) -> None:
    text = text_of(chat, PROMPTS["llama-math"])
    assert text.endswith(f"\n\nProblem: {QUESTION}<|im_end|>\n{BEGIN}")
    assert "$\\boxed{answer}$" in text


def test_a_file_is_read_as_it_is_special_tokens_and_all(chat: Any, plain: Any) -> None:
    prompt = Prompt(text="<|im_start|>user\n{question} \\boxed{}<|im_end|>\n", chat="no")
    assert text_of(chat, prompt) == f"<|im_start|>user\n{QUESTION} \\boxed{{}}<|im_end|>\n"
    assert text_of(plain, Prompt(text="<bos>{question}", chat="no")) == f"<bos>{QUESTION}"


def test_chat_prompts_are_the_tokens_of_apply_chat_template(chat: Any) -> None:
    for prompt in (PROMPTS["chat"], PROMPTS["qwen-math"]):
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        due = chat.apply_chat_template(
            [*system, {"role": "user", "content": QUESTION}], add_generation_prompt=True, return_dict=False
        )
        request = Request(problem=make_problem(question=QUESTION), seeds=(0,), prompt=prompt)
        assert render(chat, request, None) == tuple(due)


def test_a_prompt_without_tokens_is_refused(chat: Any) -> None:
    with pytest.raises(UsageError, match="no tokens"):
        render(chat, Request(problem=make_problem(), seeds=(0,), prompt=Prompt(text="", chat="no")), None)
