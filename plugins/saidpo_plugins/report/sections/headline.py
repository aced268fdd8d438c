"""The first screen: before and after, and four questions with their answers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from saidpo_core.summary import spent
from saidpo_plugins.common.record_statistics import Z, balanced_error, weighs
from saidpo_plugins.report.page import Answer, Section
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import duration, listed, percent, signed
from saidpo_plugins.report.weakest import Weakest, find_weakest, first_errors


@dataclass(frozen=True)
class Number:
    value: str
    label: str
    detail: str = ""


def section(run: RunData) -> Section:
    weakest = find_weakest(run)
    answers = [*(_about_weakness(run, weakest) if weakest else ()), _cost(run), _trust(run)]
    return Section(
        id="summary",
        title="In short",
        short="In short",
        template="headline",
        content={"numbers": _numbers(run), "answers": answers},
    )


def gain(run: RunData) -> tuple[float, float, float, float] | None:
    """(before, after, difference, half of its 95% interval) of balanced held-out accuracy; None if not measured.

    Before and after answer the same problems, so the interval, which takes them for independent, is on the wide side.
    """
    first, last = run.rows[0]["accuracy_balanced"], run.rows[-1]["accuracy_balanced"]
    errors = [balanced_error(run.record, t) for t in (0, len(run.rows) - 1)]
    if first is None or last is None or errors[0] is None or errors[1] is None:
        return None
    return first, last, last - first, Z * math.hypot(errors[0], errors[1])


def tokens_of(run: RunData) -> int:
    return int(spent(run.record, "tokens"))


def _numbers(run: RunData) -> list[Number]:
    found, tokens = gain(run), tokens_of(run)
    numbers = []
    if found:
        before, after, difference, half = found
        held_out = run.record["pool"]["held_out"]
        numbers = [
            Number(
                f"{percent(before)} → {percent(after)}", "held-out accuracy", f"{held_out:,} problems, groups alike"
            ),
            Number(
                f"{signed(100 * difference)} points",
                "lost" if difference < 0 else "gained",
                f"95% interval ±{100 * half:.1f}",
            ),
        ]
    numbers.append(Number(_compact(tokens), "tokens generated", _per_token(found, tokens)))
    return numbers


def _per_token(found: tuple[float, float, float, float] | None, tokens: int) -> str:
    if not (found and tokens):
        return ""
    if tokens < 1e7:
        return f"{signed(100 * found[2] / tokens * 1e5)} points per 100,000"
    return f"{signed(100 * found[2] / tokens * 1e6)} points per million"


def _compact(n: float) -> str:
    for size, unit in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g}{unit}"
    return f"{n:.0f}"


def _about_weakness(run: RunData, weakest: Weakest) -> list[Answer]:
    errors = first_errors(run)
    worst = [f"“{run.names[c]}” ({percent(errors[c], 0)} wrong)" for c in weakest.clusters[:3]]
    count = len(weakest.clusters)
    fifth = f"they ({percent(weakest.pool_share, 0)} of the pool)"
    where = Answer(
        "Where was the model weak?",
        f"{count} of {len(run.clusters)} clusters",
        f"The weakest fifth of the pool by the first probe. Worst: {listed(worst)}.",
        "clusters",
    )
    return [where, _followed(run, weakest, fifth), *_learned(weakest)]


def _followed(run: RunData, weakest: Weakest, fifth: str) -> Answer:
    even = weakest.pool_share
    achieved = sum(weakest.achieved) / len(weakest.achieved)
    intended = sum(weakest.intended) / len(weakest.intended)
    times = achieved / even
    verdict = "Yes" if times >= 1.2 else "Hardly" if times > 1.05 else "No"
    if not weighs(run.record):
        verdict = "No, by choice"
    text = f"Over all rounds {fifth} got {percent(achieved, 0)} of the draws, {times:.1f} times their share"
    return Answer("Did the draw follow?", verdict, f"{text} (intended: {percent(intended, 0)}).", "clusters")


def _learned(weakest: Weakest) -> list[Answer]:
    if len(weakest.here) < 2:
        return []
    (before, error), (after, error_after) = weakest.here[0], weakest.here[-1]
    change, half = after - before, Z * math.hypot(error, error_after)
    if math.isnan(change) or math.isnan(half):
        return []
    verdict = "Yes" if change > half else "It got worse" if change < -half else "Unclear"
    other = ""
    if not math.isnan(weakest.elsewhere[0][0] + weakest.elsewhere[-1][0]):
        other = f"; elsewhere {percent(weakest.elsewhere[0][0], 0)} → {percent(weakest.elsewhere[-1][0], 0)}"
    text = (
        f"There the pass rate of sampled responses went {percent(before, 0)} → {percent(after, 0)} "
        f"({signed(100 * change)} points, ±{100 * half:.0f}) from round 1 to {len(weakest.here)}{other}. "
        "Each round’s rate is of the policy that it began with."
    )
    return [Answer("Did it learn there?", verdict, text, "clusters")]


def _cost(run: RunData) -> Answer:
    seconds = sum(run.record.get("time", {}).values())
    explored, pairs = (sum(row[key] for row in run.trained) for key in ("explored", "pairs"))
    text = f"{tokens_of(run):,} generated tokens in {explored:,} explored problems, which gave {pairs:,} pairs"
    return Answer("What did it cost?", duration(seconds), f"{text}.", "cost")


def _trust(run: RunData) -> Answer:
    names = list(dict.fromkeys(warning["name"] for warning in run.record["findings"]))
    names += ["what was said at the start"] if run.record["warnings"] else []
    count = f"{len(names)} warning{'s' if len(names) > 1 else ''}" if names else "No warnings"
    parts = [f"Look at {listed(names)} below." if names else "No known sign of failure was found."]
    if not run.record.get("finished"):
        parts.append("The run has not come to its end.")
    parts.append(f"It is one run with one seed ({run.settings.get('seed', '?')}): another seed gives other numbers.")
    return Answer("Can it be trusted?", count, " ".join(parts), "warnings" if names else "reproduce")
