"""TensorBoard: accuracy, yield, cost, training and clusters of each round as scalars, rounds as steps.

    saidpo --observers=tensorboard
    tensorboard --logdir runs

Files go to ``RUN/observers/tensorboard``. A run that goes on after a kill tells of its earlier rounds again, so the
files that this observer left there are replaced, not added to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import Component, Trial, hookimpl, option
from saidpo_core.events import OBSERVERS_FOLDER, StageEvent
from saidpo_plugins.observers.numbers import numbers_of

_SUFFIX = ".saidpo"


@dataclass(frozen=True, kw_only=True)
class TensorBoardOptions:
    dir: Path | None = option(None, "where the event files go; without it observers/tensorboard in the run directory")


class TensorBoard:
    def __init__(self, options: TensorBoardOptions) -> None:
        self.options = options
        self._run_dir: Path | None = None
        self._writer: Any = None

    @hookimpl
    def saidpo_before_stage(self, event: StageEvent) -> None:
        self._run_dir = event.run_dir

    @hookimpl
    def saidpo_after_round(self, row: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        if self._writer is None:
            self._writer = self._new_writer()
        for name, value in numbers_of(row, record).items():
            self._writer.add_scalar(name, value, row["round"])
        self._writer.flush()

    @hookimpl
    def saidpo_after_run(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _new_writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        assert self._run_dir is not None
        folder = self.options.dir or self._run_dir / OBSERVERS_FOLDER / "tensorboard"
        for old in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
            old.unlink()
        return SummaryWriter(str(folder), filename_suffix=_SUFFIX)


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    yield Trial(options={"dir": str(folder / "events")})


@hookimpl
def saidpo_observers() -> list[Component[object]]:
    return [
        Component(
            name="tensorboard",
            summary="event files for TensorBoard",
            options=TensorBoardOptions,
            build=TensorBoard,
            needs="tensorboard",
            extra="tensorboard",
            picklable=False,
            trial=_trial,
        )
    ]
