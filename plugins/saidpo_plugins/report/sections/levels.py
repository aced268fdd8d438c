"""Difficulty drift: what the policy finds too easy, usable and too hard, and how problems move between these."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.reading import RunData, Tried
from saidpo_plugins.report.text import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS = ("too easy", "usable", "too hard")
_COLOURS = ("@sky", "@green", "@orange")
_FLOWS = ("@sky-flow", "@green-flow", "@orange-flow")


def section(run: RunData) -> Section | None:
    if not run.tried:
        return None
    shares = [_shares(tried) for tried in run.tried]
    figures = [_bars(run, shares)]
    flows, counts = _flows(run)
    tables = [_shares_table(run, shares)]
    notes = [
        "The bars are of the probe, drawn uniformly, so they speak for the whole pool. Too easy: all responses right; "
        "too hard: none; usable: some of each.",
    ]
    if flows:
        figures.append(_sankey(run, flows))
        tables.append(_flows_table(run, flows))
        tried = ", ".join(f"{count:,} from round {t} to {t + 1}" for t, count in enumerate(counts, 1))
        notes.append(
            f"The flows are of problems that happened to be tried in two rounds in turn ({tried}); the draw prefers "
            "weak clusters, so these are harder than the pool."
        )
    return Section(
        id="levels", title="Difficulty drift", short="Difficulty", answer=_answer(shares), figures=figures,
        side_by_side=True, notes=notes, tables=tables,
    )  # fmt: skip


def _levels(tried: Tried) -> NDArray[np.int64]:
    """0 too easy, 1 usable, 2 too hard, -1 unknown."""
    import numpy as np

    easy, hard = tried.right == tried.counted, tried.right == 0
    return np.where(tried.counted == 0, -1, np.where(easy, 0, np.where(hard, 2, 1)))


def _shares(tried: Tried) -> list[float]:
    """Of the probe, for each level."""
    levels = _levels(tried)[tried.probed]
    known = levels[levels >= 0]
    return [float((known == level).mean()) if len(known) else float("nan") for level in range(3)]


def _percent(share: float) -> float | None:
    return None if share != share else round(100 * share, 2)


def _answer(shares: list[list[float]]) -> str:
    parts = [
        f"{name} {percent(a, 0)} → {percent(b, 0)}" for name, a, b in zip(LEVELS, shares[0], shares[-1], strict=True)
    ]
    return f"Of the pool, by the first and the last probe: {', '.join(parts)}."


def _bars(run: RunData, shares: list[list[float]]) -> Figure:
    rounds = [row["round"] for row in run.trained[: len(shares)]]
    return Figure(
        id="levels-figure",
        title="The pool, by the probe of each round",
        alt="Stacked bars: share of too easy, usable and too hard problems in each round's probe. See the table.",
        data=[
            {
                "type": "bar", "name": name, "x": rounds, "y": [_percent(row[level]) for row in shares],
                "marker": {"color": _COLOURS[level], "line": {"color": "@card", "width": 1}},
                "hovertemplate": f"round %{{x}}: %{{y:.0f}}% {name}<extra></extra>",
            }
            for level, name in enumerate(LEVELS)
        ],
        layout={
            "barmode": "stack", "legend": {"traceorder": "normal"},
            "xaxis": {"title": {"text": "round"}, "dtick": 1 if len(rounds) <= 12 else None},
            "yaxis": {"title": {"text": "problems of the probe (%)"}, "range": [0, 100]},
        },
    )  # fmt: skip


Flow = tuple[int, int, int, int]
"""Index of the earlier round, level there, level in the next one, problems."""


def _flows(run: RunData) -> tuple[list[Flow], list[int]]:
    import numpy as np

    flows, counts = [], []
    for t in range(len(run.tried) - 1):
        before, after = run.tried[t], run.tried[t + 1]
        rows, i, j = np.intersect1d(before.row, after.row, return_indices=True)
        a, b = _levels(before)[i], _levels(after)[j]
        counts.append(len(rows))
        for x in range(3):
            for y in range(3):
                n = int(((a == x) & (b == y)).sum())
                flows += [(t, x, y, n)] if n else []
    return flows, counts


def _sankey(run: RunData, flows: list[Flow]) -> Figure:
    rounds = len(run.tried)
    sizes = _node_sizes(flows)
    place = {node: i for i, node in enumerate(sizes)}
    columns = [min(0.999, max(0.001, t / max(1, rounds - 1))) for t in range(rounds)]
    return Figure(
        id="flows-figure",
        title=f"How problems moved, rounds 1 to {rounds}",
        alt="Flow diagram: problems tried in two rounds in turn, from their level in one to that in the next. See the "
        "table.",
        data=[
            {
                "type": "sankey", "arrangement": "fixed", "domain": {"y": [0, 0.9]},
                "node": {
                    "label": [LEVELS[level] for _, level in sizes], "pad": 14, "thickness": 14,
                    "customdata": [f"{LEVELS[level]}, round {t + 1}" for t, level in sizes],
                    "color": [_COLOURS[level] for _, level in sizes], "line": {"width": 0},
                    "x": [columns[t] for t, _ in sizes], "y": _heights(sizes),
                    "hovertemplate": "%{customdata}: %{value} problems<extra></extra>",
                },
                "link": {
                    "source": [place[t, x] for t, x, _, _ in flows],
                    "target": [place[t + 1, y] for t, _, y, _ in flows],
                    "value": [n for *_, n in flows],
                    "color": [_FLOWS[x] for _, x, _, _ in flows],
                    "hovertemplate": "%{source.customdata} → %{target.customdata}: %{value}<extra></extra>",
                },
            }
        ],
        layout={
            "annotations": [
                {"x": x, "y": 1, "xref": "paper", "yref": "paper", "text": f"round {t + 1}", "showarrow": False,
                 "xanchor": "left" if t == 0 else "right" if t == rounds - 1 else "center", "yanchor": "top"}
                for t, x in enumerate(columns)
            ]
        },
    )  # fmt: skip


def _node_sizes(flows: list[Flow]) -> dict[tuple[int, int], int]:
    """(round, level) -> problems there, in this order; in the middle the larger of those that came and that went."""
    came, went = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for t, x, y, n in flows:
        went[t, x] += n
        came[t + 1, y] += n
    return {node: max(came[node], went[node]) for node in sorted({*came, *went})}


def _heights(sizes: dict[tuple[int, int], int]) -> list[float]:
    """Middle of each node from the top, in [0, 1]: too easy above usable above too hard, without overlap."""
    gap = 0.06
    columns: dict[int, list[int]] = {}
    for (t, _), size in sizes.items():
        columns.setdefault(t, []).append(size)
    scale = min((1 - gap * (len(column) - 1)) / sum(column) for column in columns.values())
    middles = []
    for column in columns.values():
        top = (1 - scale * sum(column) - gap * (len(column) - 1)) / 2
        for size in column:
            middles.append(round(min(0.999, max(0.001, top + scale * size / 2)), 4))
            top += scale * size + gap
    return middles


def _shares_table(run: RunData, shares: list[list[float]]) -> Table:
    return Table(
        caption="Levels of the probed problems",
        columns=["round", *LEVELS],
        rows=[
            [str(row["round"]), *(percent(s, 0) for s in mine)] for row, mine in zip(run.trained, shares, strict=False)
        ],
    )


def _flows_table(run: RunData, flows: list[Flow]) -> Table:
    return Table(
        caption="Problems tried in two rounds in turn",
        columns=["from", "to", "problems"],
        rows=[[f"round {t + 1}: {LEVELS[x]}", f"round {t + 2}: {LEVELS[y]}", str(n)] for t, x, y, n in flows],
    )
