"""Training collapse: the policy gets worse, right responses get unlikely, or responses lengthen into repetition.

Signs, of which one is enough:

- held-out balanced accuracy fell below its best by more than chance allows, and by at least ``POINTS``. Without
  held-out problems the pass rate of the uniform probe is judged instead.
- the chosen responses lost ``NATS`` of log-probability a token: training pushed down what it was to raise (of 551 GSM8K
  pairs of a 0.5B model, right answers lost 21.5 nats each where accuracy fell; a mild loss is usual in DPO).
- a probe's responses got ``LONGER`` times as long as in round 1, and ``REPEATED`` more of their 4-grams are repetition.
"""

from __future__ import annotations

import math

from saidpo_core import Finding, hookimpl
from saidpo_plugins.common.record_statistics import Record, Z, balanced_error

POINTS = 0.02
"""Less than two points is no collapse, however many held-out problems make it certain."""
NATS = 0.1
"""Each token of a right response 10% less likely than the reference has it: e^-10 for one of 100 tokens."""
LONGER = 1.3
REPEATED = 0.1
"""Ordinary reasoning text repeats some of its 4-grams; a tenth more of them than at the start is no style."""


@hookimpl
def saidpo_diagnose(record: Record) -> list[Finding]:
    found = [*_accuracy(record), *_log_probability(record), *_repetition(record)]
    return [Finding(name="collapse", message=message, advice=advice) for message, advice in found]


def _advice(record: Record, *more: str, nll: str = "") -> str:
    """What there are options for."""
    trainer = record["settings"].get("trainer", {})
    ways = ["lower --trainer.lr (a third)"]
    ways += ["raise --trainer.beta"] if "beta" in trainer else []
    ways += [*more, nll] if nll and "nll" in trainer else more
    return ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])} or {ways[-1]}"


def _accuracy(record: Record) -> list[tuple[str, str]]:
    rounds = record["rounds"]
    measured = [(row["accuracy_balanced"], balanced_error(record, t)) for t, row in enumerate(rounds)]
    what = "held-out balanced accuracy"
    if measured[-1][0] is None or measured[-1][1] is None:
        facts = [row["probe"] for row in rounds[1:] if "probe" in row]
        measured = [(fact["pass_rate"], fact["pass_rate_error"]) for fact in facts]
        what = "the pass rate of the probe"
    known = [(value, error) for value, error in measured if value is not None and error is not None]
    if len(known) < 2:
        return []
    (best, best_error), (now, error) = max(known[:-1]), known[-1]
    if best - now < max(POINTS, Z * math.hypot(best_error, error)):
        return []
    message = f"{what} fell to {100 * now:.1f}% from its best of {100 * best:.1f}%, more than chance explains"
    return [(message, _advice(record, "stop after the best round (--rounds)", nll="add --trainer.nll=0.2"))]


def _log_probability(record: Record) -> list[tuple[str, str]]:
    row = record["rounds"][-1]
    drift, length = row.get("training", {}).get("chosen_logp_drift"), row.get("lengths", {}).get("right")
    if drift is None or not length or drift > -NATS * length:
        return []
    message = (
        f"the chosen responses lost {-drift:.1f} nats against the reference, {-drift / length:.2f} a token: "
        "training makes right responses less likely"
    )
    return [(message, _advice(record, nll="keep the chosen ones likely with --trainer.nll=0.2"))]


def _repetition(record: Record) -> list[tuple[str, str]]:
    facts = [row["probe"] for row in record["rounds"][1:] if row.get("probe", {}).get("length")]
    if len(facts) < 2:
        return []
    first, now = facts[0], facts[-1]
    longer, repeated = now["length"] / first["length"], now["repetition"] - first["repetition"]
    if longer < LONGER or repeated < REPEATED:
        return []
    message = (
        f"responses are {longer:.1f} times as long as in round 1 ({now['length']:.0f} tokens) and "
        f"{100 * now['repetition']:.0f}% of their 4-grams are repetition ({100 * first['repetition']:.0f}% in round 1)"
    )
    return [(message, f"--pair-builder=length-matched, so that length is not what is learned; {_advice(record)}")]
