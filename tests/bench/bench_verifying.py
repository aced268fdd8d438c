"""The ``math`` verifier beside plain math-verify, in one run on the same labelled cases: items a second and accuracy.

    python tests/bench/bench_verifying.py [--cases FILE ...] [--repeats 3]

Plain math-verify is ``verify(parse(gold), parse(response))`` in the main thread, as its documentation shows: the gold
answer between dollars, so that it is read as LaTeX, boxes first in the response, otherwise its defaults. Both are
warm: imports, workers and one pass over five cases come before the clock starts. The memo is off (emptied before every
pass, and every pair occurs once). Numeric cases are those whose gold answer is a plain number, fraction or percentage.

Accuracy is over the labels right and wrong: a false positive is a wrong answer called right. Plain math-verify has no
"unverifiable"; on unreadable gold answers it is counted as agreeing when it says wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saidpo_core import Problem
from saidpo_plugins.verifiers.answers.spelling import normalise
from saidpo_plugins.verifiers.math import MathVerifier

LABELLED = Path(__file__).parents[1] / "verifying" / "maths.jsonl"
NUMERIC = re.compile(r"\$?-?(?:[\d,]+(?:\.\d+)?|\\d?frac\{-?\d+\}\{\d+\}|\d+/\d+)(?:\\?%)?\$?")

Row = dict[str, Any]


def read(paths: list[Path]) -> list[Row]:
    """Cases with a ``verdict`` (or ``label``), each pair of gold answer and response once."""
    rows: dict[tuple[str, str], Row] = {}
    for path in paths:
        for line in path.open(encoding="utf-8"):
            row = json.loads(line)
            rows[row["gold"], row["response"]] = row | {"verdict": row.get("verdict", row.get("label"))}
    return list(rows.values())


def ours(rows: list[Row], verifier: MathVerifier) -> list[str]:
    verifier._memo.clear()
    normalise.cache_clear()
    cases = [(Problem(id="1", question="?", answer=row["gold"]), row["response"]) for row in rows]
    return [verdict.outcome for verdict in verifier.verify(cases)]


def plain(rows: list[Row]) -> list[str]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    targets = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    outcomes = []
    for row in rows:
        gold = row["gold"] if "$" in row["gold"] or "boxed" in row["gold"] else f"${row['gold']}$"
        equal = verify(parse(gold, targets), parse(row["response"], targets))
        outcomes.append("right" if equal else "wrong")
    return outcomes


def timed(judge: Callable[[list[Row]], list[str]], rows: list[Row], repeats: int) -> tuple[float, list[str]]:
    """Items a second (median of the repeats) and outcomes."""
    judge(rows[:5])
    rates, outcomes = [], []
    for _ in range(repeats):
        started = time.perf_counter()
        outcomes = judge(rows)
        rates.append(len(rows) / (time.perf_counter() - started))
    return statistics.median(rates), outcomes


def accuracy(rows: list[Row], outcomes: list[str]) -> tuple[float, int, int]:
    """Share that agrees with the label, false positives, false negatives."""
    pairs = [(row["verdict"], outcome) for row, outcome in zip(rows, outcomes, strict=True)]
    agree = sum(due == got or (due == "unverifiable" and got == "wrong") for due, got in pairs)
    false_positives = sum(due != "right" and got == "right" for due, got in pairs)
    return agree / len(rows), false_positives, sum(due == "right" and got != "right" for due, got in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, nargs="+", default=[LABELLED], help="JSONL with gold, response, verdict")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = read(args.cases)
    numeric = [row for row in rows if NUMERIC.fullmatch(row["gold"].strip())]
    print(f"{len(rows)} cases, {len(numeric)} of them numeric; median of {args.repeats} passes, memo off")
    print(f"{'':10}{'':14}{'items/s':>9}{'':>8}{'accuracy':>10}{'false +':>9}{'false -':>9}")
    with MathVerifier() as verifier:
        verifier.self_test()
        for label, subset in (("numeric", numeric), ("mixed", rows)):
            slow, slow_outcomes = timed(plain, subset, args.repeats)
            quick, quick_outcomes = timed(lambda part: ours(part, verifier), subset, args.repeats)
            for name, rate, factor, outcomes in (
                ("math-verify", slow, "", slow_outcomes),
                ("saidpo", quick, f"x{quick / slow:.1f}", quick_outcomes),
            ):
                share, wrong, missed = accuracy(subset, outcomes)
                print(f"{label:10}{name:14}{rate:9,.0f}{factor:>8}{100 * share:9.1f}%{wrong:9}{missed:9}")


if __name__ == "__main__":
    main()
