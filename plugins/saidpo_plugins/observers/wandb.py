"""Weights & Biases: the settings of the run, and accuracy, yield, cost, training and clusters of each round.

    saidpo --observers=wandb --observers.wandb.project=my-models

Numbers, settings and the names of clusters leave the machine, never problems or responses; with ``mode=offline``
nothing does, until ``wandb sync``. A run that goes on after a kill goes on in the same W&B run: its id is the hash of
the run's name and settings. The files lie in ``RUN/observers/wandb``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from saidpo_core import Component, SaidpoError, Trial, hookimpl, option
from saidpo_core.events import OBSERVERS_FOLDER, StageEvent
from saidpo_plugins.observers.numbers import numbers_of


@dataclass(frozen=True, kw_only=True)
class WandbOptions:
    project: str = option("saidpo", "project of W&B")
    mode: Literal["online", "offline"] = option("online", "send at once, or keep the files for wandb sync")


class Wandb:
    def __init__(self, options: WandbOptions) -> None:
        self.options = options
        self._run_dir: Path | None = None
        self._run: Any = None

    @hookimpl
    def saidpo_before_stage(self, event: StageEvent) -> None:
        self._run_dir = event.run_dir

    @hookimpl
    def saidpo_after_round(self, row: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        if self._run is None:
            self._run = self._begin(record)
        self._run.log(numbers_of(row, record), step=row["round"], commit=True)

    @hookimpl
    def saidpo_after_run(self, problem: str) -> None:
        if self._run is not None:
            self._run.finish(exit_code=1 if problem else 0)
            self._run = None

    def _begin(self, record: Mapping[str, Any]) -> Any:
        import hashlib

        import wandb

        assert self._run_dir is not None
        online = self.options.mode == "online"
        if online and not wandb.api.api_key:  # wandb itself would ask at the terminal, and wait
            raise SaidpoError("no API key of Weights & Biases: wandb login, or --observers.wandb.mode=offline")
        folder = self._run_dir / OBSERVERS_FOLDER / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        settings = dict(record["settings"])
        name = self._run_dir.resolve().name
        return wandb.init(
            project=self.options.project,
            name=name,
            id=hashlib.sha256(json.dumps([name, settings], sort_keys=True).encode()).hexdigest()[:16],
            resume="allow" if online else None,
            dir=str(folder),
            config=settings,
            mode=self.options.mode,
            settings=wandb.Settings(
                silent=True, console="off", x_disable_meta=True, x_disable_stats=True, x_save_requirements=False
            ),
        )


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    yield Trial(options={"mode": "offline"})


@hookimpl
def saidpo_observers() -> list[Component[object]]:
    return [
        Component(
            name="wandb",
            summary="Weights & Biases, online or offline",
            options=WandbOptions,
            build=Wandb,
            needs="wandb",
            extra="wandb",
            picklable=False,
            trial=_trial,
        )
    ]
