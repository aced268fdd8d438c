"""Flags of ``saidpo run``: the run's own, one per kind, and the options of whichever components were chosen.

The chosen components decide which flags there are, so the command line and the TOML file are glanced at first
(``--clusterer=hdbscan`` brings ``--clusterer.min_cluster_size``), then click parses as usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
from click.shell_completion import CompletionItem

from saidpo_core.cli.completion import COMMANDS, ComponentName
from saidpo_core.cli.listing import say_broken
from saidpo_core.hookspecs import KINDS
from saidpo_core.kind_options import all_specs
from saidpo_core.observing import names_in, observer_options, observers_from
from saidpo_core.options import OptionSpec, build_options, nearest, shown, specs_of
from saidpo_core.planning.flags import PLANNING
from saidpo_core.registry import Offer, Registry, load_registry
from saidpo_core.settings import RunOptions, Settings, over, read_toml, resolve

EVALUATOR = "benchmarks"
"""What ``saidpo eval`` measures with if ``--evaluator`` names no other."""


def own_options() -> list[click.Option]:
    """Flags of the loop itself."""
    return [_flag(spec, "--" + spec.name.replace("_", "-"), "", spec.name) for spec in specs_of(RunOptions)]


def kind_options(
    registry: Registry, kinds: Iterable[str] = KINDS, defaults: Mapping[str, str] = MappingProxyType({})
) -> list[click.Option]:
    """``--clusterer NAME`` and so on, the default named in the help."""
    options = []
    for kind in kinds:
        default = next((offer.component.name for offer in registry.of_kind(kind) if offer.default), "?")
        default = defaults.get(kind, default)
        help = f"{', '.join(registry.names(kind))}  [default: {default}]"
        options.append(
            click.Option([f"--{kind}", _parameter(kind)], type=ComponentName(kind), metavar="NAME", help=help)
        )
    return options


def component_options(offer: Offer) -> list[click.Option]:
    """``--clusterer.k`` and so on, for one component."""
    specs = all_specs(offer.kind, offer.component.options)
    return [_flag(spec, f"--{offer.kind}.{spec.name}", offer.kind, spec.name) for spec in specs]


def _parameter(kind: str, key: str = "") -> str:
    """The Python name under which click hands over a flag: ``set__KIND__KEY``."""
    return f"set__{kind.replace('-', '_')}__{key}"


def _key(parameter: str) -> str:
    """The settings key of a parameter: ``clusterer``, ``clusterer.k``, ``rounds``."""
    _, kind, key = parameter.split("__", 2)
    return ".".join(part for part in (kind.replace("_", "-"), key) if part)


def _flag(spec: OptionSpec, flag: str, kind: str, key: str) -> click.Option:
    default = f"  [default: {shown(spec.default)}]" if shown(spec.default) else ""
    # Values stay text here: flags and TOML are checked in one place, saidpo_core.options.
    return click.Option([flag, _parameter(kind, key)], metavar=spec.type_text, help=spec.help + default)


class RunCommand(click.Command):
    """A command whose flags depend on the components that are chosen."""

    kinds: Iterable[str] = KINDS
    defaults: Mapping[str, str] = MappingProxyType({})
    """Kind -> component, where this command's default is not the run's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = load_registry()
        self.add_component_flags(ctx.obj, args, completing=ctx.resilient_parsing)
        return super().parse_args(ctx, args)

    def add_component_flags(self, registry: Registry, args: Sequence[str], *, completing: bool) -> None:
        chosen = {**self.defaults, **_glance(args)}
        observers = names_in(chosen.pop("observers", ""), "--observers")
        if completing:  # a name that is still being typed chooses nothing yet
            names = {kind: [o.component.name for o in registry.of_kind(kind)] for kind in self.kinds}
            chosen = {kind: name for kind, name in chosen.items() if name in names.get(kind, ())}
        flags = [*self.own_options(), *kind_options(registry, self.kinds, self.defaults)]
        for kind in self.kinds:
            offer = registry.find(kind, chosen[kind], f"--{kind}") if kind in chosen else registry.default(kind)
            flags += component_options(offer)
        flags += self.observer_options(registry, observers, completing=completing)
        known = {param.name for param in self.params}
        self.params += list({flag.name: flag for flag in reversed(flags) if flag.name not in known}.values())[::-1]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Its flags; and where ``run`` was not said, the other commands."""
        commands = [CompletionItem(name) for name in ctx.meta[COMMANDS] if name.startswith(incomplete)]
        return [*commands, *super().shell_complete(ctx, incomplete)]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        say_broken(ctx.obj)
        super().format_help(ctx, formatter)

    def own_options(self) -> list[click.Option]:
        return own_options()

    def observer_options(self, registry: Registry, names: Sequence[str], *, completing: bool) -> list[click.Option]:
        known = registry.names("observer")
        return observer_options(registry, [name for name in names if name in known] if completing else names)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Three sections: the run, which components, and the options of the chosen ones."""
        sections: dict[str, list[tuple[str, str]]] = {
            "Run": [],
            "Components": [],
            "Options of the chosen components": [],
        }
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            name = param.name or ""
            key = _key(name) if name.startswith("set__") else ""
            of_component = "." in key or name.startswith("observe__")
            title = "Options of the chosen components" if of_component else "Components" if key in KINDS else "Run"
            sections[title].append(record)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=34)


class VerifyCommand(RunCommand):
    """A command about a verifier alone."""

    kinds = ("verifier",)

    def own_options(self) -> list[click.Option]:
        return []

    def observer_options(self, registry: Registry, names: Sequence[str], *, completing: bool) -> list[click.Option]:
        return []


