"""Trainer ``kto``: Kahneman-Tversky Optimization (arXiv 2402.01306) by TRL's ``KTOTrainer``.

It learns from single responses that are right or wrong, without pairing them: those of the problems that the round's
pairs came from. The reference is the policy that the round starts from; its log-probabilities are computed once,
before the first step, since TRL would reload it from whatever folder the model's config names.

The rarer side weighs more, so that right and wrong responses weigh the same all together (``balance=1``): the paper
advises 1 to 1.33 times as much for the right ones (its equation 8). Its KL term takes each prompt with a response to
another one. TRL takes the neighbour in the batch for that, whatever its prompt; with several responses a problem, here
(**ours**) it is the nearest one of another problem. TRL pairs them up beforehand, so every pass over the data has
the same order, shuffled once a round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from saidpo_core import Component, Trainer, TrainingJob, TrainingReport, hookimpl, option
from saidpo_plugins.common.later import later
from saidpo_plugins.trainers.launch import spread
from saidpo_plugins.trainers.requirements import usable
from saidpo_plugins.trainers.responses import Example, ResponseOptions, examples, of_pair_problems
from saidpo_plugins.trainers.trl_common import (
    History,
    late_mean,
    load_policy,
    peft_config,
    sharding,
    train,
    trl_config,
)


@dataclass(frozen=True, kw_only=True)
class KTOOptions(ResponseOptions):
    lr: float = option(1e-6, "peak learning rate (1e-6: TRL's default)", low=0)
    batch_size: int = option(64, "responses an optimiser step", low=2)
    micro_batch_size: int = option(8, "of these on a device at once, at most; the rest by accumulation", low=2)
    beta: float = option(0.1, "strength of the pull towards the reference", low=1e-6)
    balance: float = option(1.0, "weight of all right responses together over that of all wrong ones", low=0.01)


class KTO:
    def __init__(self, options: KTOOptions) -> None:
        self.options = usable(options)

    def train(self, job: TrainingJob) -> TrainingReport:
        return spread(self, of_pair_problems(job))

    def train_here(self, job: TrainingJob) -> TrainingReport:
        import numpy as np
        from trl import KTOConfig, KTOTrainer

        from saidpo_plugins.trainers.pretokenised import pretokenised

        options = self.options
        right, wrong = examples(job, options, "right"), examples(job, options, "wrong")
        desirable, undesirable = balanced_weights(len(right), len(wrong), options.balance)
        labelled = [(item, True) for item in right] + [(item, False) for item in wrong]
        order = np.random.Generator(np.random.PCG64(job.seed)).permutation(len(labelled))
        rows = [labelled[row] for row in order.tolist()]

        config = trl_config(
            KTOConfig,
            job,
            options,
            smallest_batch=2,
            beta=options.beta,
            desirable_weight=desirable,
            undesirable_weight=undesirable,
            precompute_ref_log_probs=True,
            max_length=None,
        )

        def build(model: Any, tokenizer: Any) -> Any:
            trainer = pretokenised(KTOTrainer, ("ref_logps", "ref_KL_logps"))(
                model=model,
                ref_model=load_policy(job.policy, options, config) if sharding(config) == "fsdp" else None,
                args=config,
                train_dataset=_dataset(rows, config.per_device_train_batch_size),
                processing_class=tokenizer,
                peft_config=peft_config(options),
            )
            trainer.ref_model = None  # its log-probabilities are known now
            return trainer

        return _report(train(job, options, config, build), options.beta, len(right), len(wrong))


def balanced_weights(right: int, wrong: int, balance: float) -> tuple[float, float]:
    """Weights of right and of wrong responses, with right * first = balance * wrong * second; the smaller is 1."""
    first = balance * wrong / right
    return (first, 1.0) if first >= 1 else (1.0, 1 / first)


def mismatched(ids: Sequence[str], batch: int) -> list[int]:
    """For each row a row of another problem: of its batch if that has one, of any else; the one before it at worst."""

    def candidates(row: int) -> Iterator[int]:
        start = row - row % batch
        size = min(batch, len(ids) - start)
        yield from (start + (row - start - step) % size for step in range(1, size))
        yield from ((row - step) % len(ids) for step in range(1, len(ids)))

    return [
        next((other for other in candidates(row) if ids[other] != ids[row]), (row - 1) % len(ids))
        for row in range(len(ids))
    ]


def _dataset(rows: list[tuple[Example, bool]], batch: int) -> Any:
    """TRL's columns; ``KL_completion_ids`` is the response to another prompt."""
    from datasets import Dataset

    partners = mismatched([item.problem_id for item, _ in rows], batch)
    return Dataset.from_dict(
        {
            "prompt_ids": [list(item.prompt_ids) for item, _ in rows],
            "completion_ids": [list(item.response.token_ids) for item, _ in rows],
            "KL_completion_ids": [list(rows[other][0].response.token_ids) for other in partners],
            "label": [right for _, right in rows],
        }
    )


def _report(history: History, beta: float, right: int, wrong: int) -> TrainingReport:
    """Loss, KL and the drift of log-probabilities (nats a response, against the reference)."""
    return TrainingReport(
        steps=len(history),
        metrics={
            "right": right,
            "wrong": wrong,
            "loss_first": history[0]["loss"],
            "loss_last": late_mean(history, "loss"),
            "kl": late_mean(history, "kl"),
            "chosen_logp_drift": late_mean(history, "rewards/chosen") / beta,
            "rejected_logp_drift": late_mean(history, "rewards/rejected") / beta,
        },
    )


@hookimpl
def saidpo_trainers() -> list[Component[Trainer]]:
    return [
        Component(
            name="kto",
            summary="Kahneman-Tversky Optimization (TRL) on right and wrong responses, without pairs",
            options=KTOOptions,
            build=KTO,
            plan=later("saidpo_plugins.trainers.planning", "plan_kto"),
            source="arXiv 2402.01306",
        )
    ]
