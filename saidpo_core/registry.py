"""All that plug-ins offer, by kind and name, and the plug-ins that cannot be used, with the reason.

One broken package must not take the others with it, and a stranger's ``kmeans`` must not silently replace ours, so
this is not pluggy's own loader: ours come first; each stranger's is imported under a deadline (see
``saidpo_core.importing``), its hooks are checked against the specs at once, and what is wrong with it is kept to be
named by ``saidpo --help``, by ``saidpo plugins`` and in every run.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from saidpo_core import hookspecs
from saidpo_core.components import Component
from saidpo_core.discovery import Owner, installed, left_out, owned
from saidpo_core.errors import MissingExtra, UsageError, first_line
from saidpo_core.hookspecs import OFFERED
from saidpo_core.importing import Guard, Misbehaved, allowed_seconds, call, forget, overdue, stuck_distributions
from saidpo_core.kind_options import taken_names
from saidpo_core.options import nearest, options_problem
from saidpo_core.records import Policy

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Offer:
    """A component and who offers it."""

    kind: str
    component: Component[Any]
    owner: Owner

    @property
    def bundled(self) -> bool:
        return self.owner.bundled

    @property
    def default(self) -> bool:
        return self.bundled and self.component.default

    @property
    def qualified(self) -> str:
        return f"{self.owner.distribution}/{self.component.name}"

    @property
    def name(self) -> str:
        """What a user calls it: its bare name if it is ours."""
        return self.component.name if self.bundled else self.qualified

    @property
    def flag(self) -> str:
        """The flag by which it is chosen."""
        return "--observers" if self.kind == "observer" else f"--{self.kind}"

    def option_flag(self, option: str) -> str:
        """The flag of one of its options. Observers stand side by side, so theirs name the observer."""
        return f"{self.flag}.{self.name}.{option}" if self.kind == "observer" else f"{self.flag}.{option}"

    @property
    def missing(self) -> str:
        """What to install before it can work, as ``saidpo[hdbscan]``; empty if nothing is missing."""
        needs = self.component.needs
        return f"{self.owner.distribution}[{self.component.extra}]" if needs and find_spec(needs) is None else ""

    def require_package(self) -> None:
        """Raise ``MissingExtra`` if the optional package that it needs is not installed."""
        if self.missing:
            component = self.component
            raise MissingExtra(f"{self.flag}={self.name}", component.needs, component.extra, self.owner.distribution)

    def __str__(self) -> str:
        return f"{self.kind} {self.component.name} of {self.owner.package}"


@dataclass(frozen=True)
class Broken:
    """A plug-in that could not be used, and why."""

    owner: Owner
    problem: str
    trace: str = field(default="", repr=False, compare=False)
    """Where in its code, for its author; SAIDPO_DEBUG=1 shows it."""

    def __str__(self) -> str:
        return f"{self.owner}: {self.problem}"


@dataclass
class Registry:
    """All components of all working plug-ins, and the plug-ins that do not work."""

    manager: pluggy.PluginManager
    offers: list[Offer] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    left_out: list[Owner] = field(default_factory=list)
    """Those that SAIDPO_WITHOUT names."""

    def of_kind(self, kind: str) -> list[Offer]:
        return [offer for offer in self.offers if offer.kind == kind]

    def names(self, kind: str) -> list[str]:
        """Of all components of a kind, as they have to be said: bare if that means them, else with the owner."""
        offers = self.of_kind(kind)
        count = Counter(offer.component.name for offer in offers)
        bare = [offer.bundled or count[offer.component.name] == 1 for offer in offers]
        return [offer.component.name if b else offer.qualified for offer, b in zip(offers, bare, strict=True)]

    def default(self, kind: str) -> Offer:
        """The bundled component that is used when the user names none."""
        for offer in self.of_kind(kind):
            if offer.default:
                return offer
        raise UsageError(f"no bundled {kind} could be loaded; is saidpo installed whole? See: saidpo plugins")

    def find(self, kind: str, name: str, where: str) -> Offer:
        """The component called ``name``, or ``distribution/name``; a bare name prefers the bundled one."""
        offers = self.of_kind(kind)
        found = [offer for offer in offers if name in (offer.component.name, offer.qualified)]
        found = [offer for offer in found if offer.bundled] or found
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(offer.qualified for offer in found)
            raise UsageError(f"{where}: several packages offer the {kind} {name!r}; say which one: {several}")
        names = [offer.name for offer in offers]
        raise UsageError(f"{where}: unknown {kind} {name!r}.{nearest(name, names)}{self._broken_hint()}")

    def verifier_for(self, domain: str, preferred: Offer) -> Offer:
        """The verifier of a domain: the chosen one if it can, else a bundled one that can."""
        offers = [preferred, *(offer for offer in self.of_kind("verifier") if offer.bundled)]
        for offer in offers:
            if domain in offer.component.domains:
                return offer
        known = sorted({name for offer in self.of_kind("verifier") for name in offer.component.domains})
        raise UsageError(f"no verifier for the domain {domain!r}.{nearest(domain, known)}{self._broken_hint()}")

    def broken_packages(self) -> str:
        """Their names and versions, at most five of them; empty if all is well."""
        names = list(dict.fromkeys(item.owner.package for item in self.broken))
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

    def _broken_hint(self) -> str:
        hints = [f"could not be loaded: {self.broken_packages()}; see saidpo plugins"] if self.broken else []
        if self.left_out:
            hints.append(f"left out by SAIDPO_WITHOUT: {', '.join(owner.distribution for owner in self.left_out)}")
        return f" ({'; '.join(hints)})" if hints else ""

    def note(self, owner: Owner, problem: str, error: BaseException | None = None) -> None:
        trace = "".join(traceback.format_exception(error)) if error else ""
        self.broken.append(Broken(owner, problem, trace))


def load_registry(found: Iterable[EntryPoint] | None = None) -> Registry:
    """Import all plug-ins and collect what they offer. Takes some 30 ms with the bundled ones."""
    manager = _PluginManager("saidpo")
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager)
    plugins = owned(installed(registry.note) if found is None else found)
    strangers = []
    for owner, entry in plugins:
        if owner.bundled:
            _load(registry, owner, entry, call)
        elif left_out(owner):
            registry.left_out.append(owner)
        elif owner.distribution in stuck_distributions():
            problem = overdue(owner.distribution, "importing", allowed_seconds(), "nothing could interrupt it")
            registry.note(owner, problem)
        else:
            strangers.append((owner, entry))
    if strangers:
        with Guard(allowed_seconds()) as guard:
            for owner, entry in strangers:
                _load(registry, owner, entry, guard.call)
    return registry


class _PluginManager(pluggy.PluginManager):
    """Looks for hooks among the marked functions of a module alone; pluggy looks into everything that it imports."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if isinstance(plugin, ModuleType) and not hasattr(vars(plugin).get(name), "saidpo_impl"):
            return None
        return super().parse_hookimpl_opts(plugin, name)


