"""What generators that use a Hugging Face tokenizer can say before they generate anything (``ChecksPrompts``).

Each warning names what was seen, what follows from it, and what to set. Only the tokenizer and the small JSON files of
the checkpoint are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from saidpo_core import Request
from saidpo_plugins.common.checkpoints import load_config, load_generation_config, load_tokenizer
from saidpo_plugins.common.prompts import chat_text, messages_of, plain_text, render, uses_chat
from saidpo_plugins.common.tokens import end_of_turn, stop_ids


def preflight(
    policy: Path,
    requests: Sequence[Request],
    *,
    max_new_tokens: int,
    positions: int | None = None,
    trust_remote_code: bool = False,
) -> list[str]:
    """Warnings about how ``requests`` will be put to ``policy``. Raises ``UsageError`` where no answer could come.

    ``positions``: tokens of prompt and response together, if the generator takes fewer than the model does.
    """
    tokenizer = load_tokenizer(policy, trust_remote_code=trust_remote_code)
    generation_config = load_generation_config(policy, trust_remote_code=trust_remote_code)
    stops = stop_ids(generation_config, tokenizer)
    config = load_config(policy, trust_remote_code=trust_remote_code)
    limit = positions or getattr(config, "max_position_embeddings", None)
    prompts = [render(tokenizer, request, limit) for request in requests]
    if not requests:
        return []
    return [
        *_about_beginning(tokenizer, requests[0], prompts[0]),
        *_about_template(tokenizer, requests[0]),
        *_about_end(tokenizer, requests[0], generation_config, stops),
        *_about_room(prompts, limit, max_new_tokens),
        *_about_solutions(tokenizer, requests, max_new_tokens),
    ]


def _about_beginning(tokenizer: Any, request: Request, ids: tuple[int, ...]) -> Iterator[str]:
    bos, token = tokenizer.bos_token_id, tokenizer.bos_token
    if bos is None:
        return
    count = next((n for n, i in enumerate(ids) if i != bos), len(ids))
    if count > 1:
        yield (
            f"prompts begin with {count} BOS tokens ({token!r}): the policy has not seen that in training. "
            f"Take all but one out of {_source(tokenizer, request)}"
        )
    adds = tokenizer("1")["input_ids"][:1] == [bos]
    if adds and count == 0:
        yield (
            f"prompts begin without the BOS token ({token!r}), which this tokenizer puts before other texts. Write "
            f"{{{{ bos_token }}}} at the beginning of {_source(tokenizer, request)}"
        )


def _source(tokenizer: Any, request: Request) -> str:
    if uses_chat(tokenizer, request.prompt):
        return "the chat template (chat_template.jinja in the policy's folder), or use --prompt=FILE"
    return "the text of --prompt"


def _about_template(tokenizer: Any, request: Request) -> Iterator[str]:
    prompt = request.prompt
    chat = uses_chat(tokenizer, prompt)
    text = chat_text(tokenizer, messages_of(request.problem, prompt)) if chat else plain_text(request.problem, prompt)
    if chat and prompt.system and prompt.system.strip() not in text:
        yield (
            "the chat template drops the system message, so the policy is not told how to answer. Use --prompt=boxed, "
            "which puts the instruction into the user's message"
        )
    if chat and request.problem.question.strip() not in text:
        yield "the chat template changes or drops the question; use --prompt=FILE"
    found = _thinking_at_the_end(text)
    without = "use --prompt=FILE" if chat else "take it out of the text of --prompt"
    if found and found["closed"]:
        yield (
            f"prompts end with an empty thinking block ({found.group().strip()!r}): the policy is made to answer "
            f"without thinking. If it is to think, {without}"
        )
    elif found:
        yield (
            f"prompts end inside a thinking block ({found.group().strip()!r}), so responses hold only its end. They "
            f"are long: see that --generator.max_new_tokens is enough; to do without it, {without}"
        )


def _thinking_at_the_end(text: str) -> re.Match[str] | None:
    """A thinking block that the prompt opens last, and what closes it (``closed``) if it is empty."""
    return re.search(
        r"(?:<(?:think|thinking|thought|reasoning|seed:think)>|\[THINK\]|◁think▷|<\|begin_of_thought\|>)"
        r"(?P<closed>\s*(?:</\w[\w:]*>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>))?\s*$",
        text,
    )


def _about_end(tokenizer: Any, request: Request, generation_config: Any, stops: list[int]) -> Iterator[str]:
    configured = generation_config.eos_token_id
    named = {i for i in (configured if isinstance(configured, list) else [configured]) if i is not None}
    turn = end_of_turn(tokenizer)
    chat = uses_chat(tokenizer, request.prompt)
    if chat and turn is None:
        shown = ", ".join(repr(tokenizer.decode([i])) for i in stops)
        yield (
            f"the chat template ends an answer with none of the end tokens ({shown}) nor any other special token, so "
            "the policy may never stop. Write {{ eos_token }} after the assistant's message in chat_template.jinja"
        )
    elif chat and turn not in named | {tokenizer.eos_token_id}:
        yield (
            f"the chat template ends an answer with {tokenizer.decode([turn])!r}, which generation_config.json does "
            "not name: saidpo stops there all the same, other programs may not. Add its id, "
            f"{turn}, to eos_token_id in generation_config.json"
        )
    missing = sorted(i for i in named if i >= len(tokenizer))
    if missing:
        yield (
            f"eos_token_id in generation_config.json names {missing}, which the tokenizer does not have, so responses "
            "may never stop there. Correct it in the policy's folder"
        )


def _about_room(prompts: Sequence[tuple[int, ...]], limit: int | None, max_new_tokens: int) -> Iterator[str]:
    if limit is None:
        return
    tight = sum(len(ids) + max_new_tokens > limit for ids in prompts)
    if tight:
        longest = max(map(len, prompts))
        yield (
            f"{tight:,} of {len(prompts):,} prompts looked at leave less than "
            f"--generator.max_new_tokens={max_new_tokens}: the longest has {longest:,} tokens, and the model takes "
            f"{limit:,} in all. Set --generator.max_new_tokens to {max(1, limit - longest):,} or less, or drop the "
            "longest problems"
        )


def _about_solutions(tokenizer: Any, requests: Sequence[Request], max_new_tokens: int) -> Iterator[str]:
    """Worked solutions that come with the problems tell how long an answer has to be."""
    texts = [request.problem.extra.get("solution") for request in requests]
    lengths = sorted(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts if _is_worked(text))
    longer = sum(length > max_new_tokens for length in lengths)
    if longer > len(lengths) / 20:
        yield (
            f"{longer:,} of the {len(lengths):,} worked solutions looked at have more tokens than "
            f"--generator.max_new_tokens={max_new_tokens} (median {lengths[len(lengths) // 2]:,}, longest "
            f"{lengths[-1]:,}), so answers of that kind will be cut off. Raise it"
        )


def _is_worked(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())
