"""Which plug-ins are installed: the entry points of the group ``saidpo``, each with its owner. Nothing is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points

from saidpo_core.errors import first_line

BUNDLED = "saidpo"


@dataclass(frozen=True)
class Owner:
    """Who offers something: distribution, version, module."""

    distribution: str
    version: str
    module: str

    @property
    def bundled(self) -> bool:
        return self.distribution == BUNDLED

    @property
    def package(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"{self.package} ({self.module})"


def installed(unreadable: Callable[[Owner, str], None]) -> list[EntryPoint]:
    """All entry points of the group; ``unreadable`` is told of packages whose list of them is not one."""
    try:
        return list(entry_points(group="saidpo"))
    except Exception:  # it is all or nothing, so one package after the other
        pass
    found: dict[str, list[EntryPoint]] = {}
    for distribution in distributions():
        name, version = _name_and_version(distribution)
        if _normal(name) in found:  # one further down the path is hidden
            continue
        try:
            found[_normal(name)] = list(distribution.entry_points.select(group="saidpo"))
        except Exception as error:
            found[_normal(name)] = []
            unreadable(Owner(name, version, "entry_points.txt"), f"cannot be read: {first_line(error)}")
    return [entry for entries in found.values() for entry in entries]


def owned(entries: Iterable[EntryPoint]) -> list[tuple[Owner, EntryPoint]]:
    """Each with its owner; the bundled ones first."""
    known: dict[int, tuple[str, str]] = {}
    found = []
    for entry in entries:
        key = id(entry.dist)
        if key not in known:
            known[key] = _name_and_version(entry.dist) if entry.dist else ("unknown", "?")
        found.append((Owner(*known[key], entry.value), entry))
    return sorted(found, key=lambda item: not item[0].bundled)


def left_out(owner: Owner) -> bool:
    """Whether ``SAIDPO_WITHOUT=dist1,dist2`` names it. Ours cannot be left out."""
    names = os.environ.get("SAIDPO_WITHOUT", "").split(",")
    return not owner.bundled and _normal(owner.distribution) in map(_normal, names)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    """From the head of its METADATA: importlib parses all of it as an email, twice, which 200 packages would feel."""
    head = (distribution.read_text("METADATA") or "").partition("\n\n")[0]
    found = dict(re.findall(r"^(Name|Version): *(\S+)", head, re.MULTILINE))
    if len(found) < 2:  # an egg-info folder, or nothing that can be read
        metadata = distribution.metadata
        found = {key: metadata[key] for key in ("Name", "Version") if metadata and key in metadata}
    return found.get("Name", "unknown"), found.get("Version", "?")
