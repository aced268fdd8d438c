"""A study's result in words and a Markdown table, as it goes into a terminal, a README or a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def as_markdown(result: Mapping[str, Any]) -> str:
    """Title, question, what was reached at what cost, the tested differences, the others, and what to mind."""
    n = len(result["seeds"])
    parts = [f"## {result['title']}", *(result[key] for key in ("question", "about") if key in result)]
    parts.append(
        f"Balanced held-out accuracy in %, mean (sd) over {n} seed{'s' * (n != 1)} on {', '.join(result['bases'])}; "
        "budgets are means over a whole run."
    )
    parts.append(arms_table(result))
    parts.append("\n".join(f"- {line}" for line in sentences(result)))
    parts += ["Differences in points with 95% intervals, none of these tested:", _others_table(result)]
    return "\n\n".join(parts) + "\n"


def sentences(result: Mapping[str, Any]) -> list[str]:
    """A plain sentence for each difference that was asked for, and what a reader has to know."""
    score, many = result["score"], len(result["comparisons"])
    found = [
        f"{arm} - {result['reference']}, {score_name(score)}: {_difference(scores[score], score, many)}"
        for arm, scores in result["comparisons"].items()
    ]
    found += [f"budget: {line}" for line in result["budget"]["warnings"]]
    runs = result["runs"]
    if runs["finished"] < runs["planned"]:
        found.append(f"INCOMPLETE: {runs['planned'] - runs['finished']} of {runs['planned']} runs did not end")
    return found


def arms_table(result: Mapping[str, Any]) -> str:
    """A line for each arm: what it reached after each round, and what that took."""
    rounds = max((len(arm["mean"]) for arm in result["arms"].values() if "mean" in arm), default=1)
    head = ["arm", "start", *(f"round {t}" for t in range(1, rounds))]
    head += ["tokens", "explored", "steps", "yield", "points per 100k tokens"]
    rows = []
    for name, arm in result["arms"].items():
        if not arm["runs"]:
            rows.append([name, "no run ended", *[""] * (len(head) - 2)])
            continue
        cells = [f"{100 * mean:.1f} ({100 * sd:.1f})" for mean, sd in zip(arm["mean"], arm["sd"], strict=True)]
        cells += [""] * (rounds - len(cells))  # an arm may have fewer rounds than another
        gain = arm["scores"]["per-100k-tokens"][0]
        budget = [f"{arm['tokens']:,.0f}", f"{arm['explored']:,.0f}", f"{arm['steps']:,.0f}"]
        budget += ["" if arm["yield"] is None else f"{arm['yield']:.2f}", f"{100 * gain:.1f}"]
        rows.append([name, *cells, *budget])
    return _markdown(head, rows)


def _others_table(result: Mapping[str, Any]) -> str:
    comparisons = result["comparisons"]
    names = [name for name in next(iter(comparisons.values())) if name != result["score"]]
    rows = [[arm, *(interval(scores[name]) for name in names)] for arm, scores in comparisons.items()]
    return _markdown([f"arm - {result['reference']}", *map(score_name, names)], rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _difference(found: Mapping[str, Any], score: str, many: int) -> str:
    said = interval(found, " points")
    if found["p"] is None:
        return f"{said}; too few pairs to test ({found['pairs']})"
    p = found["p_corrected"]
    verdict = "significant at 5%" if p < 0.05 else "not significant"
    correction = f", {p:.2g} corrected for {many} comparisons" if many > 1 else ""
    more = [f"{found['pairs']} pairs"]
    if found["effect"] is not None:
        more.append(f"d = {found['effect']:.1f} [{found['effect_low']:.1f}, {found['effect_high']:.1f}]")
    if found["bases_low"] is not None:
        more.append(f"for other bases [{100 * found['bases_low']:+.1f}, {100 * found['bases_high']:+.1f}]")
    return f"{said}, p = {found['p']:.2g}{correction}: {verdict} ({'; '.join(more)})"


def interval(found: Mapping[str, Any], unit: str = "") -> str:
    """A difference in points with its 95% interval, as far as it is known."""
    if found["mean"] is None:
        return "no pair of runs ended"
    text = f"{100 * found['mean']:+.1f}{unit}"
    if found["low"] is not None:
        text += f" [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"
    return text


def score_name(score: str) -> str:
    """In words, as part of a sentence."""
    names = {"final": "after the last round", "mean": "mean of the rounds", "per-100k-tokens": "gained per 100k tokens"}
    return names.get(score, f"after round {score.removeprefix('round-')}")