class EvalCommand(RunCommand):
    """A command that measures one policy, by default with the evaluator ``benchmarks``."""

    kinds = ("generator", "verifier", "evaluator")
    defaults = MappingProxyType({"evaluator": EVALUATOR})

    def own_options(self) -> list[click.Option]:
        """The model, the prompt, and short names for what is asked for most."""
        prompt = next(option for option in own_options() if option.name == _parameter("", "prompt"))
        help = (
            "what to measure: a name of saidpo plugins, a Hugging Face folder, a hub name, or a finished run's folder"
        )
        model = click.Option(["--model", _parameter("", "model")], metavar="text", help=help)
        short = (
            (
                "benchmarks",
                "names",
                "text,...",
                "which, with commas, such as aime24,amc23; without it all files, or all",
            ),
            ("files", "files", "path", "folder with NAME.jsonl or NAME.parquet; what is not there comes from the hub"),
            (
                "samples",
                "samples",
                "integer",
                "responses a problem: 1 is greedy, more are averaged (avg@n)  [default: 1]",
            ),
        )
        aliases = [
            click.Option([f"--{flag}", f"--evaluator.{key}", _parameter("evaluator", key)], metavar=kind, help=help)
            for flag, key, kind, help in short
        ]
        return [model, prompt, *aliases]


def _glance(args: Sequence[str]) -> dict[str, str]:
    """Kind -> component name, and ``observers`` -> names, as flags or the file of ``--config`` say; flags win."""
    given: dict[str, str] = {}
    for i, arg in enumerate(args):
        flag, equals, value = arg.partition("=")
        if flag.startswith("--") and flag[2:] in (*KINDS, "observers", "config"):
            given[flag[2:]] = value if equals else (args[i + 1] if i + 1 < len(args) else "")
    from_file: dict[str, str] = {}
    if "config" in given:
        values, _ = read_toml(Path(given["config"]))
        from_file = {kind: str(values[kind]) for kind in KINDS if kind in values}
        if "observers" in values:
            from_file["observers"] = ",".join(names_in(values["observers"], f"--config={given['config']}: observers"))
    return {**from_file, **{kind: name for kind, name in given.items() if kind != "config"}}


def explain_unknown(error: click.NoSuchOption) -> str:
    """Why a flag is unknown: an option of another component, or a slip of the pen."""
    registry = error.ctx.obj if error.ctx is not None and error.ctx.obj else load_registry()
    name = error.option_name.lstrip("-")
    command = error.ctx.info_name if error.ctx is not None else "run"
    mine = [flag for p in error.ctx.command.params for flag in p.opts if flag.startswith("--")] if error.ctx else []
    if command == "compare":
        close = nearest(name, [flag.removeprefix("--") for flag in mine])
        return f"unknown option --{name} of compare.{close} Flags for the runs go after --"
    kind, dot, key = name.partition(".")
    if kind == "observers" and dot:
        observer = key.rpartition(".")[0]
        flags = [flag for flag in mine if flag.startswith(f"--observers.{observer}.")]
        if flags:
            return f"unknown option --{name}.{nearest(f'--{name}', flags)}"
        return f"--{name} is an option of --observers={observer}, which was not chosen"
    if dot and kind in KINDS:
        owners = [
            o
            for o in registry.of_kind(kind)
            if key.replace("-", "_") in {s.name for s in specs_of(o.component.options)}
        ]
        if owners:
            names = " or ".join(f"--{kind}={offer.component.name}" for offer in owners)
            return f"--{name} is an option of {names}, which was not chosen"
    own = [spec.name.replace("_", "-") for spec in specs_of(RunOptions)]
    others = ("observers", "config", "run-dir", "dry-run", *(name.replace("_", "-") for name in PLANNING))
    runs = command == "run"
    known = error.possibilities or ([f"--{flag}" for flag in (*own, *KINDS, *others)] if runs else mine)
    return f"unknown option --{name}{'' if runs else f' of {command}'}.{nearest(f'--{name}', known)}"


def chosen_observers(registry: Registry, config: Path | None, flags: dict[str, Any]) -> list[object]:
    """The observers that flags or the file ask for, built."""
    return observers_from(registry, *(read_toml(config) if config else ({}, {})), flags)


def settings_from(registry: Registry, config: Path | None, flags: dict[str, Any]) -> Settings:
    """Flag > TOML > the policy's advice > default.

    A flag that names another component than the file replaces it whole, with the options that the file gives it.
    """
    values, where = read_toml(config) if config else ({}, {})
    given = given_by(flags)
    places = {key: f"--{key if '.' in key else key.replace('_', '-')}" for key in given}
    return resolve(registry, over(values, given), {**where, **places})


def given_by(flags: dict[str, Any]) -> dict[str, Any]:
    """Settings key -> text, of the flags that were given."""
    return {_key(name): value for name, value in flags.items() if value is not None and name.startswith("set__")}


def options_from(registry: Registry, kind: str, flags: dict[str, Any]) -> tuple[Offer, Any]:
    """The component of one kind that the flags choose, and its options."""
    given = given_by(flags)
    offer = registry.find(kind, given[kind], f"--{kind}") if kind in given else registry.default(kind)
    values = {key.partition(".")[2]: value for key, value in given.items() if "." in key}
    return offer, build_options(offer.component.options, values, {key: f"--{kind}.{key}" for key in values})
