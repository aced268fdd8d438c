"""Completion in shells: component names, kinds, and flags in the form ``--clusterer=NAME``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from saidpo_core.hookspecs import KINDS
from saidpo_core.registry import load_registry

COMMANDS = "saidpo.commands"
"""Key in click's ``meta``: commands that could stand where the command line ends."""


class ComponentName(click.ParamType[str]):
    """The name of a component of one kind; completes in shells that were set up for it."""

    name = "name"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        offers = load_registry().of_kind(self.kind)
        items = [(offer.name, offer) for offer in offers]
        return [CompletionItem(n, help=o.component.summary) for n, o in items if n.startswith(incomplete)]


class KindAndName(click.ParamType[str]):
    """``clusterer/kmeans``; completes."""

    name = "kind/name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        offers = load_registry().offers
        items = [(f"{o.kind}/{o.name}", o) for o in offers]
        return [CompletionItem(n, help=o.component.summary) for n, o in items if n.startswith(incomplete)]


class Kind(click.ParamType[str]):
    """One of the kinds of component; completes. What is none is refused where it is used, with the nearest."""

    name = "kind"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


@add_completion_class
class BashWithEquals(BashComplete):
    """Bash hands over ``--clusterer=k`` as three words, since ``=`` breaks words there."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words: list[str] = []
        joining = False
        for word in (*args, incomplete):
            after, joining = joining, word == "="
            if words and (joining or after):
                words[-1] += word
            else:
                words.append(word)
        return words[:-1], words[-1]
