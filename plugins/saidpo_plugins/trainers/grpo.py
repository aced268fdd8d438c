"""Trainer ``grpo``: Group Relative Policy Optimization (arXiv 2402.03300) by TRL's ``GRPOTrainer``.

Reinforcement learning with the paper's selection of problems, which the paper leaves open. The policy that is being
trained samples a group of responses to a problem (by transformers, where it is trained), the run's verifier judges
them, and what is better than its group's mean becomes likelier. The loss is TRL's default: a mean over the tokens of
the batch, advantages divided by the group's standard deviation, and no pull towards a reference unless ``beta`` is
set. In several processes each samples and trains its share of every step; all ask the one verifier of the run.

Problems are those that the round's pairs came from, so sampler, difficulty and the budget of pairs decide for it as
they do for DPO, and ``--max-pairs=0`` takes every usable one. The others of the round would be paid for and hardly
teach: a group that is all right or all wrong has no gradient. Prompts are the token ids of the round's rollouts.

A right response earns 1, a wrong one 0. One that cannot be judged earns nothing: it is no part of its group's mean
and moves nothing. One that is cut off is neither right nor wrong, whatever it says so far, and not trained on;
``truncated=reject`` calls it wrong. Both are reported as shares of what was sampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from saidpo_core import Component, SaidpoError, Trainer, TrainingJob, TrainingReport, Trial, hookimpl, option
from saidpo_plugins.common.later import later
from saidpo_plugins.trainers.launch import spread
from saidpo_plugins.trainers.requirements import usable
from saidpo_plugins.trainers.responses import of_pair_problems, pair_problems
from saidpo_plugins.trainers.trl_common import (
    History,
    late_mean,
    load_policy,
    peft_config,
    processes_here,
    sharding,
    train,
    trl_config,
)
from saidpo_plugins.trainers.trl_options import TRLOptions


@dataclass(frozen=True, kw_only=True)
class GRPOOptions(TRLOptions):
    lr: float = option(1e-6, "peak learning rate (1e-6: TRL's default)", low=0)
    batch_size: int = option(64, "responses an optimiser step, rounded to whole groups", low=1)
    group_size: int | Literal["auto"] = option("auto", "responses a problem; auto: the run's --samples", low=2)
    max_new_tokens: int = option(1024, "token limit of a response; one that reaches it is truncated", low=1)
    temperature: float = option(1.0, "sampling temperature", low=0.01, high=10)
    beta: float = option(0.0, "strength of the pull towards the policy that the round starts from; 0 is off", low=0)
    truncated: Literal["drop", "reject"] = option(
        "drop", "responses cut off at the token limit: leave them out, or call them wrong"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.save_every:
            raise ValueError("--trainer.save_every is not for grpo: what it has sampled so far is part of its report")


class GRPO:
    def __init__(self, options: GRPOOptions) -> None:
        self.options = usable(options)

    def train(self, job: TrainingJob) -> TrainingReport:
        return spread(self, of_pair_problems(job))

    def train_here(self, job: TrainingJob) -> TrainingReport:
        from trl import GRPOConfig, GRPOTrainer

        from saidpo_plugins.trainers.pretokenised import pretokenised

        options = self.options
        group = job.samples if options.group_size == "auto" else options.group_size
        groups = whole_groups(options.batch_size, group, processes_here())
        attempts = {item.problem_id: item for item in job.attempts}
        problems = pair_problems(job)
        prompts = {id: attempts[id].prompt_ids for id in problems}
        steps = options.steps or max(1, math.ceil(options.epochs * len(problems) / groups))
        judge = Judge(job, group, options.truncated)
        config = trl_config(
            GRPOConfig,
            job,
            replace(options, batch_size=groups * group),
            max_steps=steps,
            num_generations=group,
            max_completion_length=_room(job.policy, prompts.values(), options),
            temperature=options.temperature,
            mask_truncated_completions=options.truncated == "drop",
            disable_dropout=True,
            shuffle_dataset=False,
        )

        def build(model: Any, tokenizer: Any) -> Any:
            trainer = _with_prompts(pretokenised(GRPOTrainer), prompts)(
                model=model,
                reward_funcs=judge.reward,
                args=config,
                train_dataset=_visits(problems, steps * groups, job.seed),
                processing_class=tokenizer,
                peft_config=peft_config(options),
            )
            judge.stops = set(trainer.eos_token_ids)
            if options.beta:
                _set_reference(trainer, job, options, config)
            return trainer

        return judge.report(train(job, options, config, build))


def whole_groups(batch: int, group: int, processes: int) -> int:
    """Groups a step: as near to ``batch`` responses as whole groups come that all processes can share equally."""
    least = processes // math.gcd(group, processes)
    return least * max(1, round(batch / group / least))


class Judge:
    """TRL's reward function: 1 for a right response, 0 for a wrong one, None for one that cannot be judged."""

    def __init__(self, job: TrainingJob, group: int, truncated: str) -> None:
        self.job, self.group, self.truncated = job, group, truncated
        self.stops: set[int] = set()
        self.outcomes: list[str] = []
        self.cut = 0
        self.tokens = 0

    def reward(
        self, prompts: Sequence[str], completions: Sequence[str], completion_ids: Sequence[Sequence[int]], **rest: Any
    ) -> list[float | None]:
        """``prompts`` are problem ids, group after group; of each process its share of the batch, in their order."""
        from accelerate.utils import gather_object

        cases = [(self.job.problems[id], text) for id, text in zip(prompts, completions, strict=True)]
        outcomes: list[str] = [verdict.outcome for verdict in self.job.verifier.verify(cases)]
        cut = [ids[-1] not in self.stops for ids in completion_ids]
        for row in (row for row, is_cut in enumerate(cut) if is_cut):
            outcomes[row] = "wrong" if self.truncated == "reject" else "unverifiable"
        own = [(outcome, is_cut, len(ids)) for outcome, is_cut, ids in zip(outcomes, cut, completion_ids, strict=True)]
        for outcome, is_cut, tokens in gather_object(own):
            self.outcomes.append(outcome)
            self.cut += is_cut
            self.tokens += tokens
        return [{"right": 1.0, "wrong": 0.0}.get(outcome) for outcome in outcomes]

    def report(self, history: History) -> TrainingReport:
        count = len(self.outcomes)
        unverifiable = self.outcomes.count("unverifiable")
        if unverifiable == count:
            raise SaidpoError(
                f"none of the {count} responses that grpo sampled could be judged ({self.cut} of them were cut off at "
                "the token limit), so it has learnt nothing; raise --trainer.max_new_tokens"
            )
        groups = [set(self.outcomes[start : start + self.group]) for start in range(0, count, self.group)]
        metrics = {
            "reward_first": late_mean(history[:1], "reward"),
            "reward_last": late_mean(history, "reward"),
            "groups_with_signal": sum({"right", "wrong"} <= group for group in groups) / len(groups),
            "entropy_last": late_mean(history, "entropy"),
            "kl_last": late_mean(history, "kl"),
            "truncated": self.cut / count,
            "unverifiable": unverifiable / count,
        }
        return TrainingReport(steps=len(history), metrics=metrics, generated_tokens=self.tokens)