_Ask = Callable[[Owner, str, Callable[[], Any]], Any]
"""Runs code of an owner, as ``importing.call`` does."""


def _load(registry: Registry, owner: Owner, entry: EntryPoint, ask: _Ask) -> None:
    before = set(sys.modules)
    try:
        plugin = ask(owner, "importing", entry.load)
    except Misbehaved as error:
        forget(owner, before)
        registry.note(owner, str(error), error.__cause__)
        return
    hooks, problem = _register(registry.manager, owner, plugin)
    if problem:
        registry.note(owner, problem)
        return
    for kind, hook in OFFERED.items():
        for item in _offered(registry, owner, hooks, hook, partial(_component_problem, kind=kind), ask):
            if _taken(registry, kind, item.name, owner):
                registry.note(owner, f"{hook}: {owner.distribution} offers another {kind} of the name {item.name!r}")
            else:
                registry.offers.append(Offer(kind, item, owner))
    for item in _offered(registry, owner, hooks, "saidpo_policies", _policy_problem, ask):
        # Ours is found before a stranger's of the same name.
        registry.policies.append(item if owner.bundled else replace(item, default=False))


_Hooks = dict[str, Callable[[], Any]]


def _register(manager: pluggy.PluginManager, owner: Owner, plugin: Any) -> tuple[_Hooks, str]:
    """The hooks that this plug-in implements; or what is wrong with one of them, and then it is not registered."""
    try:
        manager.register(plugin, name=str(owner))
    except pluggy.PluginValidationError as error:  # its first line says whose it is, which we say ourselves
        return {}, "; ".join(str(error).splitlines()[1:])
    except ValueError as error:  # one module under two names
        return {}, first_line(error)
    known = [name for name in vars(hookspecs) if name.startswith("saidpo_")]
    hooks = {}
    for caller in manager.get_hookcallers(plugin) or []:
        if not caller.has_spec():
            manager.unregister(plugin)
            return {}, f"there is no hook {caller.name!r}.{nearest(caller.name, known)}"
        hooks[caller.name] = next(impl.function for impl in caller.get_hookimpls() if impl.plugin is plugin)
    return hooks, ""


