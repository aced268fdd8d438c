"""The options that all trainers of TRL have: how weights are updated, in which precision, on how many devices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saidpo_core import option


@dataclass(frozen=True, kw_only=True)
class TRLOptions:
    lr: float = option(5e-7, "peak learning rate", low=0)
    batch_size: int = option(64, "responses an optimiser step", low=1)
    micro_batch_size: int = option(8, "of these on a device at once, at most; the rest by accumulation", low=1)
    epochs: float = option(1.0, "passes over the round's data", low=0.01)
    steps: int = option(0, "optimiser steps a round, whatever the amount of data; 0: as many as epochs need", low=0)
    scheduler: Literal["cosine", "linear", "constant"] = option("cosine", "learning-rate schedule within a round")
    warmup: float = option(0.1, "share of the steps with a rising learning rate; never all of them", low=0, high=1)
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm", low=0)
    gradient_checkpointing: Literal["auto", "on", "off"] = option(
        "auto", "on saves memory; auto: on with an accelerator"
    )
    dtype: Literal["auto", "float32", "mixed", "bfloat16"] = option(
        "auto",
        "float32: weights and arithmetic; mixed: float32 weights, bfloat16 arithmetic; bfloat16: weights too, half the "
        "memory, but small updates are rounded away; auto: mixed on a CUDA device, else float32",
    )
    lora_r: int = option(
        0, "rank of LoRA adapters, trained instead of the weights and merged at the end; 0: off", low=0
    )
    lora_alpha: float | Literal["auto"] = option("auto", "scale of the adapters, times 1/r; auto: twice r", low=0)
    lora_targets: tuple[str, ...] = option(("all-linear",), "layers with adapters, by name")
    qlora: bool = option(False, "hold the weights below the adapters in 4 bits (bitsandbytes; needs CUDA and lora_r)")
    liger: bool = option(False, "layers by liger's kernels (needs CUDA)")
    launch: Literal["auto", "none", "ddp", "fsdp2", "zero3"] | Path = option(
        "auto",
        "several processes by accelerate: ddp, fsdp2 or zero3 as shipped, or an accelerate config file; none: this "
        "process alone; auto: with several CUDA devices ddp if the training fits on each, else fsdp2",
    )
    processes: int | Literal["auto"] = option("auto", "how many of them; auto: one a CUDA device", low=1)
    save_every: int = option(
        0, "keep a checkpoint every so many steps, from which a killed round goes on; 0: it begins again", low=0
    )
    trust_remote_code: bool = option(False, "run Python code that comes with the checkpoint")

    def __post_init__(self) -> None:
        if self.qlora and not self.lora_r:
            raise ValueError("--trainer.qlora needs --trainer.lora_r, such as 16: weights in 4 bits cannot be trained")
