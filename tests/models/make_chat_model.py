"""A small real chat model for tests: byte-level BPE, Qwen2 of 5.2 million parameters, a chat template, arithmetic.

    python tests/models/make_chat_model.py --out my-model

writes an ordinary Hugging Face folder and, beside its weights, ``problems.jsonl`` with the 594 questions that it was
taught, for ``saidpo --model my-model --pool=jsonl --pool.path=my-model/problems.jsonl``. Takes about two minutes on
one core. The same versions on the same machine make the same bytes.

It answers sums well, and is meant to be of two minds about differences and products: of these a share of its lessons
is wrong. So every round finds right and wrong responses to the same problem. Like Qwen2 itself it has more rows of
embeddings than tokens, two end tokens of which the chat template uses one, and no token that begins a text.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

ROWS = 4096
"""Rows of the embeddings; the tokenizer has fewer tokens."""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PHRASES = {
    "+": ("What is {a} + {b}?", "Add {a} and {b}.", "Compute {a} + {b}."),
    "-": ("What is {a} - {b}?", "Take {b} from {a}.", "Compute {a} - {b}."),
    "*": ("What is {a} * {b}?", "Multiply {a} by {b}.", "Compute {a} * {b}."),
}
NAMES = {"+": "sums", "-": "differences", "*": "products"}
WRONG = {"+": 0.02, "-": 0.4, "*": 0.6}
"""Share of the lessons that are wrong: by one too many."""


class Exercise(NamedTuple):
    a: int
    operator: str
    b: int
    phrase: str

    @property
    def question(self) -> str:
        return self.phrase.format(a=self.a, b=self.b)

    @property
    def answer(self) -> int:
        return {"+": self.a + self.b, "-": self.a - self.b, "*": self.a * self.b}[self.operator]

    def solution(self, off: int = 0) -> str:
        return f"{self.a} {self.operator} {self.b} = {self.answer + off}\n\n\\boxed{{{self.answer + off}}}"


def exercises() -> list[Exercise]:
    return [
        Exercise(a, operator, b, phrase)
        for operator, phrases in PHRASES.items()
        for a in range(1, 10)
        for b in range(1, 10)
        if operator != "-" or b < a
        for phrase in phrases
    ]


def make_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator((f"{item.question}\n{item.solution()}" for item in exercises()), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        model_max_length=512,
        chat_template=TEMPLATE,
    )


def make_model(tokenizer: Any, seed: int) -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=ROWS,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    model.generation_config.update(
        bos_token_id=None,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def lesson(tokenizer: Any, item: Exercise, rng: random.Random) -> tuple[list[int], list[int]]:
    """Prompt and response as token ids."""
    off = int(rng.random() < WRONG[item.operator])
    message = [{"role": "user", "content": item.question}]
    prompt = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=True, return_dict=False)
    return list(prompt), [*tokenizer(item.solution(off))["input_ids"], tokenizer.eos_token_id]


def train(model: Any, tokenizer: Any, *, steps: int, batch: int, lr: float, seed: int) -> None:
    """Plain next-token training on the responses."""
    import torch

    rng = random.Random(seed)
    everything = exercises()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, (s + 1) / 20) * max(0.02, 1 - s / steps))
    started = time.monotonic()
    for step in range(1, steps + 1):
        rows = [lesson(tokenizer, item, rng) for item in rng.choices(everything, k=batch)]
        length = max(len(prompt) + len(response) for prompt, response in rows)
        ids = torch.full((batch, length), tokenizer.pad_token_id)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for row, (prompt, response) in enumerate(rows):
            end = len(prompt) + len(response)
            ids[row, :end] = torch.tensor(prompt + response)
            mask[row, :end] = 1
            labels[row, len(prompt) : end] = torch.tensor(response)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}/{steps}  loss {loss.item():.4f}  {time.monotonic() - started:.0f} s", flush=True)


def write_problems(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, item in enumerate(exercises()):
            name = NAMES[item.operator]
            row = {"id": f"{name}-{number}", "question": item.question, "answer": str(item.answer), "tags": [name]}
            file.write(json.dumps({**row, "group": name}) + "\n")


def make_chat_model(folder: Path, *, steps: int = 160, batch: int = 48, lr: float = 1e-3, seed: int = 0) -> Path:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of another number of threads are rounded otherwise
    try:
        tokenizer = make_tokenizer()
        model = make_model(tokenizer, seed)
        train(model, tokenizer, steps=steps, batch=batch, lr=lr, seed=seed)
    finally:
        torch.set_num_threads(threads)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_problems(folder / "problems.jsonl")
    return folder


def cached_chat_model() -> Path:
    """The model of this very file, made when it is first asked for; environments share it."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "saidpo-tests" / f"chat-model-{key}"
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        make_chat_model(partial)
        try:
            partial.rename(folder)
        except OSError:  # another process was quicker
            shutil.rmtree(partial)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write (default: the cache of the tests)")
    args = parser.parse_args()
    print(make_chat_model(args.out) if args.out else cached_chat_model())


if __name__ == "__main__":
    main()
