"""Trainer ``dpo``: Direct Preference Optimization by TRL's ``DPOTrainer`` (paper: DPO on one pair a problem).

Reference log-probabilities are known before the first step: those of the rollouts, if these agree with the policy that
the round starts from (``reference=previous``), or computed in one pass of it or of the run's first policy
(``reference=initial``). TRL would otherwise reload the reference from whatever folder the model's config names, which
in an iterative loop can be the wrong one.

The loss is a mean over the pairs of an optimiser step, and the term of ``nll`` one over its chosen tokens, however the
step is dealt out to micro-batches and processes.

``loss`` goes by TRL's names; the paper's is ``sigmoid``. For ``ipo``, ``beta`` is its tau. ``robust`` takes one label
in ten for flipped and ``exo_pair`` one in a thousand, as their papers recommend. ``aot`` and ``aot_unpaired`` compare
the pairs of a micro-batch with each other, so ``micro_batch_size`` matters to them. Two of TRL's names are refused:

* ``sft`` looks neither at the rejected response nor at the reference: that is ``--trainer=sft``.
* ``discopop`` prefers the wrong responses here. Every round starts at its reference, where both responses' log-ratios
  are 0, and there its gradient points the wrong way: a test shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from saidpo_core import Component, Pair, Trainer, TrainingJob, TrainingReport, hookimpl, option
from saidpo_plugins.common.later import later
from saidpo_plugins.trainers.launch import spread
from saidpo_plugins.trainers.requirements import usable
from saidpo_plugins.trainers.trl_common import (
    History,
    late_mean,
    load_policy,
    peft_config,
    sharding,
    train,
    trl_config,
)
from saidpo_plugins.trainers.trl_options import TRLOptions

Loss = Literal[
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "robust",
    "exo_pair",
    "nca_pair",
    "bco_pair",
    "sppo_hard",
    "apo_zero",
    "apo_down",
    "aot",
    "aot_unpaired",
]
_LABEL_SMOOTHING = {"robust": 0.1, "exo_pair": 1e-3}
_DIVIDE_BY_BETA = ("ipo", "sppo_hard")


@dataclass(frozen=True, kw_only=True)
class DPOOptions(TRLOptions):
    lr: float = option(5e-7, "peak learning rate (real models: 5e-7)", low=0)
    batch_size: int = option(64, "pairs an optimiser step", low=1)
    micro_batch_size: int = option(8, "pairs on a device at once, at most; the rest by accumulation", low=1)
    loss: Loss = option(
        "sigmoid",
        "loss of a pair, by TRL's name; sigmoid: the paper's; not TRL's sft (that is --trainer=sft), nor discopop "
        "(at the reference, where a round starts, its gradient prefers the wrong response)",
    )
    beta: float = option(0.1, "strength of the pull towards the reference", low=0)
    nll: float = option(0.0, "weight of a negative log-likelihood term on the chosen response; 0 is off", low=0)
    reference: Literal["previous", "initial"] = option(
        "previous", "reference policy: the round's or the run's first one"
    )

    reference_logprobs: Literal["auto", "compute", "rollouts"] = option(
        "auto",
        "the reference's log-probabilities: computed, or those of the rollouts if they are within 0.1 nats a response "
        "on some pairs; auto: the rollouts' if they are, else computed",
    )
    length_grouping: bool = option(
        True, "pairs of like length share a micro-batch; each step has the same pairs either way"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss in _DIVIDE_BY_BETA and not self.beta:
            raise ValueError(f"--trainer.beta must be above 0: --trainer.loss={self.loss} divides by it")
        if self.reference == "initial" and self.reference_logprobs == "rollouts":
            raise ValueError("--trainer.reference_logprobs=rollouts needs --trainer.reference=previous: the rollouts "
                             "are those of the policy that the round starts from")  # fmt: skip


class DPO:
    def __init__(self, options: DPOOptions) -> None:
        self.options = usable(options)

    def train(self, job: TrainingJob) -> TrainingReport:
        return spread(self, replace(job, attempts=(), problems={}))

    def train_here(self, job: TrainingJob) -> TrainingReport:
        from saidpo_plugins.trainers.preferences import preference_trainer

        options = self.options
        own = options.reference == "previous"
        config = _config(job, options)

        def build(model: Any, tokenizer: Any) -> Any:
            source = options.reference_logprobs if own else "compute"
            # A policy is only sharded by FSDP when its training begins, so the reference has to be another one then.
            separate = not own or sharding(config) == "fsdp"
            trainer = preference_trainer(job.pairs, source, options.length_grouping)(
                model=model,
                ref_model=load_policy(job.policy if own else job.initial_policy, options, config) if separate else None,
                args=config,
                train_dataset=_dataset(job.pairs),
                processing_class=tokenizer,
                peft_config=peft_config(options),
            )
            if separate:
                trainer.ref_model = None  # its log-probabilities are known now
                trainer.accelerator.free_memory()
            found.update(reused=float(trainer.reused), gap=trainer.reference_gap)
            return trainer

        found: dict[str, float] = {}
        history = train(job, options, config, build)
        return _report(history, options.beta, found)


def _config(job: TrainingJob, options: DPOOptions) -> Any:
    from trl import DPOConfig

    return trl_config(
        DPOConfig,
        job,
        options,
        beta=options.beta,
        loss_type=[options.loss, "sft"] if options.nll else [options.loss],
        loss_weights=[1.0, options.nll] if options.nll else None,
        label_smoothing=_LABEL_SMOOTHING.get(options.loss, 0.0),
        precompute_ref_log_probs=True,
        max_length=None,
    )


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


def _report(history: History, beta: float, reference: Mapping[str, float]) -> TrainingReport:
    """Loss, reward accuracy and the drift of log-probabilities (nats a response, against the reference)."""
    scale = 1 / beta if beta else float("nan")
    return TrainingReport(
        steps=len(history),
        metrics={
            "loss_first": history[0]["loss"],
            "loss_last": late_mean(history, "loss"),
            "reward_accuracy": late_mean(history, "rewards/accuracies"),
            "chosen_logp_drift": late_mean(history, "rewards/chosen") * scale,
            "rejected_logp_drift": late_mean(history, "rewards/rejected") * scale,
            "reference_reused": reference["reused"],
            "reference_gap": reference["gap"],
        },
    )


@hookimpl
def saidpo_trainers() -> list[Component[Trainer]]:
    return [
        Component(
            name="dpo",
            summary="Direct Preference Optimization and its relatives (TRL), reference previous or initial",
            options=DPOOptions,
            build=DPO,
            plan=later("saidpo_plugins.trainers.planning", "plan_dpo"),
            source="paper, method (iterative DPO); batch and learning rate ours",
            default=True,
        )
    ]
