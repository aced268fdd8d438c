"""The settings of a run: from flags, a TOML file, the policy's own and the defaults, in this order; checked at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from saidpo_core import observing
from saidpo_core.errors import PluginError, UsageError, first_line
from saidpo_core.hookspecs import KINDS
from saidpo_core.kind_options import core_options
from saidpo_core.options import build_options, nearest, option, plain, specs_of
from saidpo_core.prompts import find_prompt
from saidpo_core.records import Policy, Prompt
from saidpo_core.registry import Offer, Registry


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of the loop itself. Symbols as in the paper; a default that is not the paper's is marked ours."""

    model: str = option("", "the first policy: a name of saidpo plugins, a Hugging Face folder, or a hub name")
    rounds: int = option(3, "T, rounds of probe, draw, explore, train", low=1)
    seed: int = option(0, "everything random in the run follows from it", low=0)
    samples: int = option(8, "K, responses a problem", low=2)
    probe_share: float = option(0.01, "share of the pool that is probed each round", low=0, high=1)
    probe_min: int = option(120, "at least so many problems are probed (ours)", low=1)
    draw: int | Literal["auto"] = option(
        "auto",
        "problems drawn and explored a round besides the probe; auto: 2% of the pool, at least 300 (ours)",
        low=1,
    )
    max_pairs: int | Literal["auto"] = option(
        "auto",
        "keep at most so many pairs a round, those of the hardest problems; 0: all; "
        "auto: one for four explored problems (ours)",
        low=0,
    )
    truncated: Literal["drop", "reject"] = option(
        "drop", "responses cut off at the token limit: drop them, or call them wrong"
    )
    round_tokens: int | Literal["auto"] = option(
        0,
        "stop exploring when a round has generated so many tokens; 0: no limit; auto: what a round's problems "
        "would take the first policy, by its first probe (ours)",
        low=0,
    )
    prompt: Literal["auto", "plain", "chat", "qwen-math", "llama-math", "boxed"] | Path = option(
        "auto", "how a question is put: by the chat template if there is one (auto), a named prompt, or a file's text"
    )


@dataclass(frozen=True)
class Chosen:
    """A component that was chosen, with its options."""

    offer: Offer
    options: Any
    core: Any
    """The options of its kind that the core heeds (``saidpo_core.kind_options``)."""


@dataclass(frozen=True)
class Settings:
    """All settings of a run, checked."""

    run: RunOptions
    parts: Mapping[str, Chosen]
    """Kind -> what was chosen for it; all kinds, in the order of ``KINDS``."""
    policy: Policy | None
    """The named policy, if ``model`` is one."""
    prompt: Prompt
    """What ``--prompt`` names, its file read."""

    def as_tree(self) -> dict[str, Any]:
        """As a TOML file would say it; equal trees make equal runs."""
        tree: dict[str, Any] = plain(self.run)
        for kind, chosen in self.parts.items():
            offer = chosen.offer
            tree[kind] = {"name": offer.name, **plain(chosen.options), **plain(chosen.core)}
        return tree


NO_SETTINGS = ("about", "plan_for")
"""Keys of a settings file that are for others: what a run.toml tells besides, and what ``--dry-run`` reads."""


