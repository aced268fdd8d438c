"""The record of a run: ``summary.json``, rewritten after every round. What the screen shows comes from it."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saidpo_core.codecs import finite_or_none, read_json
from saidpo_core.measures import error_sums, mean_length, probe_facts
from saidpo_core.prepare import Knowledge
from saidpo_core.records import Attempts, Evaluation, Pair, TrainingReport
from saidpo_core.run_dir import RunDir, write_atomically
from saidpo_core.selection import Draw, counts_of, response_counts, round_share

_PREPARE = {"pool", "problems-to-measure", "preflight", "tag", "embed", "cluster"}


class Summary:
    """Collects the rounds of a run. ``tree`` is the whole of it as JSON."""

    def __init__(
        self,
        run_dir: RunDir,
        settings: Mapping[str, Any],
        notes: Sequence[str],
        started: float,
        waves: tuple[int, ...],
    ) -> None:
        self.run_dir = run_dir
        self._waves = waves
        self._started = started
        self._tree: dict[str, Any] = {"finished": False, "notes": list(notes), "warnings": [], "findings": []}
        self._tree |= {"rounds": [], "settings": dict(settings)}
        self._knowledge: Knowledge
        self._evaluations: list[Evaluation] = []
        self._clusters: list[dict[str, Any]] = []

    def begin(self, knowledge: Knowledge, evaluation: Evaluation) -> None:
        """Round 0: the pool, and the policy before training."""
        self._knowledge = knowledge
        self._tree["notes"] += (*knowledge.sets.notes, *knowledge.notes)
        self._tree["pool"] = {"problems": len(knowledge.problems), "held_out": len(knowledge.sets.held_out)}
        sizes = Counter(knowledge.labels.tolist())
        self._clusters = [{"name": n, "size": sizes[c], "rounds": []} for c, n in enumerate(knowledge.cluster_names)]
        self._add({"yield": None, "explored": 0, "pairs": 0, "tokens": 0}, evaluation)

    def warn(self, warnings: Sequence[str]) -> None:
        """What was found amiss before or in the first round, each with what to do about it."""
        self._tree["warnings"] += warnings

    def add_round(
        self,
        t: int,
        probe: Sequence[Attempts],
        draw: Draw,
        explored: Sequence[Attempts],
        pairs: Sequence[Pair],
        report: TrainingReport,
        evaluation: Evaluation,
    ) -> None:
        """One finished round. Yield is pairs / problems explored, the probe included."""
        row: dict[str, Any] = {
            "yield": round(len(pairs) / len(explored), 4),
            "explored": len(explored),
            "pairs": len(pairs),
            "tokens": sum(item.tokens for item in explored) + report.generated_tokens,
            "training_tokens": report.generated_tokens,
            "probed": len(probe),
            **counts_of(explored),
            **response_counts(explored),
            "probe": probe_facts(probe),
            "lengths": {"right": mean_length(explored, "right"), "wrong": mean_length(explored, "wrong")},
            **self._early_stop(explored[len(probe) :]),
            "steps": report.steps,
            "training": {key: finite_or_none(float(value)) for key, value in report.metrics.items()},
        }
        self._count_clusters(t, probe, draw, explored)
        self._add(row, evaluation)

    def stop(self, t: int, explored: Sequence[Attempts]) -> None:
        """Round ``t`` found nothing more to learn from."""
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts_of(explored).items() if count)
        self._tree["notes"].append(
            f"stopped in round {t}: no explored problem gave a right and a wrong response ({counts}); "
            "a harder pool would give the policy more to learn"
        )
        tokens = sum(item.tokens for item in explored)
        self._tree["stopped"] = {"round": t, "explored": len(explored), "tokens": tokens, **counts_of(explored)}
        self._diagnose(t)

    def finish(self) -> None:
        self._tree["finished"] = True
        self._write()

    @property
    def tree(self) -> dict[str, Any]:
        return self._tree

    def _add(self, row: dict[str, Any], evaluation: Evaluation) -> None:
        t = len(self._tree["rounds"])
        self._evaluations.append(evaluation)
        seconds = sum(timing["seconds"] for timing in self.run_dir.timings if timing["round"] == t)
        first = {
            "round": t,
            "accuracy_balanced": finite_or_none(evaluation.accuracy_balanced),
            "accuracy_pool": finite_or_none(evaluation.accuracy_pool),
            **({"interval": evaluation.interval} if evaluation.interval else {}),
        }
        self._tree["rounds"].append({**first, **row, "seconds": round(seconds, 2)})
        self._tree["groups"] = self._group_table()
        self._tree["clusters"] = self._clusters
        self._tree["time"] = self._time()
        self._diagnose(t)
        self._write()
        self.run_dir.observers.after_round(self._tree["rounds"][-1], self._tree)

    def _diagnose(self, t: int) -> None:
        said = [(found["name"], found["message"]) for found in self._tree["findings"]]
        for finding in self.run_dir.observers.diagnose(self._tree):
            if (finding.name, finding.message) not in said:  # a round that was stopped has no row of its own
                told = {"name": finding.name, "message": finding.message, "advice": finding.advice}
                self._tree["findings"].append({"round": t, **told})

    def _write(self) -> None:
        write_atomically(
            self.run_dir.path / "summary.json", json.dumps(self._tree, ensure_ascii=False, indent=1) + "\n"
        )

    def _group_table(self) -> dict[str, Any]:
        """Held-out accuracy of every group after each round, and the tier if the pool names one."""
        tiers = {p.group or p.domain: p.extra.get("tier") for p in self._knowledge.sets.held_out}
        names = self._evaluations[0].groups
        return {
            name: {
                "tier": tiers.get(name),
                "held_out": names[name].problems,
                "accuracy": [
                    round(e.groups[name].accuracy, 4) if name in e.groups else None for e in self._evaluations
                ],
            }
            for name in names
        }

    def _count_clusters(self, t: int, probe: Sequence[Attempts], draw: Draw, explored: Sequence[Attempts]) -> None:
        """Counts of each cluster: probed, explored, verdicts, usable; intended and achieved share of the draw."""
        knowledge = self._knowledge
        cluster = {item.problem_id: int(knowledge.labels[knowledge.row[item.problem_id]]) for item in explored}
        members: defaultdict[int, list[Attempts]] = defaultdict(list)
        for item in explored:
            members[cluster[item.problem_id]].append(item)
        probed: defaultdict[int, list[Attempts]] = defaultdict(list)
        for item in probe:
            probed[cluster[item.problem_id]].append(item)
        # A pass rate without bias needs responses that were asked for whatever came of others.
        sure = {item.problem_id: item for item in probe}
        sure |= {item.problem_id: item.first(self._waves[0]) for item in explored[len(probe) :]}
        drawn = Counter(knowledge.labels[draw.rows].tolist())
        for c, entry in enumerate(self._clusters):
            counts = counts_of(members[c])
            entry["rounds"].append(
                {
                    "round": t,
                    "probed": len(probed[c]),
                    "probe_errors": error_sums(probed[c]),
                    "explored": len(members[c]),
                    "right": sum(len(sure[item.problem_id].right) for item in members[c]),
                    "counted": sum(sure[item.problem_id].counted for item in members[c]),
                    **counts,
                    "intended_share": draw.intended[c],
                    "achieved_share": round_share(drawn[c] / len(draw.rows)),
                }
            )

    def _early_stop(self, drawn: Sequence[Attempts]) -> dict[str, Any]:
        """What asking in waves spared of the K responses to each drawn problem; tokens are an estimate: as many for
        each spared response as its problem's others had on average. Nothing without ``early_stop``."""
        samples = self._tree["settings"]["samples"]
        if self._waves == (samples,):
            return {}
        spared = sum((samples - len(item.responses)) * item.tokens / len(item.responses) for item in drawn)
        asked = sum(len(item.responses) for item in drawn)
        return {
            "responses_per_drawn": round(asked / len(drawn), 3) if drawn else None,
            "tokens_spared": round(spared),
        }

    def _time(self) -> dict[str, float]:
        """Seconds by activity over the whole run; ``framework`` is all that no component spent."""
        spent: defaultdict[str, float] = defaultdict(float)
        for timing in self.run_dir.timings:
            if timing["stage"] in _PREPARE:
                spent["prepare"] += timing["seconds"]
                continue
            for activity, seconds in timing["spent"].items():
                spent[activity] += seconds
            spent["framework"] += timing["seconds"] - sum(timing["spent"].values())
        mine = sum(timing["seconds"] for timing in self.run_dir.timings if not timing["reused"])
        spent["framework"] += time.time() - self._started - mine
        return {activity: round(seconds, 2) for activity, seconds in spent.items()}