def _offered(
    registry: Registry, owner: Owner, hooks: _Hooks, hook: str, problem_of: Callable[[Any], str], ask: _Ask
) -> list[Any]:
    """What this plug-in's hook returns, if it can be used; the rest is noted, and so is an error in the hook."""
    if hook not in hooks:
        return []

    def judged() -> list[tuple[Any, str]]:
        returned = hooks[hook]()
        if not isinstance(returned, list | tuple):
            raise TypeError(f"expected a list, got {type(returned).__name__}")
        return [(item, problem_of(item)) for item in returned]

    try:
        found = ask(owner, "busy", judged)
    except Misbehaved as error:
        registry.note(owner, f"{hook}: {error}", error.__cause__)
        return []
    for _, problem in found:
        if problem:
            registry.note(owner, f"{hook}: {problem}")
    return [item for item, problem in found if not problem]


def _component_problem(item: Any, kind: str) -> str:
    if not isinstance(item, Component):
        return f"expected Component objects, got {type(item).__name__}"
    if not isinstance(item.name, str) or not _NAME.fullmatch(item.name):
        return f"the name {item.name!r} of a {kind} must be lower-case letters, digits and dashes"
    for name in ("summary", "source"):
        if not _is_line(getattr(item, name)):
            return f"the {name} of {item.name!r} must be one line of text, got {getattr(item, name)!r:.80}"
    problem = options_problem(item.options)
    if problem:
        return f"the options of {item.name!r} {problem}"
    if taken := taken_names(kind, item.options):
        return f"the options of {item.name!r} must not have {taken[0]!r}: every {kind} has an option of that name"
    if not callable(item.build):
        return f"the build of {item.name!r} must be a class or a function, got {item.build!r:.80}"
    if not (isinstance(item.domains, tuple) and all(isinstance(domain, str) for domain in item.domains)):
        return f"the domains of {item.name!r} must be a tuple of texts, got {item.domains!r:.80}"
    return ""


def _policy_problem(item: Any) -> str:
    if not isinstance(item, Policy):
        return f"expected Policy objects, got {type(item).__name__}"
    if not (_is_line(item.name) and item.name and _is_line(item.summary)):
        return f"name and summary must each be one line of text, got {item.name!r:.80} and {item.summary!r:.80}"
    if not isinstance(item.folder, Path):
        return f"the folder of {item.name!r} must be a Path, got {item.folder!r:.80}"
    if not (isinstance(item.settings, Mapping) and all(isinstance(key, str) for key in item.settings)):
        return f"the settings of {item.name!r} must be a mapping of keys as in a TOML file"
    return ""


def _is_line(text: Any) -> bool:
    return isinstance(text, str) and len(text.splitlines()) <= 1


def _taken(registry: Registry, kind: str, name: str, owner: Owner) -> bool:
    mine = (offer for offer in registry.of_kind(kind) if offer.owner.distribution == owner.distribution)
    return any(offer.component.name == name for offer in mine)
