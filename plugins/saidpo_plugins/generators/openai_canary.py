"""The canary: are these the log-probabilities of this policy? Some responses are scored by transformers, as for vLLM.

It sees weights that are garbled or of quite another policy. It does not see those of the round before if training moved
them by less than rounding does: what a server serves has to be right by how it is started. No component lives here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from saidpo_core import SaidpoError
from saidpo_plugins.generators.openai_client import Sampled
from saidpo_plugins.generators.vllm_canary import Sample, measure

RESPONSES, TOKENS = 8, 64
"""So many responses are scored, of each so many tokens at most: enough for a mean, few enough for a CPU."""


def compare(policy: Path, sampled: Sequence[tuple[tuple[int, ...], Sampled]], limit: float) -> None:
    """Raise ``SaidpoError`` if the disagreement with transformers is above ``limit``, in nats of a logit.

    ``sampled`` are prompts and responses to them, of which some are taken. In float32: how the server computes is not
    known, so the limit has to bear 16 bits.
    """
    some = sampled[:: max(1, len(sampled) // RESPONSES)][:RESPONSES]
    try:
        found = measure(
            policy, "float32", [Sample(prompt, s.token_ids[:TOKENS], s.logprobs[:TOKENS]) for prompt, s in some]
        )
    except IndexError:  # a token that the policy has not
        found = math.nan
    if not found <= limit:
        raise SaidpoError(
            "--generator=openai: by the log-probabilities that the server gives, its logits are "
            f"{found:.3g} nats off those of {policy}, and {limit:g} is borne: it serves another model or other "
            "weights, or gives log-probabilities after temperature or top-p (--generator.canary=0 does not compare)"
        )
