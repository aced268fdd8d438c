"""What adaptive rollouts save: usable problems for a generated token, and the accuracy that comes of them.

    python tests/bench/bench_early_stop.py [--seeds 5] [--out DIR]

The embedded policy with all defaults (3 rounds), and the same with ``early_stop``; per seed side by side, in one
process after another. A usable problem is one with a right and a wrong response: it can give a pair. Tokens are
all that were generated, the probe (always K = 8) included.

- ``fixed``: K = 8 responses to each of the 300 problems drawn a round.
- ``pair``: ``early_stop=pair``; the same number of problems, so whatever it spares is spared.
- ``give up N``: besides, a problem is left after N responses without a pair, and what that spares is spent on more
  problems: as many as the tokens of ``fixed`` in the same round pay for (``--round-tokens`` is their mean).

All arms train on the same number of pairs (105 a round, those of the hardest problems) in the same number of steps.
A figure in docs/rollouts.md comes from here. Finished runs in DIR are read, not made again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from saidpo_core.rollouts import read_attempts
from saidpo_core.statistics import difference
from saidpo_core.summary import read_summary

COMMON = ("--quiet", "--max-pairs=105")
ARMS: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "pair": ("--generator.early_stop=pair",),
    "give up 3": ("--generator.early_stop=pair", "--generator.give_up=3", "--draw=1200"),
}

FIRST = 3


@dataclass(frozen=True)
class Outcome:
    """One run: sums over its rounds, and its held-out accuracy after the last."""

    usable: int
    explored: int
    tokens: int
    drawn_usable: int
    """Of the problems that were drawn, without the probe; and the tokens that went into them."""
    drawn_tokens: int
    oracle_tokens: int
    """What they would have taken with two responses to each usable one."""
    first_usable: int
    """With the first ``FIRST`` responses to each alone; and their tokens."""
    first_tokens: int
    accuracy: float

    @property
    def rate(self) -> float:
        """Usable problems for 1,000 generated tokens."""
        return 1000 * self.usable / self.tokens

    @property
    def drawn_rate(self) -> float:
        return 1000 * self.drawn_usable / self.drawn_tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", default=",".join(ARMS), help="some of: " + ",".join(ARMS))
    parser.add_argument("--out", type=Path, help="keep the runs here (default: a temporary folder)")
    arguments = parser.parse_args()
    arms = [name for name in ARMS if name in arguments.arms.split(",") or name == "fixed"]
    with tempfile.TemporaryDirectory(prefix="saidpo-bench-") as temporary:
        out = arguments.out or Path(temporary)
        found: dict[str, list[Outcome]] = {arm: [] for arm in arms}
        for seed in range(arguments.seeds):
            limit: tuple[str, ...] = ()
            for arm in arms:
                flags = (*ARMS[arm], *(limit if arm.startswith("give up") else ()))
                folder = out / f"{arm.replace(' ', '-')}-seed{seed}"
                tree = run(folder, (*flags, f"--seed={seed}"))
                outcome = outcome_of(tree, folder)
                found[arm].append(outcome)
                if arm == "fixed":
                    limit = (f"--round-tokens={outcome.tokens // (len(tree['rounds']) - 1)}",)
                print(f"seed {seed} {arm}: {outcome}, {outcome.rate:.3f} usable for 1,000 tokens", flush=True)
    report(found)


def run(folder: Path, flags: Sequence[str]) -> dict[str, Any]:
    """The summary of a run that is made unless it is there."""
    if not ((folder / "summary.json").is_file() and read_summary(folder)["finished"]):
        command = [sys.executable, "-m", "saidpo_core.cli", "run", *COMMON, *flags, "--run-dir", str(folder)]
        subprocess.run(command, check=True)
    return read_summary(folder)


def outcome_of(tree: dict[str, Any], folder: Path) -> Outcome:
    rounds = tree["rounds"][1:]
    drawn = [item for path in sorted(folder.glob("round-*/03-explore")) for item in read_attempts(path)]
    return Outcome(
        usable=sum(row["usable"] for row in rounds),
        explored=sum(row["explored"] for row in rounds),
        tokens=sum(row["tokens"] for row in rounds),
        drawn_usable=sum(item.usable for item in drawn),
        drawn_tokens=sum(item.tokens for item in drawn),
        oracle_tokens=sum((item.first(2) if item.usable else item).tokens for item in drawn),
        first_usable=sum(item.first(FIRST).usable for item in drawn),
        first_tokens=sum(item.first(FIRST).tokens for item in drawn),
        accuracy=rounds[-1]["accuracy_balanced"],
    )


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the ends of its 95% interval."""
    if len(values) < 2:
        return values[0], float("nan"), float("nan")
    found = difference({"embedded": values})
    return found.mean, found.low, found.high


def report(found: dict[str, list[Outcome]]) -> None:
    columns = ["arm", "problems", "tokens", "usable", "for 1,000 tokens", "times fixed", "without the probe"]
    columns += ["accuracy", "difference"]
    print("\n| " + " | ".join(columns) + " |")
    print("| --- " * len(columns) + "|")
    fixed = found["fixed"]
    for arm, runs in found.items():
        times = [mine.rate / other.rate for mine, other in zip(runs, fixed, strict=True)]
        drawn = [mine.drawn_rate / other.drawn_rate for mine, other in zip(runs, fixed, strict=True)]
        gaps = [100 * (mine.accuracy - other.accuracy) for mine, other in zip(runs, fixed, strict=True)]
        mean, low, high = interval(times)
        part, part_low, part_high = interval(drawn)
        gap, gap_low, gap_high = interval(gaps)
        cells = [
            arm,
            f"{fmean(r.explored for r in runs):,.0f}",
            f"{fmean(r.tokens for r in runs):,.0f}",
            f"{fmean(r.usable for r in runs):.0f}",
            f"{fmean(r.rate for r in runs):.3f}",
            "1" if arm == "fixed" else f"{mean:.2f} [{low:.2f}, {high:.2f}]",
            "1" if arm == "fixed" else f"{part:.2f} [{part_low:.2f}, {part_high:.2f}]",
            f"{100 * fmean(r.accuracy for r in runs):.1f}%",
            "" if arm == "fixed" else f"{gap:+.1f} [{gap_low:+.1f}, {gap_high:+.1f}]",
        ]
        print("| " + " | ".join(cells) + " |")
    bound = fmean(r.drawn_tokens / r.oracle_tokens for r in fixed)
    share = fmean(r.first_usable / r.drawn_usable for r in fixed)
    first = fmean(r.first_usable / r.first_tokens / (r.drawn_usable / r.drawn_tokens) for r in fixed)
    print(
        f"\nfixed, without the probe: a stop at the second response of every usable problem would be {bound:.2f} times;"
    )
    print(f"the first {FIRST} responses to each are {first:.2f} times, for {share:.2f} of the usable problems")
    print("\nMeans over seeds; in brackets the 95% interval of the mean of the differences or ratios paired by seed.")


if __name__ == "__main__":
    main()
