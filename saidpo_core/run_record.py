"""``run.toml``: the settings of a run and what else it depends on; a run goes on only with the same ones."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import saidpo_core
from saidpo_core.codecs import read_json
from saidpo_core.errors import UsageError, readable
from saidpo_core.events import OBSERVERS_FOLDER
from saidpo_core.kind_options import all_specs
from saidpo_core.options import plain, specs_of
from saidpo_core.run_dir import write_atomically
from saidpo_core.settings import RunOptions, Settings, differences

_PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "numpy",
    "scikit-learn",
    "sentence-transformers",
    "math-verify",
)
_HEAD = "# The settings of this run; the same run again: saidpo --config THIS_FILE --run-dir ANOTHER\n"


def agree(settings: Settings, model: Path, path: Path) -> None:
    """Write ``run.toml``, or refuse to go on with a run that was started with other settings or another model."""
    import tomli_w

    tree = settings.as_tree()
    file = path / "run.toml"
    if not file.exists():
        mine = ("lock", "run.toml.tmp", OBSERVERS_FOLDER)
        strangers = [item.name for item in path.iterdir() if item.name not in mine]
        if strangers:
            raise UsageError(
                f"{path} is not empty and not a run of saidpo (it holds {strangers[0]}); choose another --run-dir"
            )
        write_atomically(file, _HEAD + tomli_w.dumps({**tree, "about": about(settings, model)}))
        return
    known = same_settings(path, settings, advice="give the old ones, or another --run-dir")
    if known.get("prompt") != _prompt(settings):
        raise UsageError(
            f"{settings.run.prompt} was changed since the run in {path} was started (what it was stands in {file}, "
            "about.prompt); choose another --run-dir"
        )
    if known.get("model") != fingerprint(model):
        raise UsageError(f"{model} was changed since the run in {path} was started; choose another --run-dir")


def run_file(path: Path) -> Path:
    """The ``run.toml`` of a run. Raises ``UsageError`` if ``path`` is none."""
    file = path / "run.toml"
    if not file.is_file():
        raise UsageError(f"{path} is not a run of saidpo: it has no run.toml")
    return file


def recorded(path: Path, *, advice: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings in the ``run.toml`` of a run, and what else it tells (``about``). Raises ``UsageError`` if ``path``
    holds none that can be read; it ends with ``advice``."""
    file = run_file(path)
    advised = f"; {advice}" if advice else ""
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError also for what is not UTF-8
        raise UsageError(f"{file} cannot be read: {error}{advised}") from error
    about = settings.pop("about", {})
    return settings, about if isinstance(about, dict) else {}


def finished_record(path: Path) -> dict[str, Any] | None:
    """The record of the run in ``path`` if it came to its end. Raises ``UsageError`` for a damaged one."""
    file = path / "summary.json"
    if not file.is_file():
        return None
    with readable(file, "delete it and give the run's command again: it is written anew from the run's stages"):
        tree = dict(read_json(file))
    return tree if tree.get("finished") else None


def same_settings(path: Path, settings: Settings, *, advice: str) -> dict[str, Any]:
    """What ``run.toml`` tells besides the settings (``about``). Raises ``UsageError`` if those are not ``settings``."""
    old, known = recorded(path, advice=advice)
    now = settings.as_tree()
    changed = differences(_with_new_options(old, settings, now), now)
    if changed:
        listed = "".join(f"\n  {line}" for line in changed)
        raise UsageError(f"the run in {path} was started with other settings:{listed}\n{advice}")
    return known


def _with_new_options(old: Mapping[str, Any], settings: Settings, now: Mapping[str, Any]) -> dict[str, Any]:
    """``old`` with the defaults of options that the version which wrote it did not have: its run had no others.
    ``now``: ``settings`` as a tree."""
    filled = {spec.name: plain(spec.default) for spec in specs_of(RunOptions)} | dict(old)
    for kind, chosen in settings.parts.items():
        mine = old.get(kind)
        if isinstance(mine, dict) and mine.get("name") == chosen.offer.name:
            defaults = {spec.name: plain(spec.default) for spec in all_specs(kind, type(chosen.options))}
            filled[kind] = {name: value for name, value in defaults.items() if name in now[kind]} | mine
    return {name: value for name, value in filled.items() if name in now or name in old}


def take_back(path: Path, error: Exception) -> None:
    """Forget the settings of a run that failed before it made anything, or that could not be used as they were before
    any policy was asked: so a corrected command may use the folder. Costly preparations are in the cache."""
    asked = [*path.glob("round-*"), *path.glob("start/*-evaluate*")]
    made = list(path.glob("start/*/stage.json"))
    if not asked and (isinstance(error, UsageError) or not made):
        for name in ("start", OBSERVERS_FOLDER):
            shutil.rmtree(path / name, ignore_errors=True)
        (path / "run.toml").unlink(missing_ok=True)


def about(settings: Settings, model: Path) -> dict[str, Any]:
    """What else a run depends on: versions of packages and plug-ins, the machine, and the first policy's files."""
    packages = {"python": platform.python_version(), "saidpo": saidpo_core.__version__}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    components = {kind: f"{c.offer.qualified} {c.offer.owner.version}" for kind, c in settings.parts.items()}
    machine = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count() or 0}
    return {
        "model": fingerprint(model),
        "prompt": _prompt(settings),
        "packages": packages,
        "components": components,
        "machine": machine,
    }


def _prompt(settings: Settings) -> dict[str, str]:
    return asdict(settings.prompt)


def fingerprint(folder: Path) -> str:
    """Hash of names, sizes, first and last MiB of a model's files: quick for any size, and a new training shows."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as data:
            digest.update(data.read(2**20))
            data.seek(max(0, size - 2**20))
            digest.update(data.read())
    return digest.hexdigest()
