"""Each recipe in ``examples/recipes`` is read, planned and dry-run, for every base of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saidpo_core.cli.flags import settings_from
from saidpo_core.hookspecs import KINDS
from saidpo_core.kind_options import all_specs
from saidpo_core.options import specs_of
from saidpo_core.planning.command import plan_of
from saidpo_core.planning.plan import Plan
from saidpo_core.registry import load_registry
from saidpo_core.settings import RunOptions, load_toml
from tests.command import Saidpo

FOLDER = Path(__file__).parents[2] / "examples/recipes"
RECIPES = sorted(FOLDER.glob("*.toml"))
BASES = (
    "Qwen/Qwen2.5-Math-7B",
    "meta-llama/Llama-3.1-8B-Instruct",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
)


def lacking(recipe: Path) -> str:
    """What a recipe names and saidpo does not have: components, options, plans."""
    registry = load_registry()
    known = {spec.name for spec in specs_of(RunOptions)} | {"plan_for", *KINDS}
    raw = load_toml(recipe, "")
    found = [key for key in raw if key.replace("_", "-") not in known and key not in known]
    for kind in KINDS:
        table = raw.get(kind.replace("-", "_"), raw.get(kind))
        if isinstance(table, dict):
            offer = next((o for o in registry.of_kind(kind) if o.name == table.get("name")), None)
            options = {spec.name for spec in all_specs(kind, offer.component.options)} if offer else set()
            found += [f"{kind} {table.get('name')}"] if offer is None else []
            found += [f"{kind}.{key}" for key in table if offer and key != "name" and key not in options]
            if offer and kind in ("generator", "pool", "trainer") and offer.component.plan is None:
                found.append(f"a plan of {kind} {offer.name}")
    return ", ".join(found)


def plan(recipe: Path, model: str = "", plan_for: str | None = None) -> Plan:
    flags: dict[str, Any] = {"set____model": model or None, "plan_for": plan_for}
    registry = load_registry()
    settings = settings_from(registry, recipe, flags)
    return plan_of(registry, settings, recipe, Path("runs"), flags)


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    assert lacking(path) == ""
    return path


def test_there_is_a_recipe_for_each_machine() -> None:
    assert {path.stem for path in RECIPES} >= {"1x24gb", "1x80gb", "8x80gb", "ray-cluster"}
    assert {load_toml(path, "")["model"] for path in RECIPES} == set(BASES)
    for path in RECIPES:
        text = path.read_text()
        assert f"saidpo --config examples/recipes/{path.name} --dry-run" in text
        assert "pip install" in text


def test_a_recipe_fits_the_machine_that_it_is_for(recipe: Path) -> None:
    made = plan(recipe)
    assert made.problems == ()
    assert made.elsewhere
    assert made.seconds is not None
    assert made.seconds > 0
    assert made.generation is not None
    assert made.training is not None
    assert 0 < made.training.bytes <= made.machine.usable


def test_the_hosts_memory_is_told_where_it_matters() -> None:
    made = plan(FOLDER / "8x80gb-distill.toml")
    assert made.generation is not None
    assert made.training is not None
    parameters = made.model.parameters
    told = "".join((*made.generation.notes, *made.training.notes))
    assert f"up to {8 * 2 * 4 * parameters / 1e9:,.1f} GB of this machine's own memory" in told
    assert f"up to {80 * 215_056 * 8192 / 1e9:,.1f} GB of its own memory" in told


@pytest.mark.parametrize("base", BASES)
def test_it_fits_for_every_base_of_the_paper(recipe: Path, base: str) -> None:
    changed = plan(recipe, base)
    assert changed.model.name == base
    assert changed.problems == ()


def test_a_smaller_card_is_refused(recipe: Path) -> None:
    devices = plan(recipe).machine.devices
    assert plan(recipe, plan_for=f"{devices}x12GB").problems


@pytest.mark.slow
def test_the_command_plans_it(recipe: Path, tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("--config", str(recipe), "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("each round", "generation", "training", "in all", "disk"):
        assert said in done.stdout