def read_toml(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Flat values (``clusterer``, ``clusterer.k``, ``rounds``) of a settings file, and where each came from."""
    values = flat_settings(load_toml(path, "--config="), str(path))
    return values, {key: f"{path}: {key}" for key in values}


def load_toml(path: Path, flag: str) -> dict[str, Any]:
    """The file as it is; ``flag`` is put before its path where it is the path that is wrong."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{flag}{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{flag}{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error


def flat_settings(tree: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings as a file has them, a table a component, as ``clusterer``, ``clusterer.k``, ``rounds``."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        kind = key.replace("_", "-")
        if key in NO_SETTINGS:
            continue
        if kind in KINDS:
            values |= _flat_component(kind, value, where)
        elif key == "observers":
            values |= observing.flat(value, where)
        else:
            values[key.replace("-", "_") if "." not in key else key] = value
    return values


def over(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` over ``values``, both flat. A component that is chosen anew takes the old one's options with it."""
    gone = [kind for kind in KINDS if kind in given and values.get(kind, given[kind]) != given[kind]]
    kept = {key: value for key, value in values.items() if "." not in key or key.partition(".")[0] not in gone}
    return {**kept, **given}


def _flat_component(kind: str, value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {kind: value}
    if not isinstance(value, dict):
        raise UsageError(f"{where}: {kind}: expected a name, or a table with name and options")
    flat = {f"{kind}.{key}": item for key, item in value.items() if key != "name"}
    return {kind: value["name"], **flat} if "name" in value else flat


def resolve(registry: Registry, values: Mapping[str, Any], where: Mapping[str, str]) -> Settings:
    """Settings from flat ``values``; ``where[key]`` names their place (a flag, or file and key) in errors."""
    values = {key: value for key, value in values.items() if key.partition(".")[0] != "observers"}
    _refuse_unknown(values, where)
    own = {spec.name for spec in specs_of(RunOptions)}
    model = values.get("model") or next((p.name for p in registry.policies if p.default), "")
    if not model:
        raise UsageError("no model: name a Hugging Face folder with --model=PATH")
    policy = next((p for p in registry.policies if p.name == model), None)
    advice = dict(policy.settings) if policy else {}
    parts: dict[str, Chosen] = {}
    for kind in KINDS:
        name = values.get(kind)
        if name is not None and not isinstance(name, str):
            raise UsageError(f"{where[kind]}: expected the name of a {kind}, got {name!r}")
        offer = registry.find(kind, name, where[kind]) if name is not None else registry.default(kind)
        parts[kind] = Chosen(offer, *_component_options(offer, values, where, advice))
    run = {key: value for key, value in advice.items() if key in own}
    run |= {key: value for key, value in values.items() if key in own} | {"model": model}
    options = build_options(RunOptions, run, {key: where.get(key, f"policy {model}") for key in run})
    prompt = find_prompt(options.prompt, where.get("prompt", f"policy {model}: prompt"))
    return Settings(options, parts, policy, prompt)


def _component_options(
    offer: Offer, values: Mapping[str, Any], where: Mapping[str, str], advice: Mapping[str, Any]
) -> tuple[Any, Any]:
    """The options of one component, and those of its kind that the core heeds. What the policy advises is heeded where
    there is such an option."""
    prefix, core = f"{offer.kind}.", core_options(offer.kind)
    of_core = {spec.name for spec in specs_of(core)}
    known = {spec.name for spec in specs_of(offer.component.options)} | of_core
    given = {key.removeprefix(prefix): value for key, value in advice.items() if key.startswith(prefix)}
    given = {key: value for key, value in given.items() if key in known}
    places = {key: f"policy's {prefix}{key}" for key in given}
    for key, value in values.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix).replace("-", "_")
            given[name], places[name] = value, where[key]
            if name not in known:
                mine = f"{offer.kind} {offer.component.name}"
                raise UsageError(f"{where[key]}: {mine} has no option {name!r}.{nearest(name, known)}")
    heeded = {key: value for key, value in given.items() if key in of_core}
    try:
        own = {key: value for key, value in given.items() if key not in of_core}
        return build_options(offer.component.options, own, places), build_options(core, heeded, places)
    except UsageError:
        raise
    except Exception as error:  # of the options' own __post_init__
        raise PluginError(f"{offer} failed in its options: {first_line(error)}") from error


def _refuse_unknown(values: Mapping[str, Any], where: Mapping[str, str]) -> None:
    own = {spec.name for spec in specs_of(RunOptions)}
    for key in values:
        if key not in own and key.split(".")[0] not in KINDS:
            raise UsageError(f"{where[key]}: unknown key.{nearest(key, [*own, *KINDS, 'observers'])}")


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``key: old -> new`` for every setting that differs, dotted keys, None where one has none."""

    def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in tree.items():
            found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
        return found

    before, after = flat(old), flat(new)
    keys = [*before, *(key for key in after if key not in before)]
    return [f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys if before.get(key) != after.get(key)]
