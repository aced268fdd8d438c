"""Numbers of a round's record that tell whether the run is well: of the probe, and of the lengths of responses.

The probe is drawn uniformly from the pool, so its numbers can be compared from round to round; those of the explored
problems cannot, since the draw moves. In round t both are of M_{t-1}, the policy that the round began with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saidpo_core.records import Attempts, Response

LOOKED_AT = 1000
"""Responses of a probe of which the repetition is measured, evenly spread: enough for a mean, whatever their number."""


def probe_facts(probe: Sequence[Attempts]) -> dict[str, Any]:
    """Mean pass rate in [0, 1] and its standard error (over problems), mean length in tokens, shares of responses."""
    rates = [item.pass_rate for item in probe if item.counted]
    responses = [response for item in probe for response in item.responses]
    mean = sum(rates) / len(rates) if rates else None
    spread = sum((rate - mean) ** 2 for rate in rates) / max(1, len(rates) - 1) if mean is not None else 0.0
    looked_at = responses[:: max(1, len(responses) // LOOKED_AT)]
    return {
        "pass_rate": _short(mean),
        "pass_rate_error": _short((spread / len(rates)) ** 0.5) if len(rates) > 1 else None,
        "length": _short(_mean([len(response.token_ids) for response in responses])),
        "repetition": _short(_mean([repetition(response) for response in looked_at])),
        "truncated": _short(_mean([response.truncated for response in responses])),
    }


def mean_length(attempts: Sequence[Attempts], outcome: str) -> float | None:
    """Mean tokens of the responses with this outcome, None if there are none."""
    return _short(_mean([len(r.token_ids) for item in attempts for r in getattr(item, outcome)]))


def error_sums(attempts: Sequence[Attempts]) -> list[float]:
    """[problems, sum of 1 - p, sum of (1 - p)^2] over problems with a counted response, as a one-way layout needs."""
    errors = [1 - item.pass_rate for item in attempts if item.counted]
    return [len(errors), round(sum(errors), 6), round(sum(error * error for error in errors), 6)]


def repetition(response: Response) -> float:
    """Share of a response's 4-grams of tokens that it had before: seq-rep-4 (Welleck et al., arXiv 1908.04319)."""
    ids = response.token_ids
    grams = list(zip(ids, ids[1:], ids[2:], ids[3:], strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
