"""From settings to a finished run: the run directory, its record of settings, lock, resume, and the loop."""

from __future__ import annotations

import os
import platform
import time
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import saidpo_core
from saidpo_core.contracts import blame
from saidpo_core.errors import NothingToDo, UsageError
from saidpo_core.events import Observers
from saidpo_core.loop import Loop
from saidpo_core.models import locate_model
from saidpo_core.parts import Parts
from saidpo_core.registry import Registry
from saidpo_core.run_dir import RunDir, disk_errors, locked, write_atomically
from saidpo_core.settings import Settings, differences
from saidpo_core.summary import Summary, read_summary

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


def start(settings: Settings, registry: Registry, path: Path, observers: Sequence[object] = ()) -> dict[str, Any]:
    """Run, or go on with, the run in ``path``; returns its summary. Raises ``NothingToDo`` if it had ended before."""
    started = time.time()
    hub = Observers(registry.manager)
    for observer in observers:
        hub.add(observer, f"saidpo {saidpo_core.__version__} ({type(observer).__name__})")
    parts = Parts(settings, registry)
    model = locate_model(settings.run.model, settings.policy, [policy.name for policy in registry.policies])
    with blame(parts.offer("generator"), "check"):
        parts.generator.check(model)
    with disk_errors(path), locked(path):
        _agree(settings, path)
        if (path / "summary.json").is_file() and read_summary(path).get("finished"):
            raise NothingToDo(f"nothing to do: the run in {path} is complete; for a new one change --seed or --run-dir")
        run_dir = RunDir(path, hub)
        notes = list(settings.policy.notes) if settings.policy else []
        summary = Summary(run_dir, settings.as_tree(), notes, started)
        try:
            Loop(settings.run, parts, run_dir, model, summary).train()
        except BaseException:
            _take_back(path)
            raise
        finally:
            parts.verifier.close()
        summary.finish()
    return summary.tree


def default_path(settings: Settings, runs: Path) -> Path:
    """A folder named after the settings, so that the same command finds its own run again."""
    import hashlib
    import json

    tree = settings.as_tree()
    digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:6]
    model = Path(settings.run.model).name or "model"
    return runs / f"{tree['pool']['name'].split('/')[-1]}-{model}-{tree['sampler']['name'].split('/')[-1]}-{digest}"


def _agree(settings: Settings, path: Path) -> None:
    """Write ``run.toml``, or refuse to go on with a run that was started with other settings."""
    import tomli_w

    tree = settings.as_tree()
    file = path / "run.toml"
    if not file.exists():
        strangers = [item.name for item in path.iterdir() if item.name not in ("lock", "run.toml.tmp")]
        if strangers:
            raise UsageError(
                f"{path} is not empty and not a run of saidpo (it holds {strangers[0]}); choose another --run-dir"
            )
        head = "# The settings of this run; the same run again: saidpo --config THIS_FILE --run-dir ANOTHER\n"
        write_atomically(file, head + tomli_w.dumps({**tree, "about": about(settings)}))
        return
    try:
        old = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # also what is not UTF-8
        raise UsageError(f"{file} is not TOML ({error}); choose another --run-dir") from error
    old.pop("about", None)
    changed = differences(old, tree)
    if changed:
        listed = "".join(f"\n  {line}" for line in changed)
        message = f"the run in {path} was started with other settings:{listed}\ngive the old ones, or another --run-dir"
        raise UsageError(message)


def _take_back(path: Path) -> None:
    """Forget the settings of a run that has made nothing yet, so that a corrected command may use its folder."""
    start = path / "start"
    if start.is_dir() and not any(start.iterdir()):
        start.rmdir()
    if {item.name for item in path.iterdir()} <= {"lock", "run.toml"}:
        (path / "run.toml").unlink(missing_ok=True)


def about(settings: Settings) -> dict[str, Any]:
    """What else a run depends on: versions of packages and plug-ins, and the machine."""
    packages = {"python": platform.python_version(), "saidpo": saidpo_core.__version__}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    components = {kind: f"{c.offer.qualified} {c.offer.owner.version}" for kind, c in settings.parts.items()}
    machine = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count() or 0}
    return {"packages": packages, "components": components, "machine": machine}
