"""The differences of each base and seed: does one base make the result?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.study.look import AXIS, Look, looks, points, score_of, zero_line
from saidpo_plugins.report.study.reading import StudyData
from saidpo_plugins.report.text import label, visible

Paired = Mapping[str, Mapping[str, float]]
"""Base -> seed -> difference; bases without a pair are left out."""
_SAID = 3
"""More arms than this are not told in sentences; the tables have the same."""
_BAND = 0.7
"""Share of a base's row over which its arms are spread."""


def section(study: StudyData) -> Section | None:
    paired = {arm: {b: of for b, of in f.paired.items() if of} for arm, f in study.tested.items()}
    paired = {arm: by_base for arm, by_base in paired.items() if by_base}
    if not paired:
        return None
    return Section(
        id="bases",
        title="Each base and seed" if len(study.bases) > 1 else "Each seed",
        short="Bases" if len(study.bases) > 1 else "Seeds",
        answer=" ".join(_said(study, arm, by_base) for arm, by_base in paired.items()) if len(paired) <= _SAID else "",
        figures=[_figure(study, paired)],
        notes=["A mark is an arm minus the reference, both with one base and seed; a tall line is the mean of a base."],
        tables=[*([_means(study, paired)] if len(study.bases) > 1 else []), _pairs(study, paired)],
    )


def mean_of(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def left_without(by_base: Paired, base: str) -> float | None:
    """Mean over the pairs of all other bases, None if there are none."""
    rest = [value for other, values in by_base.items() if other != base for value in values.values()]
    return sum(rest) / len(rest) if rest else None


def _said(study: StudyData, arm: str, by_base: Paired) -> str:
    who = f"{visible(arm)} is above {visible(study.reference)}"
    if len(by_base) < 2:
        ((base, values),) = by_base.items()
        ahead = sum(value > 0 for value in values.values())
        return f"{who} in {ahead} of {len(values)} pairs of runs on {visible(base)}."
    means = {base: mean_of(values) for base, values in by_base.items()}
    overall = mean_of({f"{b}/{s}": value for b, values in by_base.items() for s, value in values.items()})
    best = max(means, key=lambda base: means[base] if overall >= 0 else -means[base])
    ahead = sum(value > 0 for value in means.values())
    told = f"{visible(best)}, which speaks {'for' if overall >= 0 else 'against'} it most"
    rest = points(left_without(by_base, best))
    return f"{who} on {ahead} of {len(means)} bases, by {points(overall)} points; without {told}, by {rest}."


def _figure(study: StudyData, paired: Mapping[str, Paired]) -> Figure:
    """Rows are bases with the arms beside each other in them; of one base, the arms."""
    bases = [base for base in study.bases if any(base in by_base for by_base in paired.values())]
    alone = len(bases) == 1
    rows = [looks(study)[arm].label for arm in paired] if alone else [label(base) for base in bases]
    data = []
    for i, (arm, by_base) in enumerate(paired.items()):
        beside = i if alone else ((i + 0.5) / len(paired) - 0.5) * _BAND
        data += _traces(looks(study)[arm], by_base, {base: y + beside for y, base in enumerate(bases)})
    return Figure(
        id="bases-figure",
        alt=f"Dots by base: accuracy {score_of(study)}, each arm minus {visible(study.reference)}, for every seed. "
        "See the table.",
        height=110 + 34 * len(rows) if alone else 120 + len(rows) * (26 + 18 * len(paired)) + 20 * len(paired),
        labels=rows,
        data=data,
        layout={
            "shapes": [zero_line()],
            "showlegend": not alone,
            "legend": {"tracegroupgap": 0},
            "xaxis": {"title": {"text": AXIS}},
            "yaxis": {"range": [len(rows) - 0.5, -0.5], "showgrid": False, "zeroline": False},
        },
    )


def _traces(look: Look, by_base: Paired, rows: Mapping[str, float]) -> list[dict[str, Any]]:
    places = [(base, seed, value) for base, values in by_base.items() for seed, value in values.items()]
    seeds = {
        "x": [100 * value for *_, value in places], "y": [rows[base] for base, *_ in places], "mode": "markers",
        "name": look.legend, "legendgroup": look.label,
        "marker": {"symbol": f"{look.symbol}-open", "size": 9, "color": look.colour, "line": {"width": 2}},
        "text": [f"{look.label}<br>{label(base)}, seed {label(seed)}" for base, seed, _ in places],
        "hovertemplate": "%{text}: %{x:+.1f} points<extra></extra>",
    }  # fmt: skip
    means = {
        "x": [100 * mean_of(values) for values in by_base.values()], "y": [rows[base] for base in by_base],
        "mode": "markers", "legendgroup": look.label, "showlegend": False,
        "marker": {"symbol": "line-ns-open", "size": 20, "color": look.colour, "line": {"width": 3}},
        "text": [f"{look.label}<br>{label(base)}, mean" for base in by_base],
        "hovertemplate": "%{text}: %{x:+.1f} points<extra></extra>",
    }  # fmt: skip
    return [seeds, means]


def _means(study: StudyData, paired: Mapping[str, Paired]) -> Table:
    rows = [
        [looks(study)[arm].name, visible(base), points(mean_of(values)), points(left_without(by_base, base)),
         str(len(values))]
        for arm, by_base in paired.items()
        for base, values in by_base.items()
    ]  # fmt: skip
    return Table(
        caption=f"Mean difference on each base, in points, {score_of(study)}",
        columns=["arm", "base", "points", "mean of the other bases’ pairs", "pairs"],
        rows=rows,
    )


def _pairs(study: StudyData, paired: Mapping[str, Paired]) -> Table:
    blocks = [(base, str(seed)) for base in study.bases for seed in study.seeds]
    return Table(
        caption=f"Difference of each pair of runs, in points, {score_of(study)}",
        columns=["base", "seed", *(looks(study)[arm].name for arm in paired)],
        rows=[
            [visible(base), seed, *(points(by_base.get(base, {}).get(seed)) for by_base in paired.values())]
            for base, seed in blocks
        ],
    )
