"""From settings to a finished run: checks, run directory, lock, resume, and the loop."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import saidpo_core
from saidpo_core.contracts import blame
from saidpo_core.errors import NothingToDo, first_line
from saidpo_core.events import Observers
from saidpo_core.loop import Loop
from saidpo_core.models import locate_model
from saidpo_core.parts import Parts
from saidpo_core.registry import Registry
from saidpo_core.run_dir import RunDir, disk_errors, locked
from saidpo_core.run_record import agree, finished_record, take_back
from saidpo_core.settings import Settings
from saidpo_core.summary import Summary


def start(settings: Settings, registry: Registry, path: Path, observers: Sequence[object] = ()) -> dict[str, Any]:
    """Run, or go on with, the run in ``path``; returns its summary. Raises ``NothingToDo`` if it had ended before."""
    started = time.time()
    hub = Observers(registry.manager)
    for observer in observers:
        hub.add(observer, f"saidpo {saidpo_core.__version__} ({type(observer).__name__})")
    parts = Parts(settings, registry)
    model = locate_model(settings.run.model, settings.policy, [policy.name for policy in registry.policies])
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # the model is here; progress is ours to show
    with blame(parts.offer("generator"), "check"):
        parts.generator.check(model)
    with disk_errors(path), locked(path):
        agree(settings, model, path)
        if finished_record(path) is not None:
            raise NothingToDo(f"nothing to do: the run in {path} is complete; for a new one change --seed or --run-dir")
        run_dir = RunDir(path, hub)
        notes = list(settings.policy.notes) if settings.policy else []
        summary = Summary(run_dir, settings.as_tree(), notes, started, parts.rollouts.waves(settings.run.samples))
        try:
            with parts:
                Loop(settings.run, parts, run_dir, model, summary).train()
        except BaseException as error:
            hub.after_run(path, summary.tree, first_line(error))
            if isinstance(error, Exception):
                take_back(path, error)
            raise
        summary.finish()
        hub.after_run(path, summary.tree, "")
    return summary.tree


def default_path(settings: Settings, runs: Path) -> Path:
    """A folder named after the settings, so that the same command finds its own run again."""
    tree = settings.as_tree()
    digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:6]
    model = Path(settings.run.model).name or "model"
    return runs / f"{tree['pool']['name'].split('/')[-1]}-{model}-{tree['sampler']['name'].split('/')[-1]}-{digest}"
