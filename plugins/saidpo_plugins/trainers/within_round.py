"""Checkpoints within a round (``save_every``): a training that was killed goes on from the last, to the same bits.

They lie beside the new policy, in a folder that the stage keeps through a kill, and are gone when the round is done.
They are transformers' own: its optimiser states are not safetensors, but are read by torch as data that cannot run
code. One counts as whole when every process has put its mark into it, and is removed only when a later one is whole:
its marks first, so that what a kill leaves of it is not taken for whole.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from saidpo_core import TrainingJob


def checkpoints_of(job: TrainingJob) -> Path:
    return job.out.with_name(f"{job.out.name}.steps")


def last_whole(folder: Path, processes: int) -> Path | None:
    """The newest checkpoint that all of ``processes`` finished, None if there is none."""

    def step(path: Path) -> int:
        return int(path.name.rpartition("-")[2])

    whole = [path for path in folder.glob("checkpoint-*") if len(list(path.glob("whole-*"))) == processes]
    return max(whole, key=step, default=None)


def remove_all_but(kept: Path, folder: Path) -> None:
    """Remove the other checkpoints, half-written ones too."""
    for path in folder.glob("checkpoint-*"):
        if path != kept:
            for mark in path.glob("whole-*"):
                mark.unlink()
            shutil.rmtree(path)


def keeps_one_whole() -> Any:
    """transformers' callback for it."""
    from accelerate import PartialState
    from transformers import TrainerCallback

    class KeepOneWhole(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # A half-written one may hold the marks of some processes: writing it again would find them there.
            self._only(Path(args.output_dir), state.global_step)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            (folder / f"whole-{args.process_index}").touch()
            self._only(folder.parent, state.global_step)

        def _only(self, folder: Path, step: int) -> None:
            processes = PartialState()
            processes.wait_for_everyone()  # until all have marked it
            if processes.is_main_process:
                remove_all_but(folder / f"checkpoint-{step}", folder)
            processes.wait_for_everyone()

    return KeepOneWhole()
