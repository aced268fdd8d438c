"""What a study file says, checked as a whole before anything runs.

    title = "Does drawing by errors pay?"
    reference = "uniform"              # the arm that the others are compared with; the first, if not said
    score = "final"                    # what is tested: final, mean, round-1, per-100k-tokens

    [arms.uniform]
    sampler = "uniform"
    [arms.error-weighted]
    sampler = "error-weighted"
    [settings]                         # of all runs, as in the file of a run
    rounds = 3
    [on.embedded]                      # where it runs: the first one, or that of --on
    bases = ["embedded", "embedded-1"]
    seeds = 5

``[grid]`` in place of ``[arms]`` makes an arm of each combination: ``"clusterer.k" = [10, 20, 40]``. A place may bring
settings, a budget, more settings of arms, or a grid and a reference in place of the file's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saidpo_core.errors import UsageError
from saidpo_core.options import nearest
from saidpo_core.registry import Registry
from saidpo_core.settings import load_toml
from saidpo_core.study.plan import Study, as_table, make_study, typed

_KEYS = {"title", "question", "source", "about", "reference", "score", "budget", "arms", "grid", "settings", "on"}
_PLACE_KEYS = {"bases", "seeds", "first_seed", "settings", "arms", "grid", "reference", "budget", "about"}
_BUDGET_KEYS = {"tokens", "steps"}


def read_study(registry: Registry, path: Path, on: str | None, out: Path) -> Study:
    """The study of a file. Raises ``UsageError`` with file and key for what cannot run."""
    tree = load_toml(path, "")
    _known(tree, _KEYS, str(path))
    places = as_table(tree.get("on", {}), f"{path}: on")
    if not places:
        raise UsageError(f"{path}: needs a table [on.NAME] with bases and seeds, such as [on.embedded]")
    name = on or next(iter(places))
    if name not in places:
        raise UsageError(f"--on={name}: {path} has no [on.{name}].{nearest(name, places)}")
    place = as_table(places[name], f"{path}: on.{name}")
    _known(place, _PLACE_KEYS, f"{path}: on.{name}")
    arms = _arms(tree, place, path)
    own = {
        f"{path}: settings": tree.get("settings", {}),
        f"{path}: on.{name}.settings": place.get("settings", {}),
    }
    budget = {
        **as_table(tree.get("budget", {}), f"{path}: budget"),
        **as_table(place.get("budget", {}), f"{path}: budget"),
    }
    _known(budget, _BUDGET_KEYS, f"{path}: budget")
    return make_study(
        registry,
        arms={arm: (f"{path}: arms.{arm}", values) for arm, values in arms.items()},
        common=own,
        bases=_bases(place, path, name),
        seeds=_seeds(place, f"{path}: on.{name}"),
        out=out,
        title=str(tree.get("title", path.stem)),
        texts={key: str(tree[key]) for key in ("question", "source", "about") if key in tree},
        reference=place.get("reference", tree.get("reference")),
        score=tree.get("score", "final"),
        tokens=budget.get("tokens", "auto"),
        steps=budget.get("steps", "settings"),
        command=("study", str(path), f"--on={name}"),
        where=str(path),
    )


def _arms(tree: Mapping[str, Any], place: Mapping[str, Any], path: Path) -> dict[str, Mapping[str, Any]]:
    arms: dict[str, Mapping[str, Any]]
    if ("arms" in tree) == ("grid" in tree):
        raise UsageError(f"{path}: needs either [arms.NAME] tables or one [grid] table")
    if "grid" in place and "grid" not in tree:
        raise UsageError(f"{path}: on: a grid replaces the [grid] of the file, which has [arms]")
    if "arms" in tree:
        arms = {
            name: as_table(arm, f"{path}: arms.{name}") for name, arm in as_table(tree["arms"], f"{path}: arms").items()
        }
    else:
        grid = as_table(place.get("grid", tree["grid"]), f"{path}: grid")
        wrong = [key for key, values in grid.items() if not isinstance(values, list) or not values]
        if wrong:
            raise UsageError(
                f'{path}: grid.{wrong[0]}: expected a list of values (a dotted key has to be quoted: "a.b")'
            )
        rows = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        arms = {", ".join(f"{key}={typed(value)}" for key, value in row.items()): row for row in rows}
        if len(arms) < len(rows):
            raise UsageError(f"{path}: grid: a value comes twice, so that two arms would be the same")
    for name, more in as_table(place.get("arms", {}), f"{path}: on.arms").items():
        if name not in arms:
            raise UsageError(f"{path}: on: no arm is called {name!r}.{nearest(name, arms)}")
        arms[name] = {**arms[name], **as_table(more, f"{path}: on.arms.{name}")}
    return arms


def _bases(place: Mapping[str, Any], path: Path, name: str) -> dict[str, Mapping[str, Any]]:
    """Base name -> settings, ``model`` among them. A path is taken from the folder of the study file."""
    listed = place.get("bases")
    if not isinstance(listed, list) or not listed or not all(isinstance(item, str) for item in listed):
        raise UsageError(f"{path}: on.{name}.bases: expected a list of first policies, as --model takes them")
    found: dict[str, Mapping[str, Any]] = {}
    last = [Path(item).name for item in listed]
    for item, short in zip(listed, last, strict=True):
        beside = path.parent / item
        model = str(beside) if beside.is_dir() else item
        if any(_same_model(model, other["model"]) for other in found.values()):
            raise UsageError(f"{path}: on.{name}.bases: {item!r} comes twice; its runs would be counted twice")
        # Trained policies often have one last folder's name, such as final: then all of the text is the name.
        found[short if last.count(short) == 1 else item] = {"model": model}
    return found


def _same_model(one: str, other: str) -> bool:
    """Whether two texts name one first policy: a folder may be written in many ways."""
    return one == other or (Path(one).is_dir() and Path(other).is_dir() and Path(one).samefile(other))


def _seeds(place: Mapping[str, Any], where: str) -> tuple[int, ...]:
    seeds, first = place.get("seeds", 5), place.get("first_seed", 0)
    if isinstance(seeds, list) and seeds and all(isinstance(s, int) and s >= 0 for s in seeds):
        if len(set(seeds)) < len(seeds):
            raise UsageError(f"{where}.seeds: a seed comes twice")
        return tuple(seeds)
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1 or not isinstance(first, int) or first < 0:
        raise UsageError(f"{where}.seeds: expected how many, counted from first_seed (0), or a list of seeds")
    return tuple(range(first, first + seeds))


def _known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}.{nearest(key, sorted(known))}")
