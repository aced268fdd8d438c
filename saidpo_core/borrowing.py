"""A language model for a component that needs one of its own, by any generator plug-in.

Kinds of plug-in do not import each other; what a tagger needs of a generator goes through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saidpo_core.components import Engine, Generator
from saidpo_core.contracts import blame
from saidpo_core.engines import loaded
from saidpo_core.errors import UsageError
from saidpo_core.models import locate_model
from saidpo_core.options import build_options
from saidpo_core.records import Prompt
from saidpo_core.registry import load_registry


@contextmanager
def borrowed_engine(model: str, generator: str, options: Sequence[str], *, flag: str) -> Iterator[Engine]:
    """``model`` (a named policy, a folder, a name on the hub), loaded by the generator of this name with ``options``.

    ``options`` are written ``KEY=VALUE``. ``flag`` (``--tagger``) is named in errors: its ``.model``, ``.generator``
    and ``.generator_options``. What the engine answers is checked; it is unloaded when the context ends.
    """
    folder = located(model, flag=flag)
    registry = load_registry()
    offer = registry.find("generator", generator, f"{flag}.generator")
    offer.require_package()
    component = _built(offer.component.options, options, f"{flag}.generator_options", offer)
    with blame(offer, "check"):
        component.check(folder)
    with loaded(offer, component, folder, Prompt()) as engine:
        yield engine


def located(model: str, *, flag: str) -> Path:
    """The folder of a model that is named as for ``--model``."""
    policies = load_registry().policies
    policy = next((p for p in policies if p.name == model), None)
    try:
        return locate_model(model, policy, [p.name for p in policies])
    except UsageError as error:
        raise UsageError(str(error).replace("--model=", f"{flag}.model=", 1)) from error


def _built(kind: type, options: Sequence[str], where: str, offer: Any) -> Generator:
    given: dict[str, str] = {}
    for item in options:
        key, sign, value = item.partition("=")
        if not sign:
            raise UsageError(f"{where}: expected KEY=VALUE, got {item!r}")
        given[key.strip().replace("-", "_")] = value.strip()
    built = build_options(kind, given, {key: f"{where}: {key}" for key in given})
    with blame(offer, "build"):
        component: Generator = offer.component.build(built)
    return component
