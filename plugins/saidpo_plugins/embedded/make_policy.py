"""Make the embedded policy from nothing: tokenizer, corpus, a small Llama, plain next-token training.

    python -m saidpo_plugins.embedded.make_policy --seed 0 --out my-policy

Takes about 12 minutes on one core and prints the accuracy per family at the end. The folder it writes is an
ordinary Hugging Face checkpoint (safetensors) of less than 3 MB. The policy that ships with saidpo was made by
this command with its defaults.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saidpo_plugins.embedded.corpus import corpus
from saidpo_plugins.embedded.families import FAMILIES
from saidpo_plugins.embedded.problems import held_out_problems

VOCABULARY = 512
WIDTH, LAYERS = 96, 3


def make_tokenizer(seed: int) -> Any:
    """Byte-level BPE, digits always alone, end and padding token; any text can be encoded."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    texts = (f"{problem.question}\n{response}" for problem, response in itertools.islice(corpus(seed), 20_000))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", padding_side="left", model_max_length=256
    )


def make_model(tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=256,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


def batches(tokenizer: Any, size: int, seed: int) -> Iterator[tuple[Any, Any, Any]]:
    """(input ids, attention mask, labels), each [size, length]; only the response is learnt."""
    import torch

    examples = corpus(seed)
    while True:
        rows = []
        # Sorting a larger window by length saves most of the padding.
        for problem, response in itertools.islice(examples, size * 16):
            prompt = tokenizer(problem.question + "\n")["input_ids"]
            rows.append((prompt, [*tokenizer(response)["input_ids"], tokenizer.eos_token_id]))
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))
        groups = [rows[start : start + size] for start in range(0, len(rows), size)]
        order = torch.randperm(len(groups)).tolist()
        for group in (groups[index] for index in order):
            length = max(len(p) + len(r) for p, r in group)
            ids = torch.full((size, length), tokenizer.pad_token_id)
            labels = torch.full((size, length), -100)
            for i, (p, r) in enumerate(group):
                ids[i, : len(p) + len(r)] = torch.tensor(p + r)
                labels[i, len(p) : len(p) + len(r)] = torch.tensor(r)
            yield ids, (torch.arange(length) < (ids != tokenizer.pad_token_id).sum(1, keepdim=True)).long(), labels


def train(model: Any, tokenizer: Any, *, steps: int, batch: int, peak_lr: float, seed: int) -> None:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_lr, betas=(0.9, 0.98), weight_decay=0.01)
    warmup = 200
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1, (s + 1) / warmup) * max(0.02, 1 - s / steps)
    )
    started = time.monotonic()
    for step, (ids, mask, labels) in enumerate(itertools.islice(batches(tokenizer, batch, seed), steps), start=1):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(f"step {step}/{steps}  loss {loss.item():.4f}  {time.monotonic() - started:.0f} s", flush=True)


def greedy_accuracy(model: Any, tokenizer: Any, per_family: int) -> dict[str, dict[str, Any]]:
    """Share of greedy responses on ``dev`` whose last line is the right one, and the misconception's."""
    import torch

    model.eval()
    table: dict[str, dict[str, Any]] = {}
    problems = held_out_problems("dev", per_family)
    for family in FAMILIES:
        mine = [problem for problem in problems if problem.family is family]
        inputs = tokenizer([p.question + "\n" for p in mine], return_tensors="pt", padding=True)
        with torch.inference_mode():
            out = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=48,
                do_sample=False,
            )
        texts = tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        last = [text.split("\n")[-1] for text in texts]
        right = sum(a == p.solution.split("\n")[-1] for a, p in zip(last, mine, strict=True))
        wrong = sum(a == p.wrong_solution.split("\n")[-1] for a, p in zip(last, mine, strict=True))
        table[family.name] = {"tier": family.tier, "right": right / len(mine), "misconception": wrong / len(mine)}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=14_000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()

    import torch

    torch.manual_seed(args.seed)
    tokenizer = make_tokenizer(args.seed)
    model = make_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, vocabulary of {len(tokenizer)}")
    train(model, tokenizer, steps=args.steps, batch=args.batch, peak_lr=args.lr, seed=args.seed)
    table = greedy_accuracy(model, tokenizer, per_family=40)
    for name, row in table.items():
        print(f"{name:22} {row['tier']:9} right {row['right']:.2f}  misconception {row['misconception']:.2f}")
    print(f"balanced accuracy {sum(row['right'] for row in table.values()) / len(table):.3f}")
    model.generation_config.update(bos_token_id=None)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    record = {**{k: v for k, v in vars(args).items() if k != "out"}, "greedy_dev": table}
    (args.out / "made.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
