"""The canary: are these the log-probabilities of this policy? The first responses of a load are scored by transformers.

It sees weights that are garbled or of quite another policy. It does not see those of the round before if training moved
them by less than rounding does: what a server serves has to be right by how it is started. No component lives here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from saidpo_core import SaidpoError
from saidpo_plugins.common.checkpoints import load_model
from saidpo_plugins.generators.openai_client import Sampled

RESPONSES, TOKENS = 8, 64
"""So many responses are scored, of each so many tokens at most: enough for a mean, few enough for a CPU."""


def compare(policy: Path, sampled: Sequence[tuple[tuple[int, ...], Sampled]], limit: float) -> None:
    """Raise ``SaidpoError`` if the mean absolute difference a token is above ``limit`` nats.

    ``sampled`` are prompts and responses to them. In float32 on the CPU: the devices may be the server's.
    """
    import torch

    model = load_model(policy, dtype="float32", device="cpu", trust_remote_code=False).eval()
    differences: list[float] = []
    for prompt, item in sampled[:: max(1, len(sampled) // RESPONSES)][:RESPONSES]:
        ids = item.token_ids[:TOKENS]
        if max(ids) >= model.config.vocab_size:
            raise SaidpoError(
                f"--generator=openai: the server sampled the token {max(ids)}, and {policy} has "
                f"{model.config.vocab_size}; it serves another model"
            )
        tokens = torch.tensor([[*prompt, *ids]])
        with torch.inference_mode():
            logits = model(input_ids=tokens[:, :-1]).logits[0, -len(ids) :].float()
        own = torch.log_softmax(logits, -1).gather(1, tokens[0, -len(ids) :, None])[:, 0].tolist()
        differences += [abs(a - b) for a, b in zip(own, item.logprobs, strict=False)]
    found = fmean(differences)
    if not found <= limit:
        raise SaidpoError(
            f"--generator=openai: the log-probabilities that the server gives differ from those of {policy} by "
            f"{found:.3g} nats a token, and {limit:g} is borne: it serves other weights, or gives log-probabilities "
            "after temperature or top-p (--generator.canary=0 does not compare)"
        )
