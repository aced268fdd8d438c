"""Trainers that shard their policy over processes on the CPU, where accelerate would train by DDP whatever it is told.

All that is changed is accelerate's idea of the device: sharding, gathering and saving are the real ones, over gloo.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from saidpo_core import TrainingJob, TrainingReport
from saidpo_plugins.trainers.dpo import DPO
from saidpo_plugins.trainers.grpo import GRPO
from saidpo_plugins.trainers.sft import SFT


def pretend() -> None:
    from accelerate.state import DistributedType, PartialState
    from transformers import TrainingArguments, training_args

    os.environ.pop("ACCELERATE_USE_CPU", None)
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState._prepare_backend = lambda self, *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)
    training_args.is_torch_bf16_gpu_available = lambda: True  # CPUs compute in bfloat16 too
    begin = TrainingArguments.__post_init__

    def post_init(self: Any) -> None:
        self.use_cpu = False
        begin(self)

    TrainingArguments.__post_init__ = post_init


def sharded(trainer: Any) -> bool:
    """Whether this process holds a part of the weights only."""
    from torch.distributed.tensor import DTensor

    weights = list(trainer.model.parameters())
    return all(
        isinstance(w, DTensor) or (hasattr(w, "ds_tensor") and w.ds_tensor.numel() < w.ds_numel) for w in weights
    )


class Sharded:
    """Reports under ``sharded`` what it did."""

    def train_here(self, job: TrainingJob) -> TrainingReport:
        from saidpo_plugins.trainers import saving

        pretend()
        save, seen = saving.save_policy, []

        def spy(trainer: Any, *args: Any) -> None:
            seen.append(sharded(trainer))
            save(trainer, *args)

        saving.save_policy = spy
        report = super().train_here(job)  # type: ignore[misc]
        return replace(report, metrics={**report.metrics, "sharded": float(all(seen))})


class ShardedDPO(Sharded, DPO): ...


class ShardedSFT(Sharded, SFT): ...


class ShardedGRPO(Sharded, GRPO): ...
