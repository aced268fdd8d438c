"""``--observers``: who is chosen, with which options, by flags and by a file."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Component, UsageError, hookimpl, option
from saidpo_core.observing import flat, names_in, observer_options, observers_from
from saidpo_core.registry import Registry, load_registry
from saidpo_core.settings import read_toml, resolve


@dataclass(frozen=True, kw_only=True)
class Options:
    project: str = option("saidpo", "where to")
    every: int = option(1, "how often", low=1)


class Watcher:
    def __init__(self, options: Options) -> None:
        self.options = options


@pytest.fixture
def registry() -> Iterator[Registry]:
    """The bundled plug-ins, and a module that offers two observers."""

    @hookimpl
    def saidpo_observers() -> list[Component[object]]:
        return [
            Component(name=name, summary="looks", build=Watcher, options=Options)
            for name in ("watcher", "late-watcher")
        ]

    module = types.ModuleType("observers_of_a_test")
    module.saidpo_observers = saidpo_observers  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        from importlib.metadata import entry_points

        ours = [entry for entry in entry_points(group="saidpo") if entry.dist and entry.dist.name == "saidpo"]
        yield load_registry([*ours, EntryPoint("x", module.__name__, "saidpo")])
    finally:
        del sys.modules[module.__name__]


def chosen(registry: Registry, toml: str, tmp_path: Path, **flags: Any) -> list[Any]:
    (tmp_path / "run.toml").write_text(toml)
    return observers_from(registry, *read_toml(tmp_path / "run.toml"), flags)


def test_none_is_chosen_unless_asked_for(registry: Registry, tmp_path: Path) -> None:
    assert chosen(registry, "rounds = 2", tmp_path) == []
    assert chosen(registry, "observers = ['watcher']", tmp_path, observe="") == []


@pytest.mark.parametrize("toml", ["observers = 'watcher, late-watcher'", "observers = ['watcher', 'late-watcher']"])
def test_a_file_names_them_as_text_or_list(registry: Registry, tmp_path: Path, toml: str) -> None:
    assert [built.options for built in chosen(registry, toml, tmp_path)] == [Options(), Options()]


def test_a_file_gives_each_its_options_and_flags_win(registry: Registry, tmp_path: Path) -> None:
    toml = "[observers.watcher]\nproject = 'mine'\nevery = 3\n[observers.late-watcher]\n"
    first, second = chosen(registry, toml, tmp_path, observe__0__every="5", observe__1__every=None)
    assert first.options == Options(project="mine", every=5)
    assert second.options == Options()
    (only,) = chosen(registry, toml, tmp_path, observe="late-watcher", observe__0__project="yours")
    assert only.options == Options(project="yours")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("observers = 'wacher'", r"run.toml: observers: unknown observer 'wacher'\. Did you mean unknown/watcher"),
        ("observers = 3", "expected names with commas between them, got 3"),
        ("[observers]\nwatcher = 1", r"expected names, or a table \[observers.NAME\]"),
        ("[observers.watcher]\nevery = 0", "run.toml: observers.watcher.every: must be >= 1"),
        ("[observers.watcher]\nevry = 2", r"run.toml: observers.watcher.evry: no such option\. Did you mean every"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(registry: Registry, tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(registry, toml, tmp_path)


def test_they_are_no_part_of_the_settings(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[observers.watcher]\nevery = 3\n")
    with_them = resolve(registry, *read_toml(tmp_path / "run.toml")).as_tree()
    assert with_them == resolve(registry, {}, {}).as_tree()


def test_names_are_read_once_each_and_flags_follow_them(registry: Registry) -> None:
    assert names_in(" a,b,,a ", "here") == ["a", "b"]
    flags = [flag for item in observer_options(registry, ["late-watcher"]) for flag in item.opts]
    assert flags == ["--observers", "--observers.late-watcher.project", "--observers.late-watcher.every"]
    assert flat(["a"], "here") == {"observers": ["a"]}
