"""Clusters by rounds: pass rate, and the draw share that was intended and achieved."""

from __future__ import annotations

from typing import Any

from saidpo_plugins.common.record_statistics import moved, weighs
from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import percent
from saidpo_plugins.report.weakest import by_error

SHOWN = 40


def section(run: RunData) -> Section | None:
    if not run.trained or not run.clusters or not run.clusters[0]["rounds"]:
        return None
    order = _order(run)
    shown = order[:SHOWN]
    rounds = range(len(run.trained))
    total = sum(cluster["size"] for cluster in run.clusters)
    rates = [[_rate(run.clusters[c]["rounds"][t]) for t in rounds] for c in shown]
    figures = [_rates_figure(run, shown, rates)]
    for key, what in (("intended_share", "intended"), ("achieved_share", "achieved")):
        times = [[run.clusters[c]["rounds"][t][key] * total / run.clusters[c]["size"] for t in rounds] for c in shown]
        figures.append(_times_figure(run, shown, times, what))
    notes = [
        "The weakest cluster of the first probe is on top. A pass rate is of all responses to the cluster’s problems "
        "in a round, so of the policy that the round began with; an empty cell means that none was tried.",
        "Draw share: how many times its share of the pool a cluster had of the draw; 1 is what uniform sampling gives, "
        "more than 4 is shown as 4.",
    ]
    if len(shown) < len(order):
        notes.append(f"Shown are the {SHOWN} weakest of {len(order)} clusters; the table has all.")
    return Section(
        id="clusters",
        title="Clusters: where it erred, where it drew, where it learned",
        short="Clusters",
        answer=_answer(run),
        figures=figures,
        side_by_side=True,
        notes=notes,
        tables=[_table(run, order, total)],
    )


def _order(run: RunData) -> list[int]:
    if "probe_errors" in run.clusters[0]["rounds"][0]:
        return by_error(run)
    rates = [_rate(cluster["rounds"][0]) for cluster in run.clusters]
    return sorted(range(len(rates)), key=lambda c: (rates[c] is None, rates[c] or 0.0))


def _answer(run: RunData) -> str:
    last = len(run.trained)
    if not weighs(run.record):
        return "Every problem had the same chance to be drawn, as these settings ask."
    shifts = [percent(moved(run.record, t), 0) for t in range(1, last + 1)]
    gaps = [
        0.5 * sum(abs(c["rounds"][t]["intended_share"] - c["rounds"][t]["achieved_share"]) for c in run.clusters)
        for t in range(last)
    ]
    return (
        f"The weights moved {', '.join(shifts)} of the draw away from uniform in the rounds; what was drawn differs "
        f"from that by {percent(max(gaps), 0)} at most, as chance has it."
    )


def _rate(row: dict[str, Any]) -> float | None:
    return row["right"] / row["counted"] if row["counted"] else None


def _rates_figure(run: RunData, shown: list[int], rates: list[list[float | None]]) -> Figure:
    percents = [[None if rate is None else round(100 * rate, 1) for rate in row] for row in rates]
    scale = {"colorscale": "Cividis", "zmin": 0, "zmax": 100}
    return _heat_map(run, shown, percents, "Pass rate (%)", scale, "rates", "%{z:.0f}% of the responses right")


def _times_figure(run: RunData, shown: list[int], times: list[list[float]], what: str) -> Figure:
    rounded = [[round(value, 2) for value in row] for row in times]
    scale = {"colorscale": "@share", "zmin": 0, "zmax": 4}
    title = f"Draw share, {what} (times the pool’s)"
    return _heat_map(run, shown, rounded, title, scale, what, f"{what} %{{z:.1f}} times its share of the pool")


def _heat_map(
    run: RunData, shown: list[int], values: list[Any], title: str, scale: dict[str, Any], id: str, hover: str
) -> Figure:
    rounds = [row["round"] for row in run.trained]
    names = [run.labels_of_clusters[c] for c in shown]
    text = [[name] * len(rounds) for name in names]
    return Figure(
        id=f"{id}-figure",
        title=title,
        alt=f"Heat map, a row for each of {len(shown)} clusters, a column for each round: {title}. See the table.",
        height=86 + 18 * len(shown),
        labels=names,
        data=[
            {
                "type": "heatmap", "x": rounds, "y": list(range(len(shown))), "z": values, "text": text, **scale,
                "xgap": 1, "ygap": 1, "hoverongaps": False,
                "hovertemplate": f"%{{text}}<br>round %{{x}}: {hover}<extra></extra>",
                "colorbar": {"thickness": 8, "outlinewidth": 0, "orientation": "h", "y": 1.0, "yanchor": "bottom",
                             "ypad": 2, "len": 1, "tickfont": {"size": 10}},
            }
        ],
        layout={
            "xaxis": {"title": {"text": "round"}, "dtick": 1 if len(rounds) <= 12 else None, "showgrid": False},
            "yaxis": {"autorange": "reversed", "showgrid": False},
        },
    )  # fmt: skip


def _table(run: RunData, order: list[int], total: int) -> Table:
    head = ["cluster", "problems", "share of the pool"]
    for row in run.trained:
        t = row["round"]
        head += [f"round {t}: tried", f"{t}: pass rate", f"{t}: intended", f"{t}: achieved"]
    rows = []
    for c in order:
        cluster = run.clusters[c]
        cells = [run.names[c], f"{cluster['size']:,}", percent(cluster["size"] / total)]
        for row in cluster["rounds"]:
            shares = [percent(row["intended_share"]), percent(row["achieved_share"])]
            cells += [str(row["explored"]), percent(_rate(row), 0), *shares]
        rows.append(cells)
    return Table(caption="Every cluster: problems tried, pass rate, share of the draw", columns=head, rows=rows)
