"""``saidpo compare``: a small study from flags alone, on one first policy.

Equal budgets (**ours**, see docs/ablations.md): every arm probes and draws the same number of problems a round, may not
generate more tokens a round than that number takes the first policy (``--round-tokens=auto``; arms of one seed share
the first probe, so the limit is the same for all), and takes the same number of optimiser steps (``trainer.steps``).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saidpo_core.cli.listing import say_broken_briefly
from saidpo_core.errors import UsageError
from saidpo_core.hookspecs import KINDS
from saidpo_core.options import nearest, specs_of
from saidpo_core.registry import Registry
from saidpo_core.settings import RunOptions, flat_settings, load_toml
from saidpo_core.study.command import run_study
from saidpo_core.study.plan import Study, make_study


def compare(registry: Registry, *, out: Path, jobs: int, **asked: Any) -> None:
    """Run all arms and print what was found; arguments as ``saidpo compare --help`` says."""
    say_broken_briefly(registry)
    run_study(registry, plan_comparison(registry, out=out, **asked), out, jobs)


def plan_comparison(
    registry: Registry,
    *,
    samplers: str | None,
    arms: Sequence[str],
    arm_options: Sequence[str],
    seeds: int,
    first_seed: int,
    out: Path,
    config: Path | None,
    flags: Sequence[str],
) -> Study:
    """The study that the flags describe, checked."""
    chosen = _arms(samplers, arms, arm_options)
    file = flat_settings(load_toml(config, "--config="), str(config)) if config else {}
    file.pop("seed", None)  # a run's file has one; here it is --first-seed that says
    given = values_of(flags)
    # The file's, too, are of all arms: a base and a budget of the study.
    shared = {key: given.pop(key, file.pop(key, None)) for key in ("model", "round_tokens")}
    model = shared["model"] or next((p.name for p in registry.policies if p.default), "")
    limit = "auto" if shared["round_tokens"] is None else str(shared["round_tokens"])
    return make_study(
        registry,
        arms={arm: (f"--arm {arm}: --", values) for arm, values in chosen.items()},
        common={**({str(config): file} if config else {}), "--": given},
        bases={Path(model).name: {"model": model}},
        seeds=range(first_seed, first_seed + seeds),
        out=out,
        title=" against ".join(reversed(chosen)) if len(chosen) == 2 else ", ".join(chosen),
        texts={},
        tokens="free" if limit == "0" else int(limit) if limit.isascii() and limit.isdigit() else limit,
        command=(
            "compare",
            *([f"--samplers={samplers}"] if samplers else []),
            *(f"--arm={arm}" for arm in arms),
            *(f"--arm-options={option}" for option in arm_options),
            f"--seeds={seeds}",
            f"--first-seed={first_seed}",
            *([f"--config={config}"] if config else []),
            *(["--", *flags] if flags else []),
        ),
        where="compare",
    )


def _arms(samplers: str | None, arms: Sequence[str], arm_options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Name -> settings. Those of ``--samplers`` first, so the first of them is the reference."""
    if samplers is None and not arms:
        samplers = "uniform,error-weighted"
    names = [name.strip() for name in (samplers or "").split(",") if name.strip()]
    found: dict[str, dict[str, Any]] = {name: {"sampler": name} for name in names}
    for item in arms:
        name, colon, flags = item.partition(":")
        name = name.strip()
        if not colon or not name:
            raise UsageError(f"--arm={item}: expected NAME: FLAGS, such as --arm 'no clusters: --clusterer=none'")
        if name in found:
            raise UsageError(f"--arm={item}: an arm is called {name} already")
        found[name] = values_of(_split(flags, item))
    if len(found) < 2 or len(names) > len(set(names)):
        raise UsageError(f"compare: name at least two different arms, with --samplers or --arm; got {', '.join(found)}")
    for item in arm_options:
        name, colon, flag = item.partition(":")
        if not colon or name not in found or not flag.startswith("--"):
            raise UsageError(f"--arm-options={item}: expected ARM:--FLAG=VALUE with one of {', '.join(found)}")
        found[name] |= values_of([flag])
    return found


def _split(flags: str, item: str) -> list[str]:
    try:
        return shlex.split(flags)
    except ValueError as error:
        raise UsageError(f"--arm={item}: {error}") from error


def values_of(flags: Sequence[str]) -> dict[str, Any]:
    """Settings from ``--rounds=1``, ``--rounds 1``, ``--clusterer.k=20``."""
    values: dict[str, Any] = {}
    rest = list(flags)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if not flag.startswith("--"):
            raise UsageError(f"{flag}: expected a flag of saidpo run, such as --rounds=1")
        if not equals:
            if not rest:
                raise UsageError(f"{flag}: needs a value")
            value = rest.pop(0)
        values[_key(flag.removeprefix("--"))] = value
    return values


def _key(name: str) -> str:
    kind, dot, option = name.partition(".")
    own = {spec.name for spec in specs_of(RunOptions)}
    if not (kind in KINDS or name.replace("-", "_") in own):
        raise UsageError(
            f"--{name}: no flag of saidpo run.{nearest(name, [*(o.replace('_', '-') for o in own), *KINDS])}"
        )
    return f"{kind}.{option.replace('-', '_')}" if dot else name if name in KINDS else name.replace("-", "_")
