"""Each arm minus the reference: the tested score as a forest plot, all scores as a table."""

from __future__ import annotations

from typing import Any

from saidpo_core.study.tables import score_name
from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.study.look import (
    AXIS,
    interval,
    is_significant,
    looks,
    points,
    said_p,
    score_of,
    verdict,
    zero_line,
)
from saidpo_plugins.report.study.reading import Difference, StudyData
from saidpo_plugins.report.text import visible

_BESIDE = 0.22
"""How far below the interval for these bases that for other bases is drawn, in rows."""


def section(study: StudyData) -> Section:
    shown = {arm: found for arm, found in study.tested.items() if found.mean is not None}
    others = any(found.bases_low is not None for found in shown.values())
    notes = ["Thick: 95% interval for new seeds on these very bases, from the spread between seeds within a base."]
    if others:
        notes.append("Thin: 95% interval for other bases made in the same way, from the spread of the bases’ means.")
    else:
        notes.append("How far it holds for other bases is not known: that takes three bases or more.")
    return Section(
        id="differences",
        title=f"Differences from {visible(study.reference)}, {score_of(study)}",
        short="Differences",
        answer="" if shown else "No two runs of one base and seed ended, so there is nothing to compare.",
        figures=[_figure(study, shown)] if shown else [],
        notes=notes if any(found.low is not None for found in shown.values()) else [],
        tables=[_tested_table(study), _table_of_all(study)],
    )


def _figure(study: StudyData, shown: dict[str, Difference]) -> Figure:
    names = [looks(study)[arm].label for arm in shown]
    data = [
        _bars("95%, other bases", "@soft", 1.5, [(f.bases_low, f.bases_high, i + _BESIDE) for i, f in _rows(shown)]),
        _bars("95%, these bases", "@blue", 6, [(f.low, f.high, i) for i, f in _rows(shown)]),
        _points("significant at 5%", "diamond", True, shown, names),
        _points("not significant", "circle", False, shown, names),
        _points("not tested", "x", None, shown, names),
    ]
    return Figure(
        id="differences-figure",
        alt=f"Forest plot of accuracy {score_of(study)}, each arm minus {visible(study.reference)}: "
        + "; ".join(f"{visible(arm)} {points(f.mean)} points, {interval(f.low, f.high)}" for arm, f in shown.items()),
        height=170 + 46 * len(shown),
        labels=names,
        data=[trace for trace in data if trace["x"]],
        layout={
            "shapes": [zero_line()],
            "showlegend": True,
            "xaxis": {"title": {"text": AXIS}},
            "yaxis": {"range": [len(shown) - 0.5, -0.5], "showgrid": False, "zeroline": False},
        },
    )


def _rows(shown: dict[str, Difference]) -> list[tuple[int, Difference]]:
    return list(enumerate(shown.values()))


def _bars(
    name: str, colour: str, width: float, intervals: list[tuple[float | None, float | None, float]]
) -> dict[str, Any]:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for low, high, y in intervals:
        if low is not None and high is not None:
            xs += [100 * low, 100 * high, None]
            ys += [y, y, None]
    return {
        "x": xs, "y": ys, "name": name, "mode": "lines+markers",
        "line": {"color": colour, "width": width},
        "marker": {"symbol": "line-ns-open", "size": 9, "color": colour, "line": {"width": 1.5}},
        "hovertemplate": f"{name}: %{{x:+.1f}}<extra></extra>",
    }  # fmt: skip


def _points(
    name: str, symbol: str, significant: bool | None, shown: dict[str, Difference], names: list[str]
) -> dict[str, Any]:
    mine = [(i, found) for i, found in _rows(shown) if is_significant(found) is significant]
    return {
        "x": [100 * found.mean for _, found in mine if found.mean is not None], "y": [i for i, _ in mine],
        "name": name, "mode": "markers",
        "marker": {"symbol": symbol, "size": 13, "color": "@ink" if significant else "@card",
                   "line": {"color": "@ink", "width": 2}},
        "text": [f"{names[i]}: {points(found.mean)} ({interval(found.low, found.high)})" for i, found in mine],
        "hovertemplate": f"%{{text}}<br>{name}<extra></extra>",
    }  # fmt: skip


def _tested_table(study: StudyData) -> Table:
    many = len(study.tested) > 1
    return Table(
        caption=f"The tested differences, {score_of(study)}",
        columns=["arm", "points", "95%, these bases", "95%, other bases", "p", *(["p corrected"] if many else []),
                 "result", "pairs", "d", "95% of d"],
        rows=[
            [looks(study)[arm].name, points(f.mean), interval(f.low, f.high), interval(f.bases_low, f.bases_high),
             said_p(f.p), *([said_p(f.p_corrected)] if many else []), verdict(f), str(f.pairs),
             "–" if f.effect is None else f"{f.effect:.1f}",
             "–" if f.effect_low is None or f.effect_high is None else f"{f.effect_low:.1f} to {f.effect_high:.1f}"]
            for arm, f in study.tested.items()
        ],
    )  # fmt: skip


def _table_of_all(study: StudyData) -> Table:
    names = list(dict.fromkeys(name for scores in study.differences.values() for name in scores))
    rows = [
        [looks(study)[arm].name, *(_cell(scores.get(name)) for name in names)]
        for arm, scores in study.differences.items()
    ]
    return Table(
        caption=f"All scores, in points with 95% intervals; none but “{score_of(study)}” was tested",
        columns=[f"arm minus {visible(study.reference)}", *(visible(score_name(name)) for name in names)],
        rows=rows,
    )


def _cell(found: Difference | None) -> str:
    if found is None or found.mean is None:
        return "–"
    return points(found.mean) if found.low is None else f"{points(found.mean)} ({interval(found.low, found.high)})"
