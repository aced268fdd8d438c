"""Before the first round: what will go wrong with prompts, end tokens and lengths, said while it costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from pathlib import Path

from saidpo_core import codecs
from saidpo_core.components import Progress
from saidpo_core.parts import Parts
from saidpo_core.records import Attempts, Problem
from saidpo_core.run_dir import RunDir
from saidpo_core.selection import response_counts

_EVENLY, _LONGEST = 256, 8


def preflight(
    run_dir: RunDir, parts: Parts, policy: Path, problems: Sequence[Problem], known: Sequence[str] = ()
) -> list[str]:
    """Warnings of the generator about how it will put ``problems`` to ``policy``, after those ``known``, as a stage."""

    def make(folder: Path, progress: Progress) -> None:
        codecs.write_json(folder / "warnings.json", [*known, *parts.preflight(policy, a_look_at(problems))])

    def read(folder: Path) -> list[str]:
        warnings: list[str] = codecs.read_json(folder / "warnings.json")
        return warnings

    return run_dir.keep(0, "01-preflight", make, read, describe=lambda warnings: {"warnings": warnings})


def a_look_at(problems: Sequence[Problem]) -> list[Problem]:
    """Problems at even distances, and those with the longest questions."""
    step = max(1, len(problems) // _EVENLY)
    longest = nlargest(_LONGEST, problems, key=lambda problem: len(problem.question))
    return list({problem.id: problem for problem in (*problems[::step][:_EVENLY], *longest)}.values())


def cut_off(probe: Sequence[Attempts]) -> list[str]:
    """What to say of the first probe, if more than a tenth of its responses reached the token limit."""
    counts = response_counts(probe)
    total, cut = counts["responses"], counts["truncated"]
    if cut <= total / 10:
        return []
    share = (
        f"{cut:,} of {total:,} responses of the first probe ({100 * cut / total:.0f}%) were cut off at the token limit"
    )
    if cut == total:
        return [
            f"{share}: none has ended. Raise --generator.max_new_tokens, or see whether the policy knows its end token"
        ]
    return [f"{share}; raise --generator.max_new_tokens, or take an easier pool"]
