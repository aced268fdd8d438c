"""The one place where a problem becomes a prompt: generation, training and evaluation all go through it."""

from __future__ import annotations

from typing import Any

from saidpo_core import Problem, Prompt, Request, UsageError


def render(tokenizer: Any, request: Request, limit: int | None) -> tuple[int, ...]:
    """The prompt of ``request`` as token ids: ``request.prompt`` filled with its question.

    Raises ``UsageError`` if no room is left for a response in the ``limit`` tokens that the model takes (None: any), or
    if the prompt cannot be put to a policy with this tokenizer.
    """
    problem, prompt = request.problem, request.prompt
    if uses_chat(tokenizer, prompt):
        ids = _ids_of_chat(tokenizer, messages_of(problem, prompt))
    else:
        ids = _ids_of_text(tokenizer, plain_text(problem, prompt))
    if limit is not None and len(ids) >= limit:
        raise UsageError(
            f"problem {problem.id}: its prompt has {len(ids)} tokens, the model takes at most {limit}; "
            "drop the problem from the pool"
        )
    if not ids:
        raise UsageError(f"problem {problem.id}: its prompt has no tokens in the policy's tokenizer")
    return tuple(ids)


def uses_chat(tokenizer: Any, prompt: Prompt) -> bool:
    if prompt.chat == "yes" and not tokenizer.chat_template:
        raise UsageError(
            "--prompt: the policy's tokenizer has no chat template, and this prompt is a chat; use --prompt=plain, or "
            "--prompt=FILE with the text that the policy is to read"
        )
    return prompt.chat != "no" and bool(tokenizer.chat_template)


def messages_of(problem: Problem, prompt: Prompt) -> list[dict[str, str]]:
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    return [*system, {"role": "user", "content": prompt.fill(problem.question)}]


def plain_text(problem: Problem, prompt: Prompt) -> str:
    text = prompt.fill(problem.question) + ("\n" if prompt.chat == "auto" else "")
    return f"{prompt.system}\n\n{text}" if prompt.system else text


def chat_text(tokenizer: Any, messages: list[dict[str, str]], *, ask: bool = True) -> str:
    """What the chat template makes of ``messages``; with ``ask`` up to where the policy's answer begins."""
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(messages, add_generation_prompt=ask, tokenize=False)
    except (TemplateError, TypeError, ValueError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        advice = ""
        if messages[0]["role"] == "system":
            advice = "; if it takes no system message, use --prompt=boxed, whose instruction is the user's"
        raise UsageError(f"the policy's chat template refuses this prompt: {why}{advice}") from error
    return text


def _ids_of_chat(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    # Special tokens are the template's to write: the tokenizer adds none, so no second BOS.
    return list(tokenizer(chat_text(tokenizer, messages), add_special_tokens=False)["input_ids"])


def _ids_of_text(tokenizer: Any, text: str) -> list[int]:
    begins = bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)  # a file that spells out its BOS
    return list(tokenizer(text, add_special_tokens=not begins)["input_ids"])
