"""Balanced held-out accuracy after each round: the mean of each arm, and faintly its runs."""

from __future__ import annotations

from typing import Any

from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.study.look import Look, looks
from saidpo_plugins.report.study.reading import Arm, StudyData
from saidpo_plugins.report.text import percent, visible


def section(study: StudyData) -> Section | None:
    arms = study.ended
    if not arms:
        return None
    return Section(
        id="curves",
        title="Accuracy after each round",
        short="Accuracy",
        figures=[_figure(study, arms)],
        notes=["Balanced held-out accuracy. Thick: the mean of an arm’s runs. Faint: each run, of one base and seed."],
        tables=[_means(study, arms), _runs(study, arms)],
    )


def _figure(study: StudyData, arms: list[Arm]) -> Figure:
    of = looks(study)
    last = max(len(arm.mean) for arm in arms) - 1
    said = "; ".join(f"{visible(arm.name)} from {percent(arm.mean[0])} to {percent(arm.mean[-1])}" for arm in arms)
    return Figure(
        id="curves-figure",
        alt=f"Line chart of mean held-out accuracy of each arm after rounds 0 to {last}: {said}.",
        height=340 + 20 * len(arms),
        data=[*(_faint(arm, of[arm.name]) for arm in arms), *(_mean(arm, of[arm.name]) for arm in arms)],
        layout={
            "legend": {"tracegroupgap": 0},
            "xaxis": {"title": {"text": "rounds trained"}, "dtick": 1 if last <= 12 else None},
            "yaxis": {"title": {"text": "held-out accuracy (%)"}},
        },
    )


def _faint(arm: Arm, look: Look) -> dict[str, Any]:
    """All runs of an arm as one trace, with gaps."""
    xs: list[int | None] = []
    ys: list[float | None] = []
    for curve in arm.curves.values():
        xs += [*range(len(curve)), None]
        ys += [*(100 * value for value in curve), None]
    return {
        "x": xs, "y": ys, "mode": "lines", "opacity": 0.35, "legendgroup": look.label, "showlegend": False,
        "line": {"color": look.colour, "width": 1, "dash": look.dash}, "hoverinfo": "skip",
    }  # fmt: skip


def _mean(arm: Arm, look: Look) -> dict[str, Any]:
    return {
        "x": list(range(len(arm.mean))), "y": [100 * value for value in arm.mean], "mode": "lines+markers",
        "name": look.legend, "legendgroup": look.label,
        "line": {"color": look.colour, "width": 3, "dash": look.dash},
        "marker": {"symbol": look.symbol, "size": 10, "color": look.colour},
        "customdata": [100 * value for value in arm.sd],
        "hovertemplate": f"{look.label}<br>round %{{x}}: %{{y:.1f}}% (sd %{{customdata:.1f}})<extra></extra>",
    }  # fmt: skip


def _means(study: StudyData, arms: list[Arm]) -> Table:
    rounds = max(len(arm.mean) for arm in arms)
    return Table(
        caption="Accuracy of each arm in %, mean and (standard deviation) of its runs",
        columns=["arm", "start", *(f"round {t}" for t in range(1, rounds)), "runs"],
        rows=[
            [looks(study)[arm.name].name,
             *(f"{100 * m:.1f} ({100 * s:.1f})" for m, s in zip(arm.mean, arm.sd, strict=True)),
             *[""] * (rounds - len(arm.mean)), f"{arm.runs} of {arm.planned}"]
            for arm in arms
        ],
    )  # fmt: skip


def _runs(study: StudyData, arms: list[Arm]) -> Table:
    rounds = max(len(arm.mean) for arm in arms)
    rows = []
    for arm in arms:
        for run, curve in arm.curves.items():
            base, _, seed = run.rpartition("/seed-")
            cells = [f"{100 * value:.1f}" for value in curve]
            rows.append([looks(study)[arm.name].name, visible(base), visible(seed), *cells,
                         *[""] * (rounds - len(cells))])  # fmt: skip
    return Table(
        caption="Accuracy of each run in %",
        columns=["arm", "base", "seed", "start", *(f"round {t}" for t in range(1, rounds))],
        rows=rows,
    )
