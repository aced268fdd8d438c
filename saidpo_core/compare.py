"""``saidpo compare``: the same run under several samplers and seeds, at equal budgets, paired by seed.

Equal budgets (**ours**, see the README): every arm probes and draws the same number of problems a round, may not
generate more tokens a round than that number takes the first policy (``--round-tokens=auto``; arms of one seed share
the first probe, so the limit is the same for all), and takes the same number of optimiser steps (``trainer.steps``).
Runs are ordinary run directories: killed, the same command reuses what is finished.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core.cli_options import settings_from
from saidpo_core.errors import NothingToDo, SaidpoError, UsageError
from saidpo_core.listing import say_broken_briefly
from saidpo_core.registry import load_registry
from saidpo_core.run_dir import disk_errors, write_atomically
from saidpo_core.statistics import mean_and_sd, paired_difference
from saidpo_core.summary import read_summary


@dataclass(frozen=True)
class Job:
    """One run of one arm."""

    arm: str
    seed: int
    folder: Path
    flags: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        where = ["--sampler", self.arm, "--seed", str(self.seed), "--run-dir", str(self.folder), "--quiet"]
        return [sys.executable, "-m", "saidpo_core.cli", "run", *self.flags, *where]


def compare_samplers(
    samplers: str,
    seeds: int,
    first_seed: int,
    jobs: int,
    out: Path,
    config: Path | None,
    arm_options: Sequence[str],
    flags: Sequence[str],
) -> None:
    """Run all arms, print the table, write ``compare.json``; arguments as ``saidpo compare --help`` says."""
    arms = [name.strip() for name in samplers.split(",") if name.strip()]
    if len(arms) < 2 or len(set(arms)) < len(arms):
        raise UsageError(f"--samplers={samplers}: name at least two different samplers, separated by commas")
    own = _own_flags(arms, arm_options)
    common = [*(["--config", str(config)] if config else []), *flags]
    if not any(flag.startswith("--round-tokens") for flag in flags):
        common.append("--round-tokens=auto")
    _check_arms(arms, config)
    runs = [
        Job(arm, seed, out / f"{arm.replace('/', '-')}-seed{seed}", (*common, *own[arm]))
        for seed in range(first_seed, first_seed + seeds)
        for arm in arms
    ]
    ran = _run_all(runs, jobs or os.cpu_count() or 1)
    result = evaluate_arms(arms, runs)
    with disk_errors(out):
        write_atomically(out / "compare.json", json.dumps(result, indent=1) + "\n")
    print_result(result, out)
    if not ran:
        raise NothingToDo(f"nothing was run: all {len(runs)} runs in {out} were complete already")


def _own_flags(arms: Sequence[str], arm_options: Sequence[str]) -> dict[str, list[str]]:
    own: dict[str, list[str]] = {arm: [] for arm in arms}
    for item in arm_options:
        arm, colon, flag = item.partition(":")
        if not colon or arm not in own or not flag.startswith("--"):
            raise UsageError(f"--arm-options={item}: expected SAMPLER:--FLAG=VALUE with one of {', '.join(arms)}")
        own[arm].append(flag)
    return own


def _check_arms(arms: Sequence[str], config: Path | None) -> None:
    """Names are checked before hours of work; the runs check the other flags themselves."""
    registry = load_registry()
    say_broken_briefly(registry)
    settings_from(registry, config, {})
    for arm in arms:
        registry.find("sampler", arm, "--samplers")


def _run_all(runs: Sequence[Job], jobs: int) -> int:
    """Runs side by side, one thread each; returns how many did something. One that fails stops the comparison."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    ran = 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{len(runs)} runs, {jobs} side by side", total=len(runs))
        with ThreadPoolExecutor(jobs) as pool:
            waiting = {pool.submit(_run_one, job): job for job in runs}
            for future in as_completed(waiting):
                job = waiting[future]
                try:
                    did = future.result()
                except SaidpoError:
                    pool.shutdown(cancel_futures=True)
                    raise
                ran += did
                progress.advance(task)
                last = read_summary(job.folder)["rounds"][-1]
                state = "" if did else " (was complete)"
                shown = f"{job.arm} seed {job.seed}: {100 * _accuracy(last, job.folder):.1f}%{state}"
                progress.console.print(shown) if console.is_terminal else print(shown, flush=True)
    return ran


