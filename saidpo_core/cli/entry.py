"""The command line. Bare ``saidpo`` runs; nothing heavy is imported before it does."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

import saidpo_core
from saidpo_core import importing
from saidpo_core.cli.completion import COMMANDS, Kind, KindAndName
from saidpo_core.cli.flags import (
    EvalCommand,
    RunCommand,
    VerifyCommand,
    chosen_observers,
    explain_unknown,
    given_by,
    options_from,
    settings_from,
)
from saidpo_core.cli.listing import as_rows, print_table, say_broken_briefly
from saidpo_core.cli.plugin_commands import command_names, load_command
from saidpo_core.cli.studies import COMMANDS as STUDIES
from saidpo_core.errors import PluginError, SaidpoError
from saidpo_core.planning.flags import doctor_options, dry_run_options, planned
from saidpo_core.registry import Registry, load_registry


class DefaultsToRun(click.Group):
    """``saidpo --rounds 2`` means ``saidpo run --rounds 2``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[COMMANDS] = () if args else self.list_commands(ctx)  # for a shell that completes the first word
        if not args or (args[0].startswith("-") and args[0] != "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *command_names()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or load_command(cmd_name)


@click.group(cls=DefaultsToRun, invoke_without_command=False)
@click.version_option(saidpo_core.__version__, prog_name="saidpo")
def cli() -> None:
    """Train a reasoning model on the problems that it can learn from right now (SAI-DPO)."""


@cli.command(
    cls=RunCommand,
    epilog="Exit codes: 0 done, 1 the run failed, 2 wrong usage, 3 nothing to do. Other commands, each with --help: "
    "saidpo doctor, report, watch, plugins, eval, verify, check, new-plugin, compare, study, diff, replay, completion.",
)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="settings in TOML; flags win over it")
@click.option("--run-dir", type=click.Path(path_type=Path), metavar="DIR", help="its folder  [default: runs/NAME]")
@click.option("--quiet", is_flag=True, help="print the result only")
@dry_run_options
@click.pass_obj
def run(registry: Registry, /, config: Path | None, run_dir: Path | None, quiet: bool, **flags: Any) -> None:
    """Run SAI-DPO: probe, weigh, draw, explore, pair, train; repeat. Without options: the embedded policy and pool.

    Killed at any moment, the same command goes on where it was.
    """
    from saidpo_core.cli.screen import make_screen
    from saidpo_core.runner import default_path, start

    settings = settings_from(registry, config, flags)
    observers = chosen_observers(registry, config, flags)
    path = run_dir or default_path(settings, Path("runs"))
    if planned(flags.pop("dry_run"), registry, settings, config, path, flags):
        return
    if not quiet:
        say_broken_briefly(registry)
    screen = make_screen(quiet)
    with screen:
        screen.begin(settings, path)
        tree = start(settings, registry, path, [screen, *observers])
    screen.end(tree, path)


@cli.command(cls=RunCommand)
@doctor_options
@click.pass_obj
def doctor(registry: Registry, /, **flags: Any) -> None:
    """Say what this machine has, what will run, and what the run of the flags would take; 1 if no run works here."""
    from saidpo_core.doctor.command import doctor_of

    doctor_of(registry, flags)


@cli.command()
@click.argument("component", required=False, metavar="[KIND/NAME]", type=KindAndName())
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def plugins(component: str | None, as_json: bool) -> None:
    """List every component: kind, name, owner, summary; and the plug-ins that could not be loaded.

    With KIND/NAME, such as clusterer/kmeans: that one, with its options, its source and what it says of itself.
    """
    import json

    from saidpo_core.cli.description import as_tree, find_offer, print_offer

    registry = load_registry()
    offer = find_offer(registry, component) if component else None
    if as_json:
        click.echo(json.dumps(as_tree(offer) if offer else as_rows(registry), indent=1))
    elif offer:
        print_offer(offer)
    else:
        print_table(registry)


