"""Held-out accuracy of each group, before and after: where the last policy gained, and where it lost."""

from __future__ import annotations

from saidpo_plugins.common.record_statistics import wilson
from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import label, percent, visible

SHOWN = 40


def section(run: RunData) -> Section | None:
    groups = [
        (name, group["accuracy"][0], group["accuracy"][-1], group["held_out"], group.get("tier"))
        for name, group in run.record["groups"].items()
        if group["accuracy"][0] is not None and group["accuracy"][-1] is not None
    ]
    if len(groups) < 2 or len(run.rows) < 2:
        return None
    groups.sort(key=lambda group: (group[1] - group[2], group[0]))
    shown = groups if len(groups) <= SHOWN else [*groups[: SHOWN // 2], *groups[-SHOWN // 2 :]]
    rose = sum(1 for _, a, b, _, _ in groups if b > a)
    fell = sum(1 for _, a, b, _, _ in groups if b < a)
    surely_rose = sum(1 for _, a, b, n, _ in groups if wilson(b * n, n)[0] > wilson(a * n, n)[1])
    surely_fell = [visible(name) for name, a, b, n, _ in groups if wilson(b * n, n)[1] < wilson(a * n, n)[0]]
    answer = f"Of {len(groups)} groups {rose} rose, {surely_rose} of them beyond chance, and {fell} fell, "
    answer += f"beyond chance {', '.join(surely_fell)}." if surely_fell else "none beyond chance."
    return Section(
        id="groups",
        title="Held-out groups, before and after", short="Groups",
        answer=answer,
        figures=[_figure(shown)],
        notes=[] if len(shown) == len(groups) else [f"Shown are the {SHOWN} of {len(groups)} that rose or fell most."],
        tables=[
            Table(
                caption="Held-out accuracy of each group",
                columns=["group", "before", "after", "points", "problems", *(["tier"] if groups[0][4] else [])],
                rows=[
                    [visible(name), percent(a, 0), percent(b, 0), f"{100 * (b - a):+.0f}", str(n),
                     *([visible(str(tier))] if groups[0][4] else [])]
                    for name, a, b, n, tier in groups
                ],
            )
        ],
    )  # fmt: skip


def _figure(groups: list[tuple[str, float, float, int, str | None]]) -> Figure:
    lines_x: list[float | None] = []
    lines_y: list[int | None] = []
    for y, (_, before, after, *_) in enumerate(groups):
        lines_x += [100 * before, 100 * after, None]
        lines_y += [y, y, None]
    places = list(range(len(groups)))
    names = [label(name) for name, *_ in groups]
    return Figure(
        id="groups-figure",
        alt="Dumbbell chart: for each held-out group its accuracy before and after the run, the largest gain on top.",
        height=110 + 22 * len(groups),
        labels=names,
        data=[
            {"x": lines_x, "y": lines_y, "mode": "lines", "line": {"color": "@faint", "width": 4},
             "hoverinfo": "skip", "showlegend": False},
            {"x": [100 * a for _, a, *_ in groups], "y": places, "mode": "markers", "name": "before", "text": names,
             "marker": {"color": "@orange", "symbol": "circle-open", "size": 10, "line": {"width": 2}},
             "hovertemplate": "%{text}<br>before %{x:.0f}%<extra></extra>"},
            {"x": [100 * b for _, _, b, *_ in groups], "y": places, "mode": "markers", "name": "after", "text": names,
             "marker": {"color": "@blue", "size": 10},
             "hovertemplate": "%{text}<br>after %{x:.0f}%<extra></extra>"},
        ],
        layout={
            "xaxis": {"title": {"text": "held-out accuracy (%)"}, "range": [-4, 104]},
            "yaxis": {"autorange": "reversed"},
        },
    )  # fmt: skip
