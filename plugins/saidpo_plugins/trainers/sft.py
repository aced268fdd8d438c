"""Trainer ``sft``: supervised training on right responses (rejection sampling) by TRL's ``SFTTrainer``.

Not the paper's: the simplest that DPO has to beat, as in arXiv 2308.01825. The loss is the mean over the tokens of
the responses; the prompts carry none. It learns from every distinct right response of the problems in the round's
pairs, which were paid for already, and from at most four of a problem, so that the easier ones do not outweigh the
harder. ``responses=pairs`` takes the chosen ones only: the same data as DPO.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saidpo_core import Component, Trainer, TrainingJob, TrainingReport, hookimpl, option
from saidpo_plugins.common.later import later
from saidpo_plugins.trainers.launch import spread
from saidpo_plugins.trainers.requirements import usable
from saidpo_plugins.trainers.responses import Example, ResponseOptions, examples, of_pair_problems
from saidpo_plugins.trainers.trl_common import late_mean, peft_config, train, trl_config


@dataclass(frozen=True, kw_only=True)
class SFTOptions(ResponseOptions):
    lr: float = option(2e-5, "peak learning rate (2e-5: TRL's default)", low=0)
    length_grouping: bool = option(
        True, "responses of like length share a micro-batch; each step has the same responses either way"
    )


class SFT:
    def __init__(self, options: SFTOptions) -> None:
        self.options = usable(options)

    def train(self, job: TrainingJob) -> TrainingReport:
        return spread(self, of_pair_problems(job))

    def train_here(self, job: TrainingJob) -> TrainingReport:
        from trl import SFTConfig, SFTTrainer

        from saidpo_plugins.trainers.pretokenised import pretokenised

        options = self.options
        right = examples(job, options, "right")
        config = trl_config(SFTConfig, job, options, max_length=None)

        def build(model: Any, tokenizer: Any) -> Any:
            return pretokenised(SFTTrainer, lengths=_lengths if options.length_grouping else None)(
                model=model,
                args=config,
                train_dataset=_dataset(right),
                processing_class=tokenizer,
                peft_config=peft_config(options),
            )

        history = train(job, options, config, build)
        return TrainingReport(
            steps=len(history),
            metrics={
                "responses": len(right),
                "loss_first": history[0]["loss"],
                "loss_last": late_mean(history, "loss"),
                "token_accuracy": late_mean(history, "mean_token_accuracy"),
            },
        )


def _dataset(right: list[Example]) -> Any:
    """Columns ``input_ids`` and ``labels``; -100 keeps a token of the prompt out of the loss."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [[*item.prompt_ids, *item.response.token_ids] for item in right],
            "labels": [[-100] * len(item.prompt_ids) + list(item.response.token_ids) for item in right],
        }
    )


def _lengths(dataset: Any) -> list[int]:
    return [len(ids) for ids in dataset["input_ids"]]


@hookimpl
def saidpo_trainers() -> list[Component[Trainer]]:
    return [
        Component(
            name="sft",
            summary="supervised training on right responses: rejection sampling (TRL)",
            options=SFTOptions,
            build=SFT,
            plan=later("saidpo_plugins.trainers.planning", "plan_sft"),
            source="rejection sampling, as in arXiv 2308.01825; which responses is ours",
        )
    ]
