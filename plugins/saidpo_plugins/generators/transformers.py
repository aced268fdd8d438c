"""Generator ``transformers``: responses from ``model.generate``, on any device that torch knows.

Batched, KV-cached, left-padded, and bucketed by prompt length. **Ours**: every response draws its tokens by inverse
CDF from a stream of uniform numbers keyed by its own seed, so which other responses share its batch does not change
its randomness (and, up to the rounding of a batched matrix product, not the response).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from saidpo_core import Component, Generation, Generator, Request, Response, hookimpl, option
from saidpo_plugins.common.checkpoints import (
    best_device,
    check_checkpoint,
    free_device_memory,
    load_model,
    load_tokenizer,
)
from saidpo_plugins.common.prompts import render
from saidpo_plugins.common.tokens import stop_ids, widths_of
from saidpo_plugins.generators.planning import plan_transformers


@dataclass(frozen=True, kw_only=True)
class TransformersOptions:
    max_new_tokens: int = option(1024, "token limit of a response; one that reaches it is truncated", low=1)
    temperature: float = option(1.0, "sampling temperature", low=0.01, high=10)
    top_p: float = option(1.0, "sample from the smallest set of tokens with this probability", low=0.01, high=1)
    batch_size: int = option(256, "responses generated side by side", low=1)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option("auto", "float32 on a CPU, bfloat16 elsewhere")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")
    trust_remote_code: bool = option(False, "run Python code that comes with the checkpoint")


class TransformersGenerator:
    def __init__(self, options: TransformersOptions) -> None:
        self.options = options

    def check(self, policy: Path) -> None:
        check_checkpoint(policy)

    def preflight(self, policy: Path, requests: Sequence[Request]) -> list[str]:
        from saidpo_plugins.common.preflight import preflight

        options = self.options
        return preflight(
            policy, requests, max_new_tokens=options.max_new_tokens, trust_remote_code=options.trust_remote_code
        )

    @contextmanager
    def load(self, policy: Path) -> Iterator[TransformersEngine]:
        check_checkpoint(policy)
        options = self.options
        device = best_device() if options.device == "auto" else options.device
        tokenizer = load_tokenizer(policy, trust_remote_code=options.trust_remote_code)
        model = load_model(policy, dtype=options.dtype, device=device, trust_remote_code=options.trust_remote_code)
        engine = TransformersEngine(model.eval(), tokenizer, options)
        try:
            yield engine
        finally:
            del engine.model, model
            if device.startswith("cuda"):
                free_device_memory()


class TransformersEngine:
    """A loaded policy; see ``saidpo_core.Engine``."""

    def __init__(self, model: Any, tokenizer: Any, options: TransformersOptions) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.options = options
        self.stop_ids = stop_ids(model.generation_config, tokenizer)

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        prompts = [self.prompt_ids(request) for request in requests]
        rows = [(i, seed) for i, request in enumerate(requests) for seed in request.seeds]
        # Bucketed: prompts of like length share a batch. The sort is stable, so the batches are always the same.
        rows.sort(key=lambda row: len(prompts[row[0]]))
        found: dict[tuple[int, int], Response] = {}
        size = self.options.batch_size
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            responses = self._generate_batch([prompts[i] for i, _ in batch], None if greedy else [s for _, s in batch])
            found.update(zip(batch, responses, strict=True))
        return [
            Generation(prompt_ids=prompt, responses=tuple(found[i, seed] for seed in request.seeds))
            for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True))
        ]

    def prompt_ids(self, request: Request) -> tuple[int, ...]:
        return render(self.tokenizer, request, getattr(self.model.config, "max_position_embeddings", None))

    def _generate_batch(self, prompts: list[tuple[int, ...]], seeds: list[int] | None) -> list[Response]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        started = time.perf_counter()
        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        limit = getattr(self.model.config, "max_position_embeddings", None) or width + self.options.max_new_tokens
        new_tokens = max(1, min(self.options.max_new_tokens, limit - width))
        device = self.model.device
        chooser = _TokenChooser(
            _uniforms(seeds, new_tokens, device), width, self.options.temperature, self.options.top_p
        )
        config = GenerationConfig(
            max_new_tokens=new_tokens,
            do_sample=False,  # the chooser has sampled already; generate takes what it left
            eos_token_id=self.stop_ids,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=config,
                logits_processor=LogitsProcessorList([chooser]),
            )
        return self._responses(out[:, width:].tolist(), chooser.logprobs(), time.perf_counter() - started)

    def _responses(self, rows: list[list[int]], logprobs: list[list[float]], seconds: float) -> list[Response]:
        stops = set(self.stop_ids)
        lengths = [next((i + 1 for i, token in enumerate(row) if token in stops), len(row)) for row in rows]
        finished = [row[length - 1] in stops for row, length in zip(rows, lengths, strict=True)]
        kept = [row[:length] for row, length in zip(rows, lengths, strict=True)]
        texts = self.tokenizer.batch_decode(kept, skip_special_tokens=True)
        total = sum(lengths)
        return [
            Response(
                text=text,
                token_ids=tuple(row),
                logprobs=tuple(logprob[: len(row)]),
                finish_reason="stop" if done else "length",
                seconds=seconds * len(row) / total,
                widths=widths_of(self.tokenizer, row, text),
            )
            for text, row, logprob, done in zip(texts, kept, logprobs, finished, strict=True)
        ]


class _TokenChooser:
    """A logits processor that chooses each row's next token and leaves only that one possible."""

    def __init__(self, uniforms: Any, prompt_width: int, temperature: float, top_p: float) -> None:
        self.uniforms, self.prompt_width = uniforms, prompt_width
        self.temperature, self.top_p = temperature, top_p
        self._logprobs: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """``scores`` is [batch, vocabulary]; the result has 0 at the chosen token and -inf elsewhere."""
        import torch

        if self.uniforms is None:
            token = scores.argmax(-1, keepdim=True)
        else:
            token = self._sample(scores, self.uniforms[:, input_ids.shape[1] - self.prompt_width, None])
        self._logprobs.append(torch.log_softmax(scores.float(), dim=-1).gather(1, token))
        return torch.full_like(scores, float("-inf")).scatter(1, token, 0.0)

    def _sample(self, scores: Any, uniform: Any) -> Any:
        import torch

        probs = torch.softmax(scores.float() / self.temperature, dim=-1)
        if self.top_p < 1:
            ordered, index = probs.sort(dim=-1, descending=True, stable=True)
            outside = ordered.cumsum(-1) - ordered >= self.top_p
            probs = probs.masked_fill(torch.zeros_like(outside).scatter(1, index, outside), 0.0)
        cdf = probs.cumsum(-1)
        target = uniform * cdf[:, -1:]
        # right=True passes over tokens of probability 0; the bound does so where rounding makes target the whole sum.
        last = torch.searchsorted(cdf, cdf[:, -1:].contiguous(), right=False)
        return torch.minimum(torch.searchsorted(cdf, target, right=True), last)

    def logprobs(self) -> list[list[float]]:
        """[batch][steps], natural logarithm, at temperature 1."""
        import torch

        rows: list[list[float]] = torch.cat(self._logprobs, dim=1).tolist()
        return rows


def _uniforms(seeds: list[int] | None, steps: int, device: Any) -> Any:
    """[batch, steps] numbers in [0, 1), each row from its own generator; None for greedy decoding."""
    if seeds is None:
        return None
    import numpy as np
    import torch

    rows = np.stack([np.random.Generator(np.random.PCG64(seed)).random(steps, dtype=np.float32) for seed in seeds])
    return torch.from_numpy(rows).to(device)


@hookimpl
def saidpo_generators() -> list[Component[Generator]]:
    return [
        Component(
            name="transformers",
            summary="model.generate of Hugging Face transformers, batched and KV-cached",
            options=TransformersOptions,
            build=TransformersGenerator,
            plan=plan_transformers,
            default=True,
        )
    ]
