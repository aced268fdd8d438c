"""What the generators share about tokens: where a response ends, and where each token ends in its text."""

from __future__ import annotations

from typing import Any

from saidpo_core import UsageError


def stop_ids(generation_config: Any, tokenizer: Any) -> list[int]:
    """Every end token that the checkpoint's generation settings, its tokenizer or its chat template name.

    The template's is what instruct models end an answer with, and base models that share their tokenizer do not list it
    (Qwen2.5-Math: ``<|im_end|>``): without it they would go on and answer themselves.
    """
    configured = generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    stops = sorted({i for i in [*ids, tokenizer.eos_token_id, end_of_turn(tokenizer)] if i is not None})
    if not stops:
        raise UsageError("the model has no end token: set eos_token_id in generation_config.json or in the tokenizer")
    return stops


def end_of_turn(tokenizer: Any) -> int | None:
    """The special token right after an answer in the chat template; None if there is no template or no such token."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    from jinja2 import TemplateError

    answer = "saidpo"
    messages = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": answer}]
    try:
        text: str = tokenizer.apply_chat_template(messages, tokenize=False)
    except (TemplateError, TypeError, ValueError):
        return None  # a prompt that goes through the template fails by itself, and says why
    ids = tokenizer(text[text.rfind(answer) + len(answer) :], add_special_tokens=False)["input_ids"]
    # White space may stand before it.
    first = next((i for i in ids if tokenizer.decode([i]).strip()), None)
    return first if first in tokenizer.all_special_ids or _is_special(tokenizer, first) else None


def _is_special(tokenizer: Any, token: int | None) -> bool:
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return token in added and bool(added[token].special)


def widths_of(tokenizer: Any, ids: list[int], text: str) -> tuple[int, ...]:
    """Characters of ``text`` that each token adds; empty if this tokenizer does not tell it token by token."""
    from tokenizers import Tokenizer
    from tokenizers.decoders import DecodeStream

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        return ()
    stream = DecodeStream(skip_special_tokens=True)
    pieces = [stream.step(backend, token) or "" for token in ids]  # None within a character of several tokens
    return tuple(map(len, pieces)) if "".join(pieces) == text else ()
