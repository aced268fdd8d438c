"""The numbers of a run that trackers of experiments draw, by names with a slash between group and number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COUNTS = ("too_easy", "usable", "too_hard", "unknown")


def numbers_of(row: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, float]:
    """Of one round; what it has not (no held-out problems, nothing explored) is left out."""
    rounds = [item for item in record["rounds"] if item["round"] <= row["round"]]
    found: dict[str, Any] = {
        "accuracy/balanced": row["accuracy_balanced"],
        "accuracy/pool": row["accuracy_pool"],
        "cost/tokens": row["tokens"],
        "cost/tokens_so_far": sum(item["tokens"] for item in rounds),
        "cost/seconds": row["seconds"],
        "draw/explored": row["explored"],
        "draw/pairs": row["pairs"],
        "draw/yield": row["yield"],
        "warnings": sum(1 for warning in record["findings"] if warning["round"] == row["round"]),
    }
    if row["explored"]:
        found |= {f"draw/{name}": row[name] / row["explored"] for name in _COUNTS}
        found |= {f"responses/{name}": row[name] / row["responses"] for name in ("right", "truncated", "unverifiable")}
        found |= {f"probe/{name}": value for name, value in row["probe"].items()}
        found |= {f"train/{name}": value for name, value in row["training"].items()}
        found |= _of_clusters(row["round"], record)
    return {name: float(value) for name, value in found.items() if value is not None}


def _of_clusters(t: int, record: Mapping[str, Any]) -> dict[str, float | None]:
    """Pass rate and draw share of each cluster; its number goes first, as two may have one name."""
    found: dict[str, float | None] = {}
    for c, cluster in enumerate(record["clusters"]):
        counts = cluster["rounds"][t - 1]
        name = f"{c:03d} {cluster['name'].replace('/', ' ')}"
        found[f"pass_rate/{name}"] = counts["right"] / counts["counted"] if counts["counted"] else None
        found[f"draw_share/{name}"] = counts["achieved_share"]
    return found
