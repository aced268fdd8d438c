"""``saidpo plugins KIND/NAME``: one component, its options, its source and what it says of itself."""

from __future__ import annotations

import inspect
import sys
from textwrap import fill, indent
from typing import Any

import click

from saidpo_core.cli.listing import row_of
from saidpo_core.errors import UsageError
from saidpo_core.hookspecs import OFFERED
from saidpo_core.kind_options import all_specs
from saidpo_core.options import OptionSpec, plain, shown
from saidpo_core.registry import Offer, Registry


def find_offer(registry: Registry, name: str) -> Offer:
    """The component called ``KIND/NAME`` or ``KIND/DISTRIBUTION/NAME``."""
    kind, slash, component = name.partition("/")
    if not slash or kind not in OFFERED:
        raise UsageError(f"{name}: expected KIND/NAME, such as clusterer/kmeans. Kinds: {', '.join(OFFERED)}")
    return registry.find(kind, component, name)


def as_tree(offer: Offer) -> dict[str, Any]:
    """One component with its options, as JSON can hold it."""
    return {**row_of(offer), "description": _description(offer), "options": list(map(_option, _specs(offer)))}


def print_offer(offer: Offer) -> None:
    """What a person wants to know of one component."""
    component = offer.component
    click.echo(f"{offer.kind} {component.name}: {component.summary}\n")
    facts = {
        "from": f"{offer.owner.distribution} {offer.owner.version} ({offer.owner.module})",
        "source": component.source,
        "use it": f"{offer.flag}={offer.name}" + ("  (the default)" if offer.default else ""),
    }
    if offer.missing:
        facts["first"] = f"pip install '{offer.missing}'"
    if component.domains:
        facts["domains"] = ", ".join(component.domains)
    for name, value in facts.items():
        click.echo(f"  {name:<8} {value}")
    click.echo("\noptions" if _specs(offer) else "\nno options")
    for spec in _specs(offer):
        default = shown(spec.default)
        flag = f"{offer.option_flag(spec.name)} {spec.type_text}"
        click.echo(f"  {flag}" + (f"  [default: {default}]" if default else ""))
        bounds = f" ({spec.bounds_text})" if spec.bounds_text else ""
        click.echo(fill(f"{spec.help}{bounds}", 100, initial_indent="      ", subsequent_indent="      "))
    if description := _description(offer):
        click.echo("\n" + indent(description, "  "))


def _specs(offer: Offer) -> list[OptionSpec]:
    return all_specs(offer.kind, offer.component.options)


def _option(spec: OptionSpec) -> dict[str, Any]:
    row = {"name": spec.name, "type": spec.type_text, "default": plain(spec.default), "help": spec.help}
    return {**row, "low": spec.low, "high": spec.high}


def _description(offer: Offer) -> str:
    """The text at the head of the file in which it is offered."""
    return inspect.getdoc(sys.modules.get(offer.owner.module.partition(":")[0])) or ""
