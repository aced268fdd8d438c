"""What the run cost and what it got for it: usable problems, tokens, time."""

from __future__ import annotations

from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import duration, percent


def section(run: RunData) -> Section | None:
    if not run.trained:
        return None
    return Section(
        id="cost",
        title="Yield and cost",
        short="Cost",
        answer=_answer(run),
        figures=[_fates(run), _time(run)],
        side_by_side=True,
        notes=[
            "Yield is pairs / problems explored, the probe included. --max-pairs bounds it; usable problems do not."
        ],
        tables=[_table(run), _time_table(run)],
    )


def _answer(run: RunData) -> str:
    spent = run.record.get("time", {})
    most = max(spent, key=lambda name: spent[name]) if spent else ""
    usable = [percent(row["usable"] / row["explored"], 0) for row in run.trained]
    text = f"Usable were {', '.join(usable)} of the explored problems in the rounds."
    total = sum(spent.values())
    return (
        f"{text} Most time went into {most} ({percent(spent[most] / total, 0)} of {duration(total)})."
        if total
        else text
    )


def _fates(run: RunData) -> Figure:
    rounds = [row["round"] for row in run.trained]
    kinds = [("usable", "usable", "@green"), ("too_easy", "too easy", "@sky"),
             ("too_hard", "too hard", "@orange"), ("unknown", "not judged", "@grey")]  # fmt: skip
    shown = [kind for kind in kinds if any(row[kind[0]] for row in run.trained)]
    data = [
        {
            "type": "bar", "name": name, "x": rounds, "y": [row[key] for row in run.trained],
            "marker": {"color": colour, "line": {"color": "@card", "width": 1}},
            "hovertemplate": f"round %{{x}}: %{{y}} {name}<extra></extra>",
        }
        for key, name, colour in shown
    ]  # fmt: skip
    data.append(
        {
            "x": rounds, "y": [row["pairs"] for row in run.trained], "name": "pairs trained on", "mode": "markers",
            "marker": {"symbol": "diamond", "size": 11, "color": "@ink", "line": {"color": "@card", "width": 2}},
            "hovertemplate": "round %{x}: %{y} pairs<extra></extra>",
        }
    )  # fmt: skip
    return Figure(
        id="fates-figure",
        title="Explored problems and pairs",
        alt="Stacked bars: explored problems of each round by level, and the pairs trained on. See the table.",
        data=data,
        layout={
            "barmode": "stack",
            "legend": {"traceorder": "normal"},
            "xaxis": {"title": {"text": "round"}, "dtick": 1 if len(rounds) <= 12 else None},
            "yaxis": {"title": {"text": "problems"}},
        },
    )


def _time(run: RunData) -> Figure:
    spent = sorted(run.record.get("time", {}).items(), key=lambda item: item[1])
    total = sum(seconds for _, seconds in spent) or 1
    return Figure(
        id="time-figure",
        title="Where the time went",
        alt="Bars: seconds by activity. See the table.",
        labels=[name for name, _ in spent],
        data=[
            {
                "type": "bar", "orientation": "h", "x": [seconds for _, seconds in spent], "y": list(range(len(spent))),
                "marker": {"color": "@blue"}, "text": [percent(s / total, 0) for _, s in spent],
                "textposition": "auto", "hovertemplate": "%{x:.1f} s<extra></extra>", "showlegend": False,
            }
        ],
        layout={"xaxis": {"title": {"text": "seconds"}}},
    )  # fmt: skip


def _table(run: RunData) -> Table:
    return Table(
        caption="Each round",
        columns=["round", "explored", "too easy", "usable", "too hard", "not judged", "pairs", "yield", "tokens",
                 "seconds"],
        rows=[
            [str(row["round"]), *(f"{row[key]:,}" for key in ("explored", "too_easy", "usable", "too_hard", "unknown")),
             f"{row['pairs']:,}", f"{row['yield']:.2f}", f"{row['tokens']:,}", f"{row['seconds']:.1f}"]
            for row in run.trained
        ],
    )  # fmt: skip


def _time_table(run: RunData) -> Table:
    spent = run.record.get("time", {})
    return Table(
        caption="Time by activity", columns=["activity", "seconds"], rows=[[k, f"{v:.1f}"] for k, v in spent.items()]
    )
