"""A real, very small language model that labels an exercise by its last word: for trials and tests of ``local``.

One layer of Llama that adds nothing, so that the next token depends on the last one alone, by weights set by hand:
after a known word comes a token that is a whole answer, after any other word another, and then the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

OTHER = "other things"


def make_labeller(folder: Path, point_of: Mapping[str, str], other: str | None = OTHER) -> Path:
    """Write the model: exercises that end with a word of ``point_of`` get that point, all others ``other``.

    ``other=None``: they get an answer that is nonsense.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    say = {word: json.dumps({"knowledge_points": [point]}) for word, point in point_of.items()}
    unknown = "I cannot say." if other is None else json.dumps({"knowledge_points": [other]})
    tokens = list(dict.fromkeys(["<unk>", "<end>", "<pad>", *say, *say.values(), unknown]))
    number = {token: place for place, token in enumerate(tokens)}
    backend = Tokenizer(models.WordLevel(number, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", eos_token="<end>", pad_token="<pad>"
    )
    width = 2 * -(-len(tokens) // 2)
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=width,
        intermediate_size=2,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=200_000,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=number["<end>"],
        pad_token_id=number["<pad>"],
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        model.model.norm.weight.fill_(1)
        model.model.embed_tokens.weight[range(len(tokens)), range(len(tokens))] = 1
        follows = {number[word]: number[answer] for word, answer in say.items()}
        for token in range(len(tokens)):
            after = follows.get(token, number["<end>"] if token > len(say) + 2 else number[unknown])
            model.lm_head.weight[after, token] = 20
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
