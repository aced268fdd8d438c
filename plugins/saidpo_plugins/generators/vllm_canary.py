"""The canary: does the engine run the weights that lie in the policy's folder? transformers is asked.

Some tokens that the engine sampled in its first call are scored by transformers on the CPU, from the same folder in the
same precision, and the two log-probabilities of each are compared. Rounding keeps them apart by little; other or
garbled weights, a wrong rotary embedding, a broken kernel by much.

An error e in the logits moves the log-probability of a token by about e (1 - p): not at all if the model is sure of
it. So the statistic is the sum of the differences over the sum of 1 - p, which says how large the errors in the logits
are, however sure of itself a model is. **Ours**, as are the limits; ``docs/vllm.md`` says how they were found and
what they cannot see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import SaidpoError
from saidpo_plugins.common.checkpoints import load_model

TOKENS = 256
"""So many sampled tokens are scored, or all if there are fewer."""
TOKENS_EACH = 64
"""Of one response at most so many: they have to be of several."""
_LIMITS = {"float32": 0.01, "bfloat16": 0.3, "float16": 0.1}
_LIMIT_OF_FLOAT32_ON_A_CPU = 0.001
_LEAST_DOUBT = 0.01
"""Least 1 - p of a token: of what is surer, float32 itself leaves nothing but rounding."""


@dataclass(frozen=True)
class Sample:
    """The beginning of a sampled response."""

    prompt_ids: Sequence[int]
    token_ids: Sequence[int]
    logprobs: Sequence[float]


class Canary:
    """Gathers responses until it has tokens enough, scores them in a thread of its own while others are generated."""

    def __init__(self, policy: Path, dtype: str, device: str) -> None:
        self._policy, self._dtype, self._device = policy, dtype, device
        self._samples: list[Sample] = []
        self._missing = TOKENS
        self._thread = ThreadPoolExecutor(1, "saidpo-canary")
        self._verdict: Future[float] | None = None

    def watch(self, prompt_ids: Sequence[int], token_ids: Sequence[int], logprobs: Sequence[float]) -> None:
        """Take a response that is finished, if it is still needed."""
        take = min(TOKENS_EACH, self._missing, len(token_ids))
        if take > 0:
            self._samples.append(Sample(prompt_ids, token_ids[:take], logprobs[:take]))
            self._missing -= take
            if self._missing <= 0:
                self._start()

    def judge(self) -> None:
        """Raise ``SaidpoError`` if the engine and transformers disagree; wait for the score."""
        if self._verdict is None:
            self._start()
        assert self._verdict is not None
        try:
            found, limit = self._verdict.result(), limit_of(self._dtype, self._device)
        finally:
            self.close()
        if not found <= limit:  # NaN is no agreement
            raise SaidpoError(
                "the canary died: by the log-probabilities of tokens that it sampled, the logits of vLLM are "
                f"{found:.3g} off those of transformers, where rounding in {self._dtype} allows {limit:g}. vLLM does "
                f"not run the weights of {self._policy}, or runs this model wrongly; nothing of this call was kept. "
                "--generator=transformers does not need vLLM; --generator.canary=false runs without this check"
            )

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        self._verdict = self._thread.submit(measure, self._policy, self._dtype, tuple(self._samples))


def limit_of(dtype: str, device: str) -> float:
    """Largest disagreement that rounding explains, in nats of a logit. GPUs may round float32 products further."""
    return _LIMIT_OF_FLOAT32_ON_A_CPU if (dtype, device) == ("float32", "cpu") else _LIMITS[dtype]


def measure(policy: Path, dtype: str, samples: Sequence[Sample]) -> float:
    """The ``disagreement`` of ``samples`` with transformers."""
    # 16 bits of the other kind are slow or absent on a CPU; what is true in them is true in float32.
    model = load_model(policy, dtype="float32" if dtype == "float16" else dtype, device="cpu", trust_remote_code=False)
    model.eval()
    ours = [logprob for sample in samples for logprob in sample.logprobs]
    theirs = [logprob for sample in samples for logprob in score(model, sample.prompt_ids, sample.token_ids)]
    return disagreement(ours, theirs)


def disagreement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How far apart two lists of log-probabilities of the same tokens are, in nats of a logit; NaN if one is NaN."""
    doubt = [max(1 - (math.exp(a) + math.exp(b)) / 2, _LEAST_DOUBT) for a, b in zip(ours, theirs, strict=True)]
    return math.fsum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / math.fsum(doubt)


def score(model: Any, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> list[float]:
    """Log-probability of each of ``token_ids`` after the prompt and those before it."""
    import torch

    ids = torch.tensor([[*prompt_ids, *token_ids]])
    with torch.inference_mode():
        logits = model(input_ids=ids[:, :-1], logits_to_keep=len(token_ids)).logits[0].float()
        logprobs: list[float] = torch.log_softmax(logits, -1).gather(1, ids[0, -len(token_ids) :, None])[:, 0].tolist()
    return logprobs
