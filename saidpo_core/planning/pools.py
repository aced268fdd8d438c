"""How many problems a pool holds and how long their prompts are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core.contracts import blame, check_problems
from saidpo_core.errors import UsageError
from saidpo_core.planning.checks import check_pool_size
from saidpo_core.records import Problem
from saidpo_core.seeds import keyed_rng
from saidpo_core.settings import Chosen

_SAMPLE = 256
CHARACTERS_A_TOKEN = 3.0
"""Assumed where there is no tokenizer: English is near 4, formulas and numbers are below."""


@dataclass(frozen=True, kw_only=True)
class PoolFacts:
    problems: int
    held_out: int
    prompt_tokens: float
    """Mean."""
    longest_prompt: int
    source: str


def look_at_pool(chosen: Chosen, seed: int, policy: Path | None) -> PoolFacts:
    """By what the pool says of itself; else it is loaded. ``policy``: the folder of the model, if it is here."""
    offer, plan = chosen.offer, chosen.offer.component.plan
    size: Any = None
    with blame(offer, "plan"), suppress(UsageError):
        size = plan(chosen.options) if plan else None  # type: ignore[call-arg]
    if size is not None:
        check_pool_size(size, offer)
        tokens = size.question_characters / CHARACTERS_A_TOKEN
        source = f"{size.source or 'as the pool says'}; not loaded. Prompts: {CHARACTERS_A_TOKEN:g} characters a token"
        return PoolFacts(
            problems=size.problems,
            held_out=size.held_out,
            prompt_tokens=tokens,
            longest_prompt=round(4 * tokens),
            source=f"{source} and the longest four times the mean, both assumed",
        )
    offer.require_package()
    with blame(offer, "load"):
        sets = offer.component.build(chosen.options).load(keyed_rng(seed, "pool"))
    check_problems(sets, offer)
    mean, longest, source = _prompt_tokens(sets.problems, policy)
    return PoolFacts(
        problems=len(sets.problems),
        held_out=len(sets.held_out),
        prompt_tokens=mean,
        longest_prompt=longest,
        source=f"loaded. Prompts: {source}, without a chat template",
    )


def _prompt_tokens(problems: Sequence[Problem], policy: Path | None) -> tuple[float, int, str]:
    """(mean, longest, how it was found) over an even sample and the longest question."""
    sample = [problem.question for problem in problems[:: max(1, len(problems) // _SAMPLE)]]
    longest = max((problem.question for problem in problems), key=len)
    file = policy / "tokenizer.json" if policy else None
    if file is None or not file.is_file():
        lengths = [len(text) / CHARACTERS_A_TOKEN for text in (*sample, longest)]
        source = f"{CHARACTERS_A_TOKEN:g} characters a token, assumed (the tokenizer is not here)"
    else:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # of no class of its own
            raise UsageError(f"{file}: the tokenizer cannot be loaded: {error}") from error
        lengths = [len(tokenizer.encode(text).ids) for text in (*sample, longest)]
        source = f"counted with the policy's tokenizer on {len(sample)} of them and the longest"
    return sum(lengths[:-1]) / len(sample), round(max(lengths)) + 1, source
