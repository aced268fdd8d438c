"""Preflight: what is wrong with a policy's template, end tokens and lengths is said, with advice, beforehand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from saidpo_core import Problem, Prompt, Request, UsageError
from saidpo_core.prompts import PROMPTS
from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions
from saidpo_plugins.policies.embedded import saidpo_policies
from tests.builders import make_problem
from tests.chat_policy import CHATML, make_chat_policy

Look = Callable[..., list[str]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """The warnings about a policy made with such a template and such options."""

    def run(
        template: str | None = CHATML,
        *,
        prompt: Prompt = PROMPTS["auto"],
        limit: int = 64,
        problems: Sequence[Problem] = (make_problem(),),
        **options: object,
    ) -> list[str]:
        shutil.rmtree(tmp_path / "policy", ignore_errors=True)
        folder = make_chat_policy(tmp_path / "policy", template, **options)  # type: ignore[arg-type]
        requests = [Request(problem=problem, seeds=(0,), prompt=prompt) for problem in problems]
        return TransformersGenerator(TransformersOptions(max_new_tokens=limit)).preflight(folder, requests)

    return run


def test_a_sound_template_gives_no_warning(look: Look) -> None:
    assert look() == []
    assert look(prompt=PROMPTS["qwen-math"]) == []
    assert look(prompt=PROMPTS["llama-math"]) == []
    assert look("{{ bos_token }}" + CHATML, bos=True) == []
    assert look(None, bos=True) == []


def test_the_embedded_policy_gives_no_warning_with_its_own_settings() -> None:
    policy = saidpo_policies()[0]
    options = TransformersOptions(max_new_tokens=int(policy.settings["generator.max_new_tokens"]))
    requests = [Request(problem=make_problem(question="What is 31 + 44?"), seeds=(0,))]
    assert TransformersGenerator(options).preflight(policy.folder, requests) == []


def test_a_doubled_bos_is_named_with_its_place(look: Look) -> None:
    [warning] = look("{{ bos_token }}{{ bos_token }}" + CHATML, bos=True)
    assert "2 BOS tokens ('<bos>')" in warning
    assert "chat_template.jinja" in warning


def test_a_missing_bos_is_named_if_the_tokenizer_puts_one_elsewhere(look: Look) -> None:
    [warning] = look(CHATML, bos=True)
    assert "without the BOS token ('<bos>')" in warning


def test_a_file_that_spells_out_its_bos_gets_no_second_one(look: Look) -> None:
    assert look(None, bos=True, prompt=Prompt(text="<bos>Q: {question}\nA:", chat="no")) == []
    [warning] = look(None, bos=True, prompt=Prompt(text="<bos><bos>{question}", chat="no"))
    assert "2 BOS tokens" in warning
    assert "the text of --prompt" in warning


def test_an_end_of_turn_that_generation_config_does_not_name_is_named(look: Look) -> None:
    [warning] = look(eos="<|endoftext|>")
    assert "'<|im_end|>', which generation_config.json does not name" in warning


def test_a_template_that_ends_answers_with_nothing_is_named(look: Look) -> None:
    [warning] = look("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    assert "the policy may never stop" in warning


def test_an_end_token_that_the_tokenizer_does_not_have_is_named(look: Look) -> None:
    [warning] = look(configured=[259, 5000])
    assert "[5000], which the tokenizer does not have" in warning


def test_no_end_token_at_all_is_an_error(look: Look) -> None:
    with pytest.raises(UsageError, match="the model has no end token"):
        look(None, eos=None)


@pytest.mark.parametrize(
    ("ending", "said"),
    [("<think>\n", "end inside a thinking block ('<think>')"), ("<think>\n\n</think>\n\n", "an empty thinking block")],
)
def test_a_thinking_block_in_the_generation_prompt_is_named(look: Look, ending: str, said: str) -> None:
    [warning] = look(CHATML.replace("assistant\n{% endif", f"assistant\n{ending}{{% endif"))
    assert said in warning


def test_a_question_about_thinking_is_no_thinking_block(look: Look) -> None:
    assert look(problems=[make_problem(question="What does <think> mean?")]) == []


def test_a_dropped_system_message_is_named(look: Look) -> None:
    dropping = "{% for m in messages %}{% if m.role != 'system' %}" + CHATML[CHATML.index("<|im_start|>") :].replace(
        "{% endfor %}", "{% endif %}{% endfor %}", 1
    )
    [warning] = look(dropping, prompt=PROMPTS["qwen-math"])
    assert "drops the system message" in warning
    assert "--prompt=boxed" in warning
    assert look(dropping, prompt=PROMPTS["boxed"]) == []


def test_a_refused_system_message_is_an_error_with_advice(look: Look) -> None:
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    with pytest.raises(UsageError, match=r"refuses this prompt: System role not supported; .* --prompt=boxed"):
        look(refusing + CHATML, prompt=PROMPTS["qwen-math"])


def test_a_chat_prompt_without_a_template_is_an_error(look: Look) -> None:
    with pytest.raises(UsageError, match="has no chat template"):
        look(None, prompt=PROMPTS["qwen-math"])


def test_a_prompt_that_leaves_no_room_is_an_error_and_little_room_a_warning(look: Look) -> None:
    with pytest.raises(UsageError, match=r"problem p0: its prompt has \d+ tokens, the model takes at most 32"):
        look(positions=32, problems=[make_problem(question="?" * 40)])
    [warning] = look(None, positions=64, limit=50)
    assert "1 of 1 prompts looked at leave less than --generator.max_new_tokens=50" in warning
    assert "Set --generator.max_new_tokens to 49 or less" in warning  # "What is 1 + 1?\n" has 15 tokens


def test_worked_solutions_longer_than_the_limit_are_counted(look: Look) -> None:
    problems = [make_problem(id=f"p{n}", extra={"solution": "x" * (40 + 10 * n)}) for n in range(6)]
    [warning] = look(problems=problems, limit=64)
    assert "3 of the 6 worked solutions looked at have more tokens than --generator.max_new_tokens=64" in warning
    assert "longest 90" in warning
    assert look(problems=problems, limit=90) == []


def test_a_broken_generation_config_is_named(tmp_path: Path) -> None:
    folder = make_chat_policy(tmp_path / "policy")
    (folder / "generation_config.json").write_text("{")
    with pytest.raises(UsageError, match="the generation settings cannot be read"):
        TransformersGenerator(TransformersOptions()).preflight(folder, [])


def test_the_templates_end_of_turn_ends_a_response(tmp_path: Path) -> None:
    """A base model with the tokenizer of its instruct sibling: both of its ends are ends."""
    folder = make_chat_policy(tmp_path / "policy", eos="<|endoftext|>")
    with TransformersGenerator(TransformersOptions(max_new_tokens=4, device="cpu")).load(folder) as engine:
        assert [engine.tokenizer.decode([i]) for i in engine.stop_ids] == ["<|endoftext|>", "<|im_end|>"]
    shutil.rmtree(folder)
