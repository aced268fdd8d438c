"""Small random policies whose tokenizers have chat templates, BOS and end tokens as real models have, or wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Like Qwen's, without its default system message."""

_SPECIAL = ("<bos>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")


def make_chat_policy(
    folder: Path,
    template: str | None = CHATML,
    *,
    bos: bool = False,
    eos: str | None = "<|im_end|>",
    configured: int | list[int] | str | None = "eos",
    positions: int = 2048,
) -> Path:
    """``bos``: the tokenizer puts ``<bos>`` before every text. ``configured``: the eos_token_id of generation."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*alphabet, *_SPECIAL])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=eos, pad_token="<|endoftext|>", bos_token="<bos>" if bos else None
    )
    tokenizer.chat_template = template
    stop = vocabulary[eos] if configured == "eos" and eos else None if configured == "eos" else configured
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=stop,
        pad_token_id=vocabulary["<|endoftext|>"],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = {"eos_token_id": stop} if stop is not None else {}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return folder