def gains(groups: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """(name, accuracy before, accuracy now) of every held-out group, largest gain first."""
    rows = [(name, group["accuracy"][0], group["accuracy"][-1]) for name, group in groups.items()]
    return sorted(((n, a, b) for n, a, b in rows if a is not None and b is not None), key=lambda row: row[1] - row[2])


def cluster_gains(clusters: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float, int]]:
    """(name, first pass rate, last pass rate, responses) of clusters explored in the first and last round."""
    found = []
    for cluster in clusters:
        first, last = (cluster["rounds"][0], cluster["rounds"][-1]) if cluster["rounds"] else ({}, {})
        if first.get("counted") and last.get("counted") and len(cluster["rounds"]) > 1:
            rates = (first["right"] / first["counted"], last["right"] / last["counted"])
            found.append((cluster["name"], *rates, first["counted"] + last["counted"]))
    return sorted(found, key=lambda row: row[1] - row[2])


def spent(tree: Mapping[str, Any], key: str) -> Any:
    """Sum of ``key`` over all rounds of training. One that found nothing to learn has no row, and cost tokens too."""
    return sum(row.get(key) or 0 for row in (*tree["rounds"][1:], tree.get("stopped", {})))


def read_summary(run: Path) -> dict[str, Any]:
    tree: dict[str, Any] = read_json(run / "summary.json")
    return tree
