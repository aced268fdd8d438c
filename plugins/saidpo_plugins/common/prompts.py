"""The one place where a problem becomes a prompt: generation, training and evaluation all go through it."""

from __future__ import annotations

from typing import Any

from saidpo_core import Request, UsageError


def render(tokenizer: Any, request: Request, limit: int | None) -> tuple[int, ...]:
    """The prompt as token ids: by the tokenizer's chat template if it has one, else the question and a newline.

    Raises ``UsageError`` if no room is left for a response in the ``limit`` tokens that the model takes (None: any).
    """
    problem = request.problem
    if tokenizer.chat_template:
        message = [{"role": "user", "content": problem.question}]
        ids = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=True, return_dict=False)
    else:
        ids = tokenizer(problem.question + "\n")["input_ids"]
    if limit is not None and len(ids) >= limit:
        raise UsageError(
            f"problem {problem.id}: its prompt has {len(ids)} tokens, the model takes at most {limit}; "
            "drop the problem from the pool"
        )
    return tuple(ids)
