"""Drift of log-probabilities: whether training raised what it was to raise, or only pushed down the rejected."""

from __future__ import annotations

from typing import Any

from saidpo_plugins.report.page import Figure, Section, Table
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import visible

_LINES = (("chosen_logp_drift", "chosen", "@blue", "circle"), ("rejected_logp_drift", "rejected", "@orange", "diamond"))


def section(run: RunData) -> Section | None:
    training = [(row["round"], row.get("training", {})) for row in run.trained]
    names = list(dict.fromkeys(name for _, metrics in training for name in metrics))
    if not names:
        return None
    known = [line for line in _LINES if line[0] in names]
    return Section(
        id="logprobs",
        title="Training: log-probability drift",
        short="Training",
        answer=_answer(training) if known else "This trainer reports no drift of log-probabilities.",
        figures=[_figure(training, known)] if known else [],
        notes=["Nats a response against the reference, in the last tenth of each round’s steps."] if known else [],
        tables=[
            Table(
                caption="What the trainer reported",
                columns=["round", *(visible(name).replace("_", " ") for name in names)],
                rows=[
                    [str(t), *("–" if m.get(name) is None else f"{m[name]:.4g}" for name in names)] for t, m in training
                ],
            )
        ],
    )


def _answer(training: list[tuple[int, dict[str, Any]]]) -> str:
    drifts = [metrics["chosen_logp_drift"] for _, metrics in training if metrics.get("chosen_logp_drift") is not None]
    if not drifts:
        return ""
    up = sum(1 for drift in drifts if drift > 0)
    if up == len(drifts):
        return "In every round the chosen responses became more likely."
    return (
        f"In {len(drifts) - up} of {len(drifts)} rounds the chosen responses became less likely: usual in DPO while it "
        "is little, a sign of collapse where it is much."
    )


def _figure(training: list[tuple[int, dict[str, Any]]], known: list[tuple[str, str, str, str]]) -> Figure:
    rounds = [t for t, _ in training]
    return Figure(
        id="logprobs-figure",
        alt="Lines: drift of the log-probability of chosen and of rejected responses in each round. See the table.",
        data=[
            {
                "x": rounds, "y": [metrics.get(key) for _, metrics in training], "name": name, "mode": "lines+markers",
                "line": {"color": colour, "width": 2}, "marker": {"symbol": symbol, "size": 9},
                "hovertemplate": f"round %{{x}}: %{{y:.2f}} nats, {name}<extra></extra>",
            }
            for key, name, colour, symbol in known
        ],
        layout={
            "xaxis": {"title": {"text": "round"}, "dtick": 1 if len(rounds) <= 12 else None},
            "yaxis": {"title": {"text": "drift (nats a response)"}, "zeroline": True, "zerolinewidth": 2},
        },
    )  # fmt: skip
