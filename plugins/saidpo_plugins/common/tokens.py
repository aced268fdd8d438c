"""What the generators share about tokens: where a response ends, and where each token ends in its text."""

from __future__ import annotations

from typing import Any

from saidpo_core import UsageError


def stop_ids(generation_config: Any, tokenizer: Any) -> list[int]:
    """Every end token that the checkpoint's generation settings or its tokenizer name."""
    configured = generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    stops = sorted({i for i in [*ids, tokenizer.eos_token_id] if i is not None})
    if not stops:
        raise UsageError("the model has no end token: set eos_token_id in generation_config.json or in the tokenizer")
    return stops


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