def _run_one(job: Job) -> bool:
    """True if the run did something, False if it was complete already."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(job.command, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode not in (0, NothingToDo.exit_code):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise SaidpoError(f"{job.arm} seed {job.seed} failed: {lines[-1]}\nrepeat it alone: {' '.join(job.command)}")
    return done.returncode == 0


def evaluate_arms(arms: Sequence[str], runs: Sequence[Job]) -> dict[str, Any]:
    """Mean and sd of every arm after each round, and paired differences from the first arm."""
    summaries = {(job.arm, job.seed): read_summary(job.folder) for job in runs}
    seeds = sorted({job.seed for job in runs})
    rounds = min(len(summary["rounds"]) for summary in summaries.values())
    curves = {
        arm: [[_accuracy(summaries[arm, seed]["rounds"][t], Path(arm)) for seed in seeds] for t in range(rounds)]
        for arm in arms
    }
    table: dict[str, Any] = {}
    for arm in arms:
        rows = [summaries[arm, seed]["rounds"][1:] for seed in seeds]
        statistics = [mean_and_sd(values) for values in curves[arm]]
        table[arm] = {
            "mean": [mean for mean, _ in statistics],
            "sd": [sd for _, sd in statistics],
            "accuracy": curves[arm],
            "tokens": _mean_total(rows, "tokens"),
            "explored": _mean_total(rows, "explored"),
            "steps": _mean_total(rows, "steps"),
            "pairs": _mean_total(rows, "pairs"),
            "yield": _mean_total(rows, "pairs") / _mean_total(rows, "explored"),
        }
    reference = arms[0]
    differences = {
        arm: [vars(paired_difference(curves[arm][t], curves[reference][t])) for t in range(1, rounds)]
        for arm in arms[1:]
    }
    return {"reference": reference, "seeds": seeds, "rounds": rounds - 1, "arms": table, "differences": differences}


def _accuracy(row: dict[str, Any], where: Path) -> float:
    value = row["accuracy_balanced"]
    if value is None:
        raise SaidpoError(f"{where}: no held-out problems, so nothing to compare; give the pool some")
    return float(value)


def _mean_total(runs: Sequence[Sequence[dict[str, Any]]], key: str) -> float:
    return sum(sum(row[key] for row in rows) for rows in runs) / len(runs)


def print_result(result: dict[str, Any], out: Path) -> None:
    """A Markdown table, as it goes into a README, and a plain sentence for each difference."""
    rounds = range(1, result["rounds"] + 1)
    n = len(result["seeds"])
    print(f"\nbalanced held-out accuracy in %, mean (sd) of {n} seeds; budgets are means over a whole run\n")
    head = [
        "arm",
        "start",
        *(f"round {t}" for t in rounds),
        "tokens",
        "explored",
        "steps",
        "yield",
        "points per 100k tokens",
    ]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for arm, row in result["arms"].items():
        cells = [f"{100 * mean:.1f} ({100 * sd:.1f})" for mean, sd in zip(row["mean"], row["sd"], strict=True)]
        gain = 1e7 * (row["mean"][-1] - row["mean"][0]) / row["tokens"]
        budget = [
            f"{row['tokens']:,.0f}",
            f"{row['explored']:,.0f}",
            f"{row['steps']:,.0f}",
            f"{row['yield']:.2f}",
            f"{gain:.1f}",
        ]
        print("| " + " | ".join([arm, *cells, *budget]) + " |")
    print()
    for arm, differences in result["differences"].items():
        for t, d in zip(rounds, differences, strict=True):
            verdict = "significant at 5%" if d["p"] < 0.05 else "not significant"
            interval = f"[{100 * d['low']:+.1f}, {100 * d['high']:+.1f}]"
            points = f"{100 * d['mean']:+.1f} points, 95% interval {interval}, p = {d['p']:.3g}"
            print(f"{arm} - {result['reference']} after round {t}: {points} ({verdict}, {d['n']} pairs)")
    print(f"\nall runs: {out}; figures: {out}/compare.json")