def _with_prompts(kind: Any, prompts: Mapping[str, Sequence[int]]) -> Any:
    """TRL's trainer, taking the ids of problems for prompts, and their token ids from ``prompts``."""

    class WithPrompts(kind):  # type: ignore[misc, unused-ignore]
        def _tokenize_prompts(self, ids: list[str]) -> Any:
            return [list(prompts[id]) for id in ids], None, {}

    return WithPrompts


def _visits(problems: Sequence[str], count: int, seed: int) -> Any:
    """The order in which problems are visited: pass after pass, each in a new order, ``count`` visits in all."""
    import numpy as np
    from datasets import Dataset

    rng = np.random.Generator(np.random.PCG64(seed))
    passes = [rng.permutation(len(problems)) for _ in range(math.ceil(count / len(problems)))]
    order = np.concatenate(passes)[:count].tolist()
    return Dataset.from_dict({"prompt": [problems[row] for row in order]})


def _room(policy: Path, prompts: Iterable[Sequence[int]], options: GRPOOptions) -> int:
    """New tokens that the model has positions for after the longest prompt, at most ``max_new_tokens``."""
    from transformers import AutoConfig

    settings = AutoConfig.from_pretrained(policy, trust_remote_code=options.trust_remote_code, local_files_only=True)
    limit = getattr(settings.get_text_config(), "max_position_embeddings", None)
    wanted = options.max_new_tokens
    return wanted if limit is None else max(1, min(wanted, limit - max(map(len, prompts))))


def _set_reference(trainer: Any, job: TrainingJob, options: GRPOOptions, config: Any) -> None:
    """The policy that the round starts from; TRL would load one from the folder that the model's config names.

    With adapters it is the policy without them, which TRL knows to ask.
    """
    from trl.models import prepare_deepspeed, prepare_fsdp
    from trl.trainer.utils import add_fused_lm_head

    trainer.beta = options.beta
    if options.lora_r:
        return
    reference = load_policy(job.policy, options, config)
    add_fused_lm_head(reference, temperature=options.temperature)
    if sharding(config) == "fsdp":
        trainer.ref_model = prepare_fsdp(reference, trainer.accelerator)
    elif trainer.is_deepspeed_enabled:
        trainer.ref_model = prepare_deepspeed(reference, trainer.accelerator)
    else:
        trainer.ref_model = trainer.accelerator.prepare_model(reference, evaluation_mode=True)


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """The small policy needs no more; the default would be minutes where a response does not end."""
    yield Trial(options={"max_new_tokens": 32})


@hookimpl
def saidpo_trainers() -> list[Component[Trainer]]:
    return [
        Component(
            name="grpo",
            summary="Group Relative Policy Optimization (TRL), new responses rewarded by the run's verifier",
            options=GRPOOptions,
            build=GRPO,
            plan=later("saidpo_plugins.trainers.planning", "plan_grpo"),
            source="arXiv 2402.03300; an open question of the paper",
            trial=_trial,
        )
    ]
