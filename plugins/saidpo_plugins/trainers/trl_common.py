"""What the trainers share: TRL's trainer classes, held to what a saidpo trainer promises.

TRL's classes set the global random state, reload references from the folder that a model's config names, leave cache
files in the temporary folder, and report every training to the hub's telemetry. Here they do none of it. The token
ids that were sampled are the ids that are trained: data reach TRL already tokenised.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saidpo_core import Progress, TrainingJob
from saidpo_plugins.common.checkpoints import best_device, free_device_memory, load_model, load_tokenizer

if TYPE_CHECKING:
    from saidpo_plugins.trainers.trl_options import TRLOptions

History = Sequence[Mapping[str, float]]
"""What TRL logged: one entry an optimiser step, with ``loss`` and TRL's other metrics."""


def train(job: TrainingJob, options: TRLOptions, config: Any, build: Callable[[Any, Any], Any]) -> History:
    """Train the job's policy by the TRL trainer that ``build(model, tokenizer)`` makes, and write it to ``job.out``.

    ``config`` is what the trainer is built with: DeepSpeed has to know it before a model is loaded.
    """
    from transformers import PrinterCallback

    from saidpo_plugins.trainers.quiet import quiet, same_random_state
    from saidpo_plugins.trainers.saving import require_finite, save_policy
    from saidpo_plugins.trainers.within_round import checkpoints_of, keeps_one_whole, last_whole

    with quiet(), same_random_state():
        tokenizer = load_tokenizer(job.policy, trust_remote_code=options.trust_remote_code)
        trainer = build(load_policy(job.policy, options, config), tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_progress_callback(job.progress))
        done = None
        if options.save_every:
            trainer.add_callback(keeps_one_whole())
            done = last_whole(checkpoints_of(job), processes_here())
        try:
            trainer.train(resume_from_checkpoint=str(done) if done else None)
        except RuntimeError:  # torch refuses to sample from what is not finite
            require_finite(trainer.model.named_parameters())
            raise
        save_policy(trainer, job, options)
        if config.process_index == 0:
            tokenizer.save_pretrained(job.out)
            shutil.rmtree(config.output_dir, ignore_errors=True)  # TRL's own output folder
    history: History = [entry for entry in trainer.state.log_history if "loss" in entry]
    del trainer
    free_device_memory()
    return history


def load_policy(folder: Path, options: TRLOptions, config: Any) -> Any:
    """A policy to train, or a reference. Weights in bfloat16 hardly move at rates such as 5e-7: a test shows it.

    Weights below adapters do not move at all, and are held in what the arithmetic is done in. Sharded models are
    loaded into the CPU's memory, and go to the devices in shards.
    """
    from saidpo_plugins.trainers.lora import quantization

    frozen = bool(options.lora_r)
    dtype = "bfloat16" if options.dtype == "bfloat16" or (frozen and config.bf16) else "float32"
    sharded = sharding(config) is not None
    device = "cpu" if sharded else str(config.device)
    extra = quantization(config) if options.qlora else {}
    return load_model(folder, dtype=dtype, device=device, trust_remote_code=options.trust_remote_code, **extra)


def peft_config(options: TRLOptions) -> Any:
    """What TRL takes as ``peft_config``: None without adapters."""
    from saidpo_plugins.trainers.lora import adapters

    return adapters(options) if options.lora_r else None


def sharding(config: Any) -> Literal["fsdp", "zero3"] | None:
    """How the weights are spread over the processes, if they are."""
    from accelerate.utils import DistributedType

    kind = config.distributed_state.distributed_type
    if kind == DistributedType.FSDP or os.environ.get("ACCELERATE_USE_FSDP") == "true":
        return "fsdp"
    plugin = config.deepspeed_plugin
    return "zero3" if plugin is not None and plugin.zero_stage == 3 else None


def processes_here() -> int:
    """How many processes train together; this is one of them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def trl_config(kind: Any, job: TrainingJob, options: TRLOptions, *, smallest_batch: int = 1, **own: Any) -> Any:
    """TRL's configuration of class ``kind``: what all share, and its ``own`` settings, which win."""
    from saidpo_plugins.trainers.quiet import quiet
    from saidpo_plugins.trainers.step_batches import split_batch
    from saidpo_plugins.trainers.within_round import checkpoints_of

    device = best_device()
    micro, accumulation = split_batch(options.batch_size, options.micro_batch_size, processes_here(), smallest_batch)
    checkpointing = options.gradient_checkpointing
    length: dict[str, Any] = {"max_steps": options.steps} if options.steps else {"num_train_epochs": options.epochs}
    bf16 = options.dtype in ("mixed", "bfloat16") or (options.dtype == "auto" and device == "cuda")
    # DeepSpeed's own bf16 rounds the weights when it takes them over, so what earlier rounds have learnt would be lost.
    whole_below_zero = bf16 and options.dtype != "bfloat16" and os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true"
    settings: dict[str, Any] = {
        "output_dir": str(checkpoints_of(job) if options.save_every else job.out / "trl"),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": accumulation,
        "learning_rate": options.lr,
        "lr_scheduler_type": options.scheduler,
        "warmup_steps": min(options.warmup, 1 - 1e-9),  # a share; 1 would mean one step
        "max_grad_norm": options.max_grad_norm,
        "bf16": bf16 and not whole_below_zero,
        "gradient_checkpointing": device != "cpu" if checkpointing == "auto" else checkpointing == "on",
        "use_liger_kernel": options.liger,
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device == "cuda",
        "seed": job.seed % 2**32,
        "logging_steps": 1,
        "save_strategy": "steps" if options.save_every else "no",
        "save_steps": options.save_every or 1,
        "report_to": "none",
        "disable_tqdm": True,
        **length,
    }
    with quiet():
        config = kind(**(settings | own))
    if whole_below_zero:
        config.deepspeed_plugin.deepspeed_config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
    config._n_gpu = min(1, config.n_gpu)  # one process, one device: with several in sight TRL refuses to start
    return config


def late_mean(history: History, key: str) -> float:
    """Mean of a metric over the last fifth of the steps; NaN if it was never logged."""
    values = [entry[key] for entry in history[-max(1, len(history) // 5) :] if entry.get(key) is not None]
    return sum(values) / len(values) if values else float("nan")


def _progress_callback(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class ReportProgress(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(state.global_step, state.max_steps)

    return ReportProgress()
