"""Held-out accuracy after each round, with its interval."""

from __future__ import annotations

from saidpo_plugins.common.record_statistics import Z, balanced_error
from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import percent


def section(run: RunData) -> Section | None:
    rows = [row for row in run.rows if row["accuracy_balanced"] is not None]
    if not rows:
        return None
    rounds = [row["round"] for row in rows]
    balanced = [100 * row["accuracy_balanced"] for row in rows]
    half = [100 * Z * (balanced_error(run.record, t) or 0) for t in rounds]
    above = [min(h, 100 - value) for value, h in zip(balanced, half, strict=True)]
    below = [min(h, value) for value, h in zip(balanced, half, strict=True)]
    pool = [None if row["accuracy_pool"] is None else 100 * row["accuracy_pool"] for row in rows]
    last = rounds[-1]
    figure = Figure(
        id="rounds-figure",
        alt=f"Line chart of held-out accuracy after rounds 0 to {last}: balanced over groups from {balanced[0]:.1f}% "
        f"to {balanced[-1]:.1f}%.",
        data=[
            {
                "x": rounds, "y": pool, "mode": "lines+markers", "name": "as the pool is mixed",
                "line": {"color": "@grey", "dash": "dot", "width": 2}, "marker": {"symbol": "square", "size": 7},
                "hovertemplate": "round %{x}: %{y:.1f}%<extra>as the pool is mixed</extra>",
            },
            {
                "x": rounds, "y": balanced, "mode": "lines+markers", "name": "groups alike (balanced)",
                "line": {"color": "@blue", "width": 3}, "marker": {"size": 9},
                "error_y": {"type": "data", "symmetric": False, "array": above,
                            "arrayminus": below, "thickness": 1.5, "width": 5, "color": "@blue"},
                "customdata": half,
                "hovertemplate": "round %{x}: %{y:.1f}% ± %{customdata:.1f}<extra>groups alike</extra>",
            },
        ],
        layout={
            "xaxis": {"title": {"text": "rounds trained"}, "dtick": 1 if last <= 12 else None},
            "yaxis": {"title": {"text": "held-out accuracy (%)"}},
        },
    )  # fmt: skip
    return Section(
        id="rounds",
        title="Accuracy after each round", short="Accuracy",
        figures=[figure],
        notes=[
            "Bars are 95% intervals from the number of held-out problems alone; another seed differs by more "
            "(saidpo compare measures that).",
        ],
        tables=[
            Table(
                caption="Accuracy after each round",
                columns=["round", "groups alike", "95% ±", "as the pool is mixed", "pairs", "generated tokens"],
                rows=[
                    [str(row["round"]), percent(row["accuracy_balanced"]), f"{h:.1f}", percent(row["accuracy_pool"]),
                     f"{row['pairs']:,}", f"{row['tokens']:,}"]
                    for row, h in zip(rows, half, strict=True)
                ],
            )
        ],
    )  # fmt: skip
