"""Which problems: the probe, the evidence for the sampler, the draw, the pairs (paper: self-aware data selection)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saidpo_core.contracts import blame, check_keys, check_pairs, check_weights
from saidpo_core.draw import draw_new
from saidpo_core.parts import Parts
from saidpo_core.prepare import Knowledge, read_only
from saidpo_core.records import Attempts, Evidence, Pair, RoundEvidence
from saidpo_core.seeds import keyed_rng
from saidpo_core.settings import RunOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Draw:
    """What the sampler decided in one round."""

    rows: NDArray[np.int64]
    """Rows to explore in draw order, those already probed among them."""
    reserve: NDArray[np.int64]
    """The rows that come next: explored only if nothing so far gives a pair."""
    intended: list[float]
    """[C], share of the draw that the weights give each cluster."""


def probe_rows(n: int, options: RunOptions, round: int) -> NDArray[np.int64]:
    """Rows of the probe: ``probe_share`` of the pool, at least ``probe_min`` (**ours**), without replacement."""
    size = probe_size(n, options)
    rows: NDArray[np.int64] = keyed_rng(options.seed, round, "probe").choice(n, size=size, replace=False)
    return rows


def probe_size(n: int, options: RunOptions) -> int:
    return min(n, max(options.probe_min, math.ceil(options.probe_share * n)))


def draw_size(n: int, options: RunOptions) -> int:
    """New problems to explore besides the probe; ``auto`` is 2% of the pool, at least 300 (**ours**)."""
    return max(300, math.ceil(0.02 * n)) if options.draw == "auto" else options.draw


def token_limit(probe: Sequence[Attempts], n: int, options: RunOptions) -> int:
    """Tokens that a round may generate, 0 for no limit. ``auto`` (**ours**): what its problems would take at the rate
    of ``probe``, the first one, which runs of the same seed share whatever their sampler."""
    if options.round_tokens != "auto":
        return options.round_tokens
    return round(sum(item.tokens for item in probe) / len(probe) * min(n, len(probe) + draw_size(n, options)))


def evidence_of(round: int, knowledge: Knowledge, attempts: Sequence[Attempts], probed: set[str]) -> RoundEvidence:
    """Outcomes as arrays; problems without a countable response tell nothing and are left out."""
    import numpy as np

    counted = [item for item in attempts if item.counted]
    return RoundEvidence(
        round=round,
        rows=read_only(np.array([knowledge.row[item.problem_id] for item in counted], dtype=np.int64)),
        right=read_only(np.array([len(item.right) for item in counted], dtype=np.int64)),
        counted=read_only(np.array([item.counted for item in counted], dtype=np.int64)),
        probed=read_only(np.array([item.problem_id in probed for item in counted], dtype=np.bool_)),
    )


def weigh_and_draw(
    parts: Parts,
    options: RunOptions,
    round: int,
    knowledge: Knowledge,
    history: Sequence[RoundEvidence],
    probed: NDArray[np.int64],
) -> Draw:
    """Weights by the sampler, then an exact draw without replacement in proportion to them."""
    import numpy as np

    n = len(knowledge.problems)
    offer = parts.offer("sampler")
    evidence = Evidence(
        clusters=read_only(knowledge.labels),
        n_clusters=knowledge.n_clusters,
        rounds=tuple(history),
        samples=options.samples,
        embeddings=read_only(knowledge.embeddings),
    )
    with blame(offer, "weights"):
        weights = np.asarray(parts.sampler.weights(evidence, keyed_rng(options.seed, round, "weigh")), dtype=np.float64)
    check_weights(weights, n, offer)
    already = np.zeros(n, dtype=np.bool_)
    already[probed] = True
    size = draw_size(n, options)
    order = draw_new(weights, 2 * size, already, keyed_rng(options.seed, round, "draw"))
    new_so_far = np.cumsum(~already[order])
    cut = int(np.searchsorted(new_so_far, size)) + 1
    shares = np.bincount(knowledge.labels, weights, minlength=knowledge.n_clusters) / weights.sum()
    return Draw(order[:cut], order[cut:], [round_share(share) for share in shares.tolist()])


def build_pairs(parts: Parts, options: RunOptions, round: int, attempts: Sequence[Attempts]) -> list[Pair]:
    """Pairs of the problems that are neither too easy (all right) nor too hard (none right).

    If there are more than ``max_pairs``, those of the hardest problems stay: "prefer more steps".
    """
    usable = [item for item in attempts if item.usable]
    if not usable:
        return []
    offer = parts.offer("pair-builder")
    budget = pair_budget(len(attempts), options)
    pairs: list[Pair] = []
    for item in by_difficulty(parts, options, round, usable) if budget else usable:
        with blame(offer, "build"):
            built = parts.pair_builder.build(item, keyed_rng(options.seed, round, "pair", item.problem_id))
        check_pairs(built, item, offer)
        pairs += built
        if budget and len(pairs) >= budget:
            return pairs[:budget]
    return pairs


def pair_budget(explored: int, options: RunOptions) -> int:
    """Pairs that a round may keep, 0 for all; ``auto`` is one for four explored problems (**ours**)."""
    return max(1, explored // 4) if options.max_pairs == "auto" else options.max_pairs


def by_difficulty(parts: Parts, options: RunOptions, round: int, attempts: Sequence[Attempts]) -> list[Attempts]:
    """Hardest first, by the chain of keys of the difficulty component; equal ones keep their order."""
    import numpy as np

    offer = parts.offer("difficulty")
    with blame(offer, "keys"):
        keys = np.asarray(
            parts.difficulty.keys(tuple(attempts), keyed_rng(options.seed, round, "difficulty")), dtype=np.float64
        )
    check_keys(keys, len(attempts), offer)
    order = np.lexsort(tuple(-column for column in reversed(keys.T)))
    return [attempts[row] for row in order.tolist()]


def counts_of(attempts: Sequence[Attempts]) -> dict[str, int]:
    """How the explored problems fell: too easy, usable, too hard, and without any countable response."""
    easy = sum(1 for item in attempts if item.right and not item.wrong)
    hard = sum(1 for item in attempts if item.wrong and not item.right)
    usable = sum(1 for item in attempts if item.usable)
    unknown = len(attempts) - easy - hard - usable
    return {"too_easy": easy, "usable": usable, "too_hard": hard, "unknown": unknown}


def response_counts(attempts: Sequence[Attempts]) -> dict[str, int]:
    responses: dict[str, Any] = {"responses": 0, "right": 0, "wrong": 0, "unverifiable": 0, "truncated": 0}
    for item in attempts:
        for response, verdict in zip(item.responses, item.verdicts, strict=True):
            responses["responses"] += 1
            responses[verdict.outcome] += 1
            responses["truncated"] += response.truncated
    return responses


def round_share(share: float) -> float:
    return round(share, 6)