@cli.command("eval", cls=EvalCommand)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="the result and how it came, as JSON")
@click.option(
    "--responses",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="every response and its verdict, one JSON object a line; saidpo verify --in reads it",
)
@click.option(
    "--run-dir", type=click.Path(path_type=Path), metavar="DIR", help="where all is kept  [default: runs/eval-NAME]"
)
@click.option("--quiet", is_flag=True, help="print the table only")
@click.pass_obj
def evaluate(
    registry: Registry, /, out: Path | None, responses: Path | None, run_dir: Path | None, quiet: bool, **flags: Any
) -> None:
    """Measure a policy: saidpo eval --model MODEL --benchmarks aime24,amc23 --samples 32

    MODEL is what saidpo --model takes, or the folder of a finished run. Killed, the same command goes on.
    """
    from saidpo_core.cli.evaluate import evaluate_policy

    evaluate_policy(registry, given_by(flags), run_dir=run_dir, out=out, responses=responses, quiet=quiet)


@cli.command(cls=VerifyCommand)
@click.option("--in", "source", required=True, metavar="FILE", help="cases, one JSON object a line; -: standard input")
@click.option("--out", "target", required=True, metavar="FILE", help="verdicts, in order; -: standard output")
@click.pass_obj
def verify(registry: Registry, /, source: str, target: str, **flags: Any) -> None:
    """Judge a file of gold answers and responses: {"gold", "response"} a line, or {"tests", "program"} for code.

    Writes {"verdict", "extracted", "reason", "seconds"} a line; the verdict is right, wrong or unverifiable.
    """
    from saidpo_core.cli.verify_file import verify_file

    offer, options = options_from(registry, "verifier", flags)
    verify_file(offer, options, source, target)


@cli.command()
@click.argument("names", nargs=-1, type=KindAndName())
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("-v", "--verbose", is_flag=True, help="name every check, not only those that fail")
def check(names: tuple[str, ...], as_json: bool, verbose: bool) -> None:
    """Check that components keep the promises of their kind: all that is installed, or those of NAMES.

    A name is a package (saidpo-spectral), a kind (clusterer) or a component (clusterer/kmeans).
    """
    from saidpo_core.cli.check import check_components

    check_components(load_registry(), names, as_json=as_json, verbose=verbose)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands, flags and component names in your shell.

    For bash, once for all: saidpo completion bash >> ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "saidpo", "_SAIDPO_COMPLETE").source())


@cli.command()
@click.argument("name")
@click.option(
    "--kind", required=True, metavar="KIND", type=Kind(), help="clusterer, sampler, ... as saidpo plugins lists them"
)
@click.option(
    "--dir", "where", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="where  [default: .]"
)
def new_plugin(name: str, kind: str, where: Path) -> None:
    """Write a package NAME, such as saidpo-areas, with a component of one kind that works and one idea to change."""
    from saidpo_core.new_plugin import tell, write_package

    folder = write_package(load_registry(), name, kind, where)
    tell(folder, name, kind)


for _command in STUDIES:
    cli.add_command(_command)


def main() -> None:
    """Entry point: errors of users and of the run become one message and an exit code, never a traceback."""
    # Idle threads that spin steal the core from the others; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    importing.may_restart = True
    try:
        code = cli.main(prog_name="saidpo", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.NoSuchOption as error:
        _fail(explain_unknown(error), 2)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except SaidpoError as error:
        _fail(f"{error}{_where(error)}", error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted; the same command goes on where this one stopped", 130)
    except Exception as error:
        if os.environ.get("SAIDPO_DEBUG"):
            raise
        _fail(f"unexpected {type(error).__name__}: {error} (SAIDPO_DEBUG=1 shows where; please report it)", 1)


def _where(error: SaidpoError) -> str:
    """For the author of a plug-in: the traceback of its own error, or how to see it."""
    if not isinstance(error, PluginError) or error.__cause__ is None:
        return ""
    if not os.environ.get("SAIDPO_DEBUG"):
        return " (SAIDPO_DEBUG=1 shows where)"
    traceback.print_exception(error.__cause__)
    return ""


def _fail(message: str, code: int) -> None:
    click.echo(f"saidpo: {message}", err=True)
    sys.exit(code)
