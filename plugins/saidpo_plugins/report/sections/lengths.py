"""Lengths of responses and truncation, by the probe of each round: do answers grow without getting better?"""

from __future__ import annotations

from typing import Any

from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import percent

_KINDS = (("right", "@blue", "circle"), ("wrong", "@orange", "diamond"))


def section(run: RunData) -> Section | None:
    if not run.tried:
        return None
    import numpy as np

    rounds = [row["round"] for row in run.trained[: len(run.tried)]]
    quartiles: dict[str, list[list[float]]] = {
        kind: [np.percentile(t.lengths[kind], [10, 50, 90]).tolist() if len(t.lengths[kind]) else [] for t in run.tried]
        for kind, _, _ in _KINDS
    }
    data = [_trace(kind, colour, symbol, rounds, quartiles[kind]) for kind, colour, symbol in _KINDS]
    figure = Figure(
        id="lengths-figure",
        title="Length of the probe’s responses: median, and from the 10th to the 90th percentile",
        alt="Median length in tokens of right and of wrong responses in each round's probe, with bars. See the table.",
        data=data,
        layout={
            "xaxis": {"title": {"text": "round"}, "dtick": 1 if len(rounds) <= 12 else None},
            "yaxis": {"title": {"text": "tokens"}, "rangemode": "tozero"},
        },
    )
    rows = []
    for i, row in enumerate(run.trained[: len(run.tried)]):
        cells = [_cell(quartiles[kind][i]) for kind, _, _ in _KINDS]
        repeated = percent(row.get("probe", {}).get("repetition"))
        shares = [percent(row[key] / row["responses"]) for key in ("truncated", "unverifiable")]
        rows.append([str(row["round"]), *cells, repeated, *shares])
    return Section(
        id="lengths",
        title="Length and truncation",
        short="Length",
        answer=_answer(run),
        figures=[figure],
        notes=["Repetition is the mean share of 4-grams of tokens that a response had before (seq-rep-4)."],
        tables=[
            Table(
                caption="Median (10th to 90th percentile) in tokens; shares of all explored responses",
                columns=["round", "right", "wrong", "repetition (probe)", "truncated", "unverifiable"],
                rows=rows,
            )
        ],
    )


def _answer(run: RunData) -> str:
    responses = sum(row["responses"] for row in run.trained)
    cut, unread = (sum(row[key] for row in run.trained) for key in ("truncated", "unverifiable"))
    limit = run.settings.get("generator", {}).get("max_new_tokens")
    of = f" (limit {limit})" if limit else ""
    return (
        f"{percent(cut / responses)} of {responses:,} responses were cut off at the token limit{of}; "
        f"{percent(unread / responses)} could not be judged, those among them that were dropped for it."
    )


def _trace(kind: str, colour: str, symbol: str, rounds: list[int], values: list[list[float]]) -> dict[str, Any]:
    known = [(t, q) for t, q in zip(rounds, values, strict=True) if q]
    shift = -0.04 if kind == "right" else 0.04  # side by side, so that the bars do not hide each other
    return {
        "x": [t + shift for t, _ in known], "y": [q[1] for _, q in known], "name": kind, "mode": "lines+markers",
        "line": {"color": colour, "width": 2}, "marker": {"symbol": symbol, "size": 9},
        "error_y": {"type": "data", "symmetric": False, "array": [q[2] - q[1] for _, q in known],
                    "arrayminus": [q[1] - q[0] for _, q in known], "thickness": 1.5, "width": 5, "color": colour},
        "hovertemplate": f"{kind}: %{{y:.0f}} tokens<extra></extra>",
    }  # fmt: skip


def _cell(quartiles: list[float]) -> str:
    return f"{quartiles[1]:.0f} ({quartiles[0]:.0f} to {quartiles[2]:.0f})" if quartiles else "–"
