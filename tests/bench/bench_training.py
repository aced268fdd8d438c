"""Training on pairs of realistic lengths: ``dpo`` against TRL at the same loss, alternating in one process.

    OMP_NUM_THREADS=1 python tests/bench/bench_training.py [--pairs 128] [--repeats 3] [--hidden 96] [--arms trl,dpo]

Every arm makes the same optimiser steps of 64 pairs in micro-batches of 8, from loading the policy to writing the new
one; gradient checkpointing is off in all. Lengths are log-normal (the wrong responses longer, as they are), the
policy has random weights, and the pairs carry their log-probabilities under it, as rollouts do. Times are seconds of
this process (``time.process_time``), which do not count what others do on the machine; the wall clock stands beside.

    trl            DPOTrainer's defaults: a reference model is asked in every step
    dpo            ours as it is: references from the rollouts, micro-batches of like length
    dpo computed   the same with reference_logprobs=compute
    trl same       TRL told what we tell it: precomputed references, pairs that are tokenised already
    dpo plain      ours with TRL's batches (length_grouping=false, reference_logprobs=compute): the wrapper alone

Targets: trl / dpo >= 1.3, dpo plain / trl same <= 1.02.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from saidpo_core import Pair, Response, TrainingJob
from saidpo_plugins.policies.embedded import saidpo_policies
from saidpo_plugins.trainers.dpo import DPO, DPOOptions
from saidpo_plugins.trainers.quiet import quiet, same_random_state
from saidpo_plugins.verifiers.math import MathOptions, MathVerifier

ARMS = ("trl", "dpo", "dpo computed", "trl same", "dpo plain")
COMMON: dict[str, Any] = {"batch_size": 64, "micro_batch_size": 8, "lr": 1e-5, "epochs": 1.0}


def make_policy(folder: Path, hidden: int) -> Path:
    """A Llama with random weights and the tokenizer of the embedded policy."""
    tokenizer = AutoTokenizer.from_pretrained(saidpo_policies()[0].folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=3 * hidden, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_pairs(policy: Path, count: int) -> list[Pair]:
    """Right responses of about 80 tokens, wrong ones of about 110, up to 500; prompts of 20 to 80."""
    model = AutoModelForCausalLM.from_pretrained(policy).eval()
    rng = np.random.Generator(np.random.PCG64(0))

    def ids(length: int) -> tuple[int, ...]:
        return tuple(rng.integers(4, model.config.vocab_size, length).tolist())

    def response(prompt: tuple[int, ...], median: float) -> Response:
        tokens = ids(int(np.clip(rng.lognormal(np.log(median), 0.6), 10, 500)))
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        logps = torch.log_softmax(logits, -1).gather(1, torch.tensor(tokens)[:, None])[:, 0]
        return Response(text="", token_ids=tokens, logprobs=tuple(logps.tolist()), finish_reason="stop")

    pairs = []
    for number in range(count):
        prompt = ids(int(rng.integers(20, 80)))
        chosen, rejected = response(prompt, 80), response(prompt, 110)
        pairs.append(Pair(problem_id=str(number), prompt_ids=prompt, chosen=chosen, rejected=rejected))
    return pairs


def ours(policy: Path, pairs: list[Pair], out: Path, **options: Any) -> None:
    job = TrainingJob(
        policy=policy, initial_policy=policy, out=out, pairs=pairs, attempts=(), problems={}, samples=8,
        verifier=MathVerifier(MathOptions()), round=1, seed=1, progress=lambda done, total: None,
    )  # fmt: skip
    DPO(DPOOptions(**{**COMMON, "launch": "none", **options})).train(job)


def trl_alone(policy: Path, pairs: list[Pair], out: Path, *, precompute: bool) -> None:
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    class Tokenised(DPOTrainer):  # type: ignore[misc, unused-ignore]
        def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:
            return dataset

    with quiet(), same_random_state():
        micro = COMMON["micro_batch_size"]
        config = DPOConfig(
            output_dir=str(out / "trl"), per_device_train_batch_size=micro, num_train_epochs=COMMON["epochs"],
            gradient_accumulation_steps=COMMON["batch_size"] // micro, learning_rate=COMMON["lr"], warmup_steps=0.1,
            lr_scheduler_type="cosine", bf16=False, gradient_checkpointing=False, use_cpu=True, seed=1,
            report_to="none", save_strategy="no", logging_steps=1, disable_tqdm=True, max_length=None,
            precompute_ref_log_probs=precompute, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Tokenised(
            model=AutoModelForCausalLM.from_pretrained(policy),
            args=config,
            train_dataset=Dataset.from_dict(
                {
                    "prompt_ids": [list(pair.prompt_ids) for pair in pairs],
                    "chosen_ids": [list(pair.chosen.token_ids) for pair in pairs],
                    "rejected_ids": [list(pair.rejected.token_ids) for pair in pairs],
                }
            ),
            processing_class=AutoTokenizer.from_pretrained(policy),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.model.save_pretrained(out)
        trainer.processing_class.save_pretrained(out)


def padding(pairs: list[Pair]) -> float:
    """Share of what TRL's batches hold that is padding, in random micro-batches of 8 pairs."""
    order = np.random.Generator(np.random.PCG64(1)).permutation(len(pairs))
    real = held = 0
    for start in range(0, len(pairs), 8):
        part = [pairs[i] for i in order[start : start + 8]]
        lengths = [len(p.prompt_ids) + len(r.token_ids) for p in part for r in (p.chosen, p.rejected)]
        real, held = real + sum(lengths), held + len(lengths) * max(lengths)
    return 1 - real / held


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--arms", default=",".join(ARMS), help="the arms to run, alternating")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-training-") as name:
        policy = make_policy(Path(name) / "policy", given.hidden)
        pairs = make_pairs(policy, given.pairs)
        plain = {"length_grouping": False, "reference_logprobs": "compute"}
        arms: dict[str, Callable[[Path], None]] = {
            "trl": lambda out: trl_alone(policy, pairs, out, precompute=False),
            "dpo": lambda out: ours(policy, pairs, out),
            "dpo computed": lambda out: ours(policy, pairs, out, reference_logprobs="compute"),
            "trl same": lambda out: trl_alone(policy, pairs, out, precompute=True),
            "dpo plain": lambda out: ours(policy, pairs, out, **plain),
        }
        arms = {arm: arms[arm] for arm in given.arms.split(",")}
        ours(policy, pairs[:64], _folder(name))  # imports and the like
        spent: dict[str, list[tuple[float, float]]] = {arm: [] for arm in arms}
        for _ in range(given.repeats):
            for arm, run in arms.items():
                started = time.process_time(), time.perf_counter()
                run(_folder(name))
                spent[arm].append((time.process_time() - started[0], time.perf_counter() - started[1]))
    seconds = {arm: statistics.median(cpu for cpu, _ in runs) for arm, runs in spent.items()}
    print(f"{given.pairs} pairs, hidden {given.hidden}, padding of random micro-batches {padding(pairs):.0%}")
    for arm, runs in spent.items():
        wall = ", ".join(f"{wall:.1f}" for _, wall in runs)
        print(f"{arm:14}{seconds[arm]:7.2f} s  (each {', '.join(f'{cpu:.2f}' for cpu, _ in runs)}; wall {wall})")
    for over, under in (("trl", "dpo"), ("trl", "dpo computed"), ("dpo plain", "trl same")):
        if {over, under} <= seconds.keys():
            print(f"{over} / {under}: {seconds[over] / seconds[under]:.3f}")


def _folder(name: str) -> Path:
    return Path(tempfile.mkdtemp(dir=name))


if __name__ == "__main__":
    main()
