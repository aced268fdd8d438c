"""What each arm used, and what it gained for it."""

from __future__ import annotations

from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.study.look import looks, points
from saidpo_plugins.report.study.reading import Arm, StudyData
from saidpo_plugins.report.text import duration, visible


def section(study: StudyData) -> Section | None:
    arms = study.ended
    if not arms:
        return None
    return Section(
        id="cost",
        title="Gain against generated tokens",
        short="Cost",
        figures=[_figure(study, arms)],
        notes=[
            "Higher for the same tokens is better. Gain is accuracy after the last round minus accuracy at the start; "
            "both axes show means over an arm’s runs.",
        ],
        tables=[_gains(study, arms), _budgets(study, arms)],
    )


def gain(arm: Arm) -> float:
    return arm.mean[-1] - arm.mean[0]


def _figure(study: StudyData, arms: list[Arm]) -> Figure:
    of = looks(study)
    said = "; ".join(f"{visible(a.name)} {points(gain(a))} points for {a.used['tokens']:,.0f} tokens" for a in arms)
    return Figure(
        id="cost-figure",
        alt=f"Points of held-out accuracy gained by each arm, against the tokens that it generated: {said}.",
        height=320 + 20 * len(arms),
        data=[
            {
                "x": [arm.used["tokens"]], "y": [100 * gain(arm)], "mode": "markers", "name": of[arm.name].legend,
                "marker": {"symbol": of[arm.name].symbol, "size": 14, "color": of[arm.name].colour,
                           "line": {"color": "@card", "width": 1}},
                "text": [of[arm.name].label],
                "hovertemplate": "%{text}<br>%{y:+.1f} points for %{x:,.0f} tokens<extra></extra>",
            }
            for arm in arms
        ],
        layout={
            "xaxis": {"title": {"text": "generated tokens of a run"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "points gained"}, "rangemode": "tozero"},
        },
    )  # fmt: skip


def _gains(study: StudyData, arms: list[Arm]) -> Table:
    return Table(
        caption="Points gained, and for 100,000 tokens: mean and (standard deviation) of the runs",
        columns=["arm", "tokens", "points gained", "points for 100,000 tokens"],
        rows=[
            [looks(study)[arm.name].name, f"{arm.used['tokens']:,.0f}", points(gain(arm)),
             f"{points(arm.per_tokens[0])} ({100 * arm.per_tokens[1]:.1f})"]
            for arm in arms
        ],
    )  # fmt: skip


def _budgets(study: StudyData, arms: list[Arm]) -> Table:
    return Table(
        caption="Budgets: means over an arm’s runs, all rounds together",
        columns=["arm", "tokens", "explored", "steps", "pairs", "yield", "time"],
        rows=[
            [looks(study)[arm.name].name,
             *(f"{arm.used[key]:,.0f}" for key in ("tokens", "explored", "steps", "pairs")),
             "–" if arm.pair_yield is None else f"{arm.pair_yield:.2f}", duration(arm.used["seconds"])]
            for arm in arms
        ],
    )  # fmt: skip
