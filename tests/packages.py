"""Packages as other people install them, written for a test: a module and its metadata, found through a path."""

from __future__ import annotations

from pathlib import Path

HEAD = """\
from dataclasses import dataclass

from saidpo_core import Component, NoOptions, hookimpl, option
"""

LIGHT = '''\
"""A clusterer as light as they come: options, a class, a hook."""

from dataclasses import dataclass

from saidpo_core import Clusterer, Component, hookimpl, option


@dataclass(frozen=True, kw_only=True)
class LightOptions:
    k: int = option(8, "clusters", low=1)


class Light:
    def __init__(self, options: LightOptions) -> None:
        self.options = options

    def cluster(self, embeddings, tags, rng):
        import numpy as np

        return np.unique(rng.integers(self.options.k, size=len(tags)), return_inverse=True)[1]


@hookimpl
def saidpo_clusterers() -> list[Component[Clusterer]]:
    return [Component(name="{name}", summary="random areas", options=LightOptions, build=Light)]
'''


def write_package(folder: Path, name: str, source: str, version: str = "1.0") -> None:
    """Distribution ``name`` with the one module ``source``, in ``folder``, replacing an older one."""
    module = name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: for a test\n")
    (info / "entry_points.txt").write_text(f"[saidpo]\n{name} = {module}\n")


def write_light_packages(folder: Path, count: int) -> None:
    for number in range(count):
        name = f"light-{number:03}"
        write_package(folder, name, LIGHT.replace("{name}", name))
