"""Finding plug-ins: every entry point of the group ``saidpo``, each on its own, attributed to its distribution.

One broken package must not take the others with it, and a stranger's ``kmeans`` must not silently replace ours, so
this is not pluggy's own loader: each entry point is imported in its own try block, its hooks are checked against the
specs at once, and what is wrong with it is kept to be shown by ``saidpo plugins``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from saidpo_core import hookspecs
from saidpo_core.components import Component
from saidpo_core.errors import UsageError
from saidpo_core.hookspecs import KINDS
from saidpo_core.options import nearest
from saidpo_core.records import Policy

BUNDLED = "saidpo"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Owner:
    """Who offers something: distribution, version, module."""

    distribution: str
    version: str
    module: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.module})"


@dataclass(frozen=True)
class Offer:
    """A component and who offers it."""

    kind: str
    component: Component[Any]
    owner: Owner

    @property
    def bundled(self) -> bool:
        return self.owner.distribution == BUNDLED

    @property
    def default(self) -> bool:
        return self.bundled and self.component.default

    @property
    def qualified(self) -> str:
        return f"{self.owner.distribution}/{self.component.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.component.name} of {self.owner.distribution} {self.owner.version}"


@dataclass(frozen=True)
class Broken:
    """A plug-in that could not be used, and why."""

    owner: Owner
    problem: str

    def __str__(self) -> str:
        return f"{self.owner}: {self.problem}"


@dataclass
class Registry:
    """All components of all working plug-ins, and the plug-ins that do not work."""

    manager: pluggy.PluginManager
    offers: list[Offer] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Offer]:
        return [offer for offer in self.offers if offer.kind == kind]

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
        names = [offer.component.name if offer.bundled else offer.qualified for offer in offers]
        raise UsageError(f"{where}: unknown {kind} {name!r}.{nearest(name, names)}{self._broken_hint()}")

    def verifier_for(self, domain: str, preferred: Offer) -> Offer:
        """The verifier of a domain: the chosen one if it can, else a bundled one that can."""
        offers = [preferred, *(offer for offer in self.of_kind("verifier") if offer.bundled)]
        for offer in offers:
            if domain in offer.component.domains:
                return offer
        known = sorted({name for offer in self.of_kind("verifier") for name in offer.component.domains})
        raise UsageError(f"no verifier for the domain {domain!r}.{nearest(domain, known)}{self._broken_hint()}")

    def _broken_hint(self) -> str:
        if not self.broken:
            return ""
        return f" ({len(self.broken)} plug-in(s) could not be loaded: see saidpo plugins)"


def load_registry(found: Iterable[EntryPoint] | None = None) -> Registry:
    """Import all plug-ins and collect what they offer. Takes some 30 ms with the bundled ones."""
    manager = pluggy.PluginManager("saidpo")
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager)
    for entry in entry_points(group="saidpo") if found is None else found:
        _load(registry, entry)
    return registry


def _load(registry: Registry, entry: EntryPoint) -> None:
    distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "?")
    owner = Owner(distribution, version, entry.value)
    try:
        plugin = entry.load()
        registry.manager.register(plugin, name=str(owner))
    except (Exception, SystemExit) as error:  # a script that was named by mistake may exit
        registry.broken.append(Broken(owner, _first_line(error)))
        return
    problem = _unknown_hook(registry.manager, plugin)
    if problem:
        registry.manager.unregister(plugin)
        registry.broken.append(Broken(owner, problem))
        return
    for kind, hook in KINDS.items():
        for item in _offered(registry, owner, plugin, hook):
            problem = _component_problem(item, kind) or _taken(registry, kind, item.name, distribution)
            if problem:
                registry.broken.append(Broken(owner, f"{hook}: {problem}"))
            else:
                registry.offers.append(Offer(kind, item, owner))
    for item in _offered(registry, owner, plugin, "saidpo_policies"):
        if not isinstance(item, Policy):
            problem = f"expected Policy objects, got {type(item).__name__}"
            registry.broken.append(Broken(owner, f"saidpo_policies: {problem}"))
        elif distribution == BUNDLED:
            registry.policies.insert(0, item)  # found before a stranger's of the same name
        else:
            registry.policies.append(replace(item, default=False))


def _offered(registry: Registry, owner: Owner, plugin: Any, hook: str) -> list[Any]:
    """What this one plug-in's hook returns; an error in it is noted and gives nothing."""
    function: Callable[[], Any] | None = next(
        (impl.function for impl in getattr(registry.manager.hook, hook).get_hookimpls() if impl.plugin is plugin), None
    )
    if function is None:
        return []
    try:
        return list(function())
    except Exception as error:
        registry.broken.append(Broken(owner, f"{hook}: {_first_line(error)}"))
        return []


def _unknown_hook(manager: pluggy.PluginManager, plugin: Any) -> str:
    known = [name for name in vars(hookspecs) if name.startswith("saidpo_")]
    for caller in manager.get_hookcallers(plugin) or []:
        if not caller.has_spec():
            return f"there is no hook {caller.name!r}.{nearest(caller.name, known)}"
    return ""


def _component_problem(item: Any, kind: str) -> str:
    if not isinstance(item, Component):
        return f"expected Component objects, got {type(item).__name__}"
    if not isinstance(item.name, str) or not _NAME.fullmatch(item.name):
        return f"the name {item.name!r} of a {kind} must be lower-case letters, digits and dashes"
    if not (isinstance(item.options, type) and is_dataclass(item.options)):
        return f"the options of {item.name!r} must be a dataclass"
    required = [f.name for f in fields(item.options) if f.default is MISSING and f.default_factory is MISSING]
    if required:
        return f"the option {required[0]!r} of {item.name!r} needs a default; make it with saidpo_core.option"
    return ""


def _taken(registry: Registry, kind: str, name: str, distribution: str) -> str:
    mine = (offer for offer in registry.of_kind(kind) if offer.owner.distribution == distribution)
    taken = any(offer.component.name == name for offer in mine)
    return f"{distribution} offers another {kind} of the name {name!r}" if taken else ""


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
