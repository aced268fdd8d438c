"""What the doctor found, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import click

from saidpo_core.planning.show import gigabytes

_MARK = {True: "works", False: "no", None: "?"}


def show_doctor(facts: dict[str, Any], plan: Sequence[str]) -> None:
    machine = facts["machine"]
    _title("This machine")
    click.echo(f"  {machine['system']}, Python {machine['python']}")
    memory, free = gigabytes(machine["memory_bytes"]), gigabytes(machine["memory_available_bytes"])
    click.echo(f"  {machine['cores']} cores, {memory} memory ({free} available), "
               f"{gigabytes(machine['disk_free_bytes'])} of disk free"
               + _shared(machine["shared_memory_bytes"]))  # fmt: skip
    for number, card in enumerate(machine["devices"]):
        click.echo(f"  device {number}: {card['name']}, {gigabytes(card['memory_bytes'])}, compute capability "
                   f"{card['capability']}, driver {card['driver']}")  # fmt: skip
    if not machine["devices"]:
        click.echo("  no CUDA device")
    _title("Packages")
    _wrapped(", ".join(f"{name} {version}" for name, version in facts["packages"].items()))
    for name, told in facts["imports"].items():
        if told["state"] == "broken":
            click.echo(f"  {name} is broken: {told['problem']}")
    torch = facts["imports"].get("torch", {})
    if "cuda_build" in torch:
        build = f"CUDA {torch['cuda_build']}" if torch["cuda_build"] else "no CUDA"
        click.echo(f"  torch is built for {build} and sees {torch['cuda_devices']} devices")
    late = [name for name, told in facts["imports"].items() if told["state"] == "not tried in time"]
    if late:
        click.echo(f"  not imported in time (--full waits): {', '.join(late)}")
    _title("Extras")
    there = [row["name"] for row in facts["extras"] if not row["missing"]]
    click.echo(f"  installed: {', '.join(there) or 'none'}")
    for row in facts["extras"]:
        if row["missing"]:
            click.echo(f"  {row['name']:<14} lacks {', '.join(row['missing'])}: {row['install']}")
    _title("Components that need something")
    for row in facts["components"]:
        _wrapped(
            f"{_MARK[row['works']]:<6} {row['kind']}/{row['name']}: {row['says'] or 'its package imports'}", "         "
        )
    for item in facts["broken_plugins"]:
        _wrapped(f"no     {item}", "         ")
    if facts["advice"]:
        _title("Advice")
        for item in facts["advice"]:
            _wrapped(f"- {item}", "    ")
    _title("What this run would take (saidpo doctor takes the flags of a run)")
    for line in plan or [f"no estimate: {facts['plan_problem']}"]:
        click.echo(f"  {line}".rstrip())
    for problem in (facts["plan"] or {}).get("problems", ()):
        _wrapped(f"would not run: {problem}")
    run = facts["default_run"]
    click.echo("\nThe default run works here: saidpo" if run["works"] else "\nThe default run cannot work here:")
    for problem in run["problems"]:
        _wrapped(problem)


def _title(text: str) -> None:
    click.echo(f"\n{text}")


def _shared(amount: float | None) -> str:
    return "" if amount is None else f", /dev/shm of {gigabytes(amount)}"


def _wrapped(text: str, further: str = "  ") -> None:
    click.echo(fill(text, 110, initial_indent="  ", subsequent_indent=further, break_on_hyphens=False))
