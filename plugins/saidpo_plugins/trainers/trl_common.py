"""What the trainers share: TRL's trainer classes, held to what a saidpo trainer promises.

TRL's classes set the global random state, reload references from the folder that a model's config names, leave cache
files in the temporary folder, and report every training to the hub's telemetry. Here they do none of it. The token
ids that were sampled are the ids that are trained: data reach TRL already tokenised.
"""

from __future__ import annotations

import logging
import random
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from saidpo_core import Progress, SaidpoError, TrainingJob, option
from saidpo_plugins.common.checkpoints import best_device, free_device_memory, load_model, load_tokenizer

History = Sequence[Mapping[str, float]]
"""What TRL logged: one entry an optimiser step, with ``loss`` and TRL's other metrics."""


@dataclass(frozen=True, kw_only=True)
class TRLOptions:
    lr: float = option(5e-7, "peak learning rate", low=0)
    batch_size: int = option(64, "responses an optimiser step", low=1)
    micro_batch_size: int = option(8, "of these on the device at once; the rest by accumulation", low=1)
    epochs: float = option(1.0, "passes over the round's data", low=0.01)
    steps: int = option(0, "optimiser steps a round, whatever the amount of data; 0: as many as epochs need", low=0)
    scheduler: Literal["cosine", "linear", "constant"] = option("cosine", "learning-rate schedule within a round")
    warmup: float = option(0.1, "share of the steps with a rising learning rate; never all of them", low=0, high=1)
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm", low=0)
    gradient_checkpointing: Literal["auto", "on", "off"] = option(
        "auto", "on saves memory; auto: on with an accelerator"
    )
    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto",
        "auto: float32 weights, on a GPU bfloat16 arithmetic; bfloat16: bfloat16 weights too, which take half the "
        "memory, but small updates are rounded away",
    )
    trust_remote_code: bool = option(False, "run Python code that comes with the checkpoint")


def train(job: TrainingJob, options: TRLOptions, build: Callable[[Any, Any], Any]) -> History:
    """Train the job's policy by the TRL trainer that ``build(model, tokenizer)`` makes, and write it to ``job.out``."""
    from transformers import PrinterCallback

    with quiet(), same_random_state():
        tokenizer = load_tokenizer(job.policy, trust_remote_code=options.trust_remote_code)
        trainer = build(load_policy(job.policy, options), tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_progress_callback(job.progress))
        try:
            trainer.train()
        except RuntimeError:  # torch refuses to sample from what is not finite
            _require_finite(trainer.model)
            raise
        _require_finite(trainer.model)
        trainer.model.save_pretrained(job.out)
        tokenizer.save_pretrained(job.out)
    shutil.rmtree(job.out / "trl", ignore_errors=True)  # TRL's own output folder, empty here
    history: History = [entry for entry in trainer.state.log_history if "loss" in entry]
    del trainer
    free_device_memory()
    return history


def load_policy(folder: Path, options: TRLOptions) -> Any:
    """A policy to train, or a reference. Weights in bfloat16 hardly move at rates such as 5e-7: a test shows it."""
    dtype = "float32" if options.dtype == "auto" else options.dtype
    return load_model(folder, dtype=dtype, device=best_device(), trust_remote_code=options.trust_remote_code)


def trl_config(kind: Any, job: TrainingJob, options: TRLOptions, **own: Any) -> Any:
    """TRL's configuration of class ``kind``: what all share, and its ``own`` settings, which win."""
    device = best_device()
    micro = min(options.micro_batch_size, options.batch_size)
    checkpointing = options.gradient_checkpointing
    length: dict[str, Any] = {"max_steps": options.steps} if options.steps else {"num_train_epochs": options.epochs}
    settings: dict[str, Any] = {
        "output_dir": str(job.out / "trl"),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": max(1, round(options.batch_size / micro)),
        "learning_rate": options.lr,
        "lr_scheduler_type": options.scheduler,
        "warmup_steps": min(options.warmup, 1 - 1e-9),  # a share; 1 would mean one step
        "max_grad_norm": options.max_grad_norm,
        "bf16": device == "cuda" and options.dtype != "float32",
        "gradient_checkpointing": device != "cpu" if checkpointing == "auto" else checkpointing == "on",
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device == "cuda",
        "seed": job.seed % 2**32,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        **length,
    }
    config = kind(**(settings | own))
    config._n_gpu = min(1, config.n_gpu)  # one process, one device: with several in sight TRL refuses to start
    return config


def pretokenised(kind: Any, references: Sequence[str] = ()) -> Any:
    """TRL's trainer class ``kind``, taking tokenised data as they are.

    ``references`` are the columns of reference log-probabilities, if there are any, in the order in which TRL
    computes them. TRL would keep them in a file of the temporary folder, where a killed process leaves it, and take
    them from there whatever batch size they were computed with.
    """

    class Pretokenised(kind):  # type: ignore[misc, unused-ignore]
        def _send_telemetry(self) -> None:
            """Nothing is reported to anybody."""

        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return dataset

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            # Warming up begins at 0, so a training of one step that warms up for one step would change nothing.
            self.args.warmup_steps = min(self.args.get_warmup_steps(num_training_steps), num_training_steps - 1)
            return super().create_scheduler(num_training_steps, optimizer)

        def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
            import torch
            from torch.utils.data import DataLoader

            loader = DataLoader(dataset, batch_size=batch_size, collate_fn=self.data_collator)
            model = self.ref_model or self.model
            batches = [self.compute_ref_log_probs(model, batch) for batch in self.accelerator.prepare(loader)]
            for column, parts in zip(references, zip(*batches, strict=True), strict=True):
                dataset = dataset.add_column(column, torch.cat(parts).tolist())
            return dataset

    return Pretokenised


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


def _require_finite(model: Any) -> None:
    import torch

    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise SaidpoError("training ended with weights that are not finite; lower --trainer.lr")


@contextmanager
def same_random_state() -> Iterator[None]:
    """Put the global random state back at the end: transformers and TRL seed Python's, NumPy's and torch's."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def quiet() -> Iterator[None]:
    """Progress is ours to show: silence the chatter of the libraries below."""
    from transformers.utils import logging as transformers_logging

    trl = logging.getLogger("trl")
    verbosity, level = transformers_logging.get_verbosity(), trl.level
    transformers_logging.set_verbosity_error()
    trl.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        trl.setLevel(level)
