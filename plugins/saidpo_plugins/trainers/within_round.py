"""Checkpoints within a round (``save_every``): a training that was killed goes on from the last, to the same bits.

They lie beside the new policy, in a folder that the stage keeps through a kill, and are gone when the round is done.
They are transformers' own: its optimiser states are not safetensors, but are read by torch as data that cannot run
code. One counts as whole when every process has put its mark into it.
"""

from __future__ import annotations

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


def marks_whole() -> Any:
    """transformers' callback for it."""
    from transformers import TrainerCallback

    class MarkWhole(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            (folder / f"whole-{args.process_index}").touch()

    return MarkWhole()
