"""``saidpo check``: which components, and how what came of their checks is told."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import click

from saidpo_core.conformance import Result, checks_of, run_checks
from saidpo_core.errors import SaidpoError, UsageError
from saidpo_core.hookspecs import OFFERED
from saidpo_core.options import nearest
from saidpo_core.registry import Offer, Registry


def check_components(registry: Registry, names: Sequence[str], *, as_json: bool, verbose: bool) -> None:
    """Check the components called ``names`` (all, if there are none). Raises ``SaidpoError`` if one keeps not all of
    its promises, or if a plug-in that was meant could not even be loaded."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # those of libraries would come between the lines
    offers = choose(registry, names)
    broken = [item for item in registry.broken if not names or item.owner.distribution in names]
    failed = 0
    results: list[Result] = []
    for offer, found in _run(offers, registry):
        results += found
        bad = [item for item in found if item.status == "failed"]
        failed += bool(bad)
        if not as_json:
            _tell(offer, found, verbose)
    for item in broken:
        click.echo(f"could not be loaded: {item}", err=True)
    if as_json:
        click.echo(json.dumps({"results": [_row(item) for item in results]}, indent=1))
    else:
        _tell_all(results)
    if failed or broken:
        parts = [f"{failed} of {len(offers)} components break a promise" if failed else ""]
        parts += [f"{len(broken)} plug-in(s) could not be loaded" if broken else ""]
        raise SaidpoError("; ".join(part for part in parts if part))


def choose(registry: Registry, names: Sequence[str]) -> list[Offer]:
    """Components by distribution (``saidpo-spectral``), kind, name (``kmeans``), or both (``clusterer/kmeans``)."""
    offers = [offer for kind in OFFERED for offer in registry.of_kind(kind)]
    if not names:
        return offers
    chosen: list[Offer] = []
    for name in names:
        found = [offer for offer in offers if name in names_of(offer)]
        if not found and all(item.owner.distribution != name for item in registry.broken):
            known = sorted({known for offer in offers for known in names_of(offer)})
            raise UsageError(
                f"no package, kind or component is called {name!r}.{nearest(name, known, listed=False)} "
                "Say a package, a kind, or kind/name as saidpo plugins lists them"
            )
        chosen += [offer for offer in found if offer not in chosen]
    return chosen


def names_of(offer: Offer) -> tuple[str, ...]:
    """What a person may call it: package, kind, name, kind/name, package/name, kind/package/name."""
    name, kind = offer.component.name, offer.kind
    return (offer.owner.distribution, kind, name, f"{kind}/{name}", offer.qualified, f"{kind}/{offer.qualified}")


def _run(offers: Sequence[Offer], registry: Registry) -> Iterator[tuple[Offer, list[Result]]]:
    """The results of each component in turn, with a progress line on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    total = sum(len(checks_of(offer.kind)) for offer in offers)
    with Progress(console=console, transient=True, disable=not (console.is_terminal and sys.stdout.isatty())) as bar:
        task = bar.add_task("checking", total=total)
        for offer in offers:
            bar.update(task, description=f"{offer.kind} {offer.component.name}")
            found = []
            for result in run_checks(offer, registry):
                found.append(result)
                bar.advance(task)
            yield offer, found


def _tell(offer: Offer, found: Sequence[Result], verbose: bool) -> None:
    """One line a component; below it what failed and, with ``verbose``, every check."""
    counts = Counter(item.status for item in found)
    name = offer.name
    seconds = sum(item.seconds for item in found)
    told = ", ".join(
        f"{counts[status]} {status}" for status in ("passed", "failed", "skipped", "missing") if counts[status]
    )
    click.echo(f"{offer.kind:<13} {name:<24} {told}  ({seconds:.1f} s)")
    for message in dict.fromkeys(item.message for item in found if item.status == "missing"):
        click.echo(f"    not checked: {message}")
    for message in dict.fromkeys(item.message for item in found if item.status == "failed"):
        _tell_failure([item for item in found if item.status == "failed" and item.message == message])
    for item in found if verbose else ():
        if item.status in ("passed", "skipped"):
            reason = f": {item.message}" if item.message else ""
            click.echo(f"    {item.status} {item.check.name}{reason}")


def _tell_failure(same: Sequence[Result]) -> None:
    """Checks that failed for one and the same reason: the first with its promise, the others by name."""
    first, *others = same
    click.echo(f"    FAILED {first.check.name}: {first.message}\n           promised: {first.check.promise}")
    if others:
        click.echo(f"           and so failed {', '.join(item.check.name for item in others)}")


def _tell_all(results: Sequence[Result]) -> None:
    by_component = [list(items) for _, items in groupby(results, key=lambda item: item.offer)]
    counts = Counter(item.status for item in results)
    good = sum(1 for items in by_component if all(item.status in ("passed", "skipped") for item in items))
    missing = sum(1 for items in by_component if any(item.status == "missing" for item in items))
    click.echo(
        f"\n{good} of {len(by_component)} components keep every promise that was checked: "
        f"{counts['passed']} checks passed, {counts['failed']} failed, {counts['skipped']} skipped"
        + (f"; {missing} not checked for want of a package" if missing else "")
    )


def _row(item: Result) -> dict[str, Any]:
    return {
        "kind": item.offer.kind,
        "name": item.offer.component.name,
        "distribution": item.offer.owner.distribution,
        "version": item.offer.owner.version,
        "check": item.check.name,
        "promise": item.check.promise,
        "status": item.status,
        "message": item.message,
        "seconds": round(item.seconds, 3),
    }
