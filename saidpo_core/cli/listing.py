"""``saidpo plugins``: what is installed, from whom, and what could not be loaded."""

from __future__ import annotations

import os
from typing import Any

import click

from saidpo_core.hookspecs import KINDS, OFFERED
from saidpo_core.registry import Offer, Registry


def as_rows(registry: Registry) -> dict[str, Any]:
    """Components, policies and broken plug-ins as JSON can hold them."""
    components = [row_of(offer) for kind in KINDS for offer in registry.of_kind(kind)]
    observers = [row_of(offer) for kind in OFFERED if kind not in KINDS for offer in registry.of_kind(kind)]
    policies = [{"name": p.name, "default": p.default, "summary": p.summary} for p in registry.policies]
    broken = [{"plugin": str(item.owner), "problem": item.problem} for item in registry.broken]
    left_out = [str(owner) for owner in registry.left_out]
    tree = {"components": components, "observers": observers, "policies": policies}
    return {**tree, "broken": broken, "left_out": left_out}


def print_table(registry: Registry) -> None:
    """Plain text with aligned columns: quick, and fit for grep."""
    tree = as_rows(registry)
    rows = [
        (c["kind"], ("* " if c["default"] else "  ") + c["name"], f"{c['distribution']} {c['version']}", _told(c))
        for c in (*tree["components"], *tree["observers"])
    ]
    rows += [("policy", ("* " if p["default"] else "  ") + p["name"], "", p["summary"]) for p in tree["policies"]]
    head = ("kind", "  name", "from", "what it does")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(3)]
    last = ""
    click.echo("  ".join(item.ljust(width) for item, width in zip(head, (*widths, 0), strict=True)).rstrip())
    for row in rows:
        shown = ("" if row[0] == last else row[0], *row[1:])
        last = row[0]
        click.echo("  ".join(item.ljust(width) for item, width in zip(shown, (*widths, 0), strict=True)).rstrip())
    click.echo("\n* used by default. Choose another with --KIND=NAME; its options: saidpo --KIND=NAME --help.")
    click.echo("Observers are added by name: --observers=NAME,NAME")
    say_broken(registry)


def _told(component: dict[str, Any]) -> str:
    summary, missing = component["summary"], component["missing"]
    return f"{summary} (first pip install '{missing}')" if missing else f"{summary}"


def say_broken(registry: Registry) -> None:
    """One line on stderr for each plug-in that could not be loaded, and with SAIDPO_DEBUG where it went wrong."""
    for item in registry.broken:
        click.echo(f"could not be loaded: {item}", err=True)
        if item.trace and os.environ.get("SAIDPO_DEBUG"):
            click.echo(item.trace, err=True)
    for owner in registry.left_out:
        click.echo(f"left out by SAIDPO_WITHOUT: {owner}", err=True)


def say_broken_briefly(registry: Registry) -> None:
    if registry.broken:
        click.echo(f"could not be loaded: {registry.broken_packages()}; see saidpo plugins", err=True)


def row_of(offer: Offer) -> dict[str, Any]:
    return {
        "kind": offer.kind,
        "name": offer.component.name,
        "default": offer.default,
        "distribution": offer.owner.distribution,
        "version": offer.owner.version,
        "module": offer.owner.module,
        "summary": offer.component.summary,
        "source": offer.component.source,
        "domains": list(offer.component.domains),
        "missing": offer.missing,
    }
