"""Trainer ``dpo``: Direct Preference Optimization by TRL's ``DPOTrainer`` (paper: DPO on one pair a problem).

The token ids that were sampled are the ids that are trained: pairs reach TRL already tokenised. Reference
log-probabilities are computed once, before the first step, from the policy that the round starts from
(``reference=previous``) or from the run's first policy (``reference=initial``). TRL would otherwise reload the
reference from whatever folder the model's config names, which in an iterative loop can be the wrong one.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from saidpo_core import (
    Component,
    Pair,
    Progress,
    SaidpoError,
    Trainer,
    TrainingJob,
    TrainingReport,
    hookimpl,
    option,
)
from saidpo_plugins.common.checkpoints import best_device, load_model, load_tokenizer


@dataclass(frozen=True, kw_only=True)
class DPOOptions:
    lr: float = option(5e-7, "peak learning rate (real models: 5e-7)", low=0)
    beta: float = option(0.1, "strength of the pull towards the reference", low=0)
    nll: float = option(0.0, "weight of a negative log-likelihood term on the chosen response; 0 is off", low=0)
    reference: Literal["previous", "initial"] = option(
        "previous", "reference policy: the round's or the run's first one"
    )
    batch_size: int = option(64, "pairs an optimiser step", low=1)
    micro_batch_size: int = option(8, "pairs on the device at once; the rest by accumulation", low=1)
    epochs: float = option(1.0, "passes over the round's pairs", low=0)
    steps: int = option(0, "optimiser steps a round, whatever the number of pairs; 0: as many as epochs need", low=0)
    scheduler: Literal["cosine", "linear", "constant"] = option("cosine", "learning-rate schedule within a round")
    warmup: float = option(0.1, "share of the steps with a rising learning rate", low=0, high=1)
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm", low=0)
    gradient_checkpointing: Literal["auto", "on", "off"] = option(
        "auto", "on saves memory; auto: on with an accelerator"
    )
    dtype: Literal["auto", "float32", "bfloat16"] = option("auto", "float32 on a CPU, bfloat16 elsewhere")
    trust_remote_code: bool = option(False, "run Python code that comes with the checkpoint")


class DPO:
    def __init__(self, options: DPOOptions) -> None:
        self.options = options

    def train(self, job: TrainingJob) -> TrainingReport:
        from transformers import PrinterCallback

        options = self.options
        device = best_device()
        load: dict[str, Any] = {
            "dtype": options.dtype,
            "device": device,
            "trust_remote_code": options.trust_remote_code,
        }
        with _quiet():
            tokenizer = load_tokenizer(job.policy, trust_remote_code=options.trust_remote_code)
            model = load_model(job.policy, **load)
            first = None if options.reference == "previous" else load_model(job.initial_policy, **load)
            trainer = _trainer_class()(
                model=model,
                ref_model=first,
                args=self._config(job, device),
                train_dataset=_dataset(job.pairs),
                processing_class=tokenizer,
                callbacks=[_progress_callback(job.progress)],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.ref_model = None  # its log-probabilities are known now; free the memory
            trainer.train()
            _save(trainer.model, tokenizer, job.out)
        shutil.rmtree(job.out / "trl", ignore_errors=True)  # TRL's own output folder, empty here
        return _report(trainer.state.log_history, options.beta)

    def _config(self, job: TrainingJob, device: str) -> Any:
        from trl import DPOConfig

        options = self.options
        micro = min(options.micro_batch_size, options.batch_size)
        checkpointing = options.gradient_checkpointing
        length: dict[str, Any] = {"max_steps": options.steps} if options.steps else {"num_train_epochs": options.epochs}
        return DPOConfig(
            output_dir=str(job.out / "trl"),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=max(1, round(options.batch_size / micro)),
            learning_rate=options.lr,
            lr_scheduler_type=options.scheduler,
            warmup_steps=options.warmup,
            max_grad_norm=options.max_grad_norm,
            beta=options.beta,
            loss_type=["sigmoid", "sft"] if options.nll else ["sigmoid"],
            loss_weights=[1.0, options.nll] if options.nll else None,
            precompute_ref_log_probs=True,
            max_length=None,
            bf16=device == "cuda" and options.dtype != "float32",
            gradient_checkpointing=device != "cpu" if checkpointing == "auto" else checkpointing == "on",
            use_cpu=device == "cpu",
            dataloader_pin_memory=device == "cuda",
            seed=job.seed % 2**32,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **length,
        )


def _trainer_class() -> Any:
    """TRL's trainer, taking pairs that are tokenised already."""
    from trl import DPOTrainer

    class PretokenisedDPOTrainer(DPOTrainer):  # type: ignore[misc, unused-ignore]
        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return dataset

    return PretokenisedDPOTrainer


def _dataset(pairs: Sequence[Pair]) -> Any:
    """Columns ``prompt_ids``, ``chosen_ids``, ``rejected_ids``; a response carries its end token already."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "prompt_ids": [list(pair.prompt_ids) for pair in pairs],
            "chosen_ids": [list(pair.chosen.token_ids) for pair in pairs],
            "rejected_ids": [list(pair.rejected.token_ids) for pair in pairs],
        }
    )


def _progress_callback(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class ReportProgress(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(state.global_step, state.max_steps)

    return ReportProgress()


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    """An ordinary Hugging Face folder."""
    import torch

    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise SaidpoError("training ended with weights that are not finite; lower --trainer.lr")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def _report(history: list[dict[str, float]], beta: float) -> TrainingReport:
    """Loss, reward accuracy and the drift of log-probabilities (nats a response, against the reference)."""
    steps = [entry for entry in history if "loss" in entry]
    last = steps[-max(1, len(steps) // 5) :]

    def late(key: str) -> float:
        values = [entry[key] for entry in last if key in entry]
        return sum(values) / len(values) if values else float("nan")

    scale = 1 / beta if beta else float("nan")
    return TrainingReport(
        steps=len(steps),
        metrics={
            "loss_first": steps[0]["loss"],
            "loss_last": late("loss"),
            "reward_accuracy": late("rewards/accuracies"),
            "chosen_logp_drift": late("rewards/chosen") * scale,
            "rejected_logp_drift": late("rewards/rejected") * scale,
        },
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Progress is ours to show: silence the bars and the chatter of the libraries below."""
    import datasets
    from transformers.utils import logging

    before, verbosity = os.environ.get("TQDM_DISABLE"), logging.get_verbosity()
    os.environ["TQDM_DISABLE"] = "1"
    datasets.disable_progress_bars()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        datasets.enable_progress_bars()
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before


@hookimpl
def saidpo_trainers() -> list[Component[Trainer]]:
    return [
        Component(
            name="dpo",
            summary="Direct Preference Optimization (TRL), optional NLL term, reference previous or initial",
            options=DPOOptions,
            build=DPO,
            source="paper, method (iterative DPO); batch and learning rate ours",
            default=True,
        )
    ]
