"""Jobs for trainers on the embedded policy: a few problems with one right and one wrong response each."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from saidpo_core import Attempts, Pair, Problem, Response, TrainingJob, TrainingReport, Verdict, Verifier
from saidpo_plugins.common.checkpoints import load_model
from saidpo_plugins.policies.embedded import saidpo_policies
from saidpo_plugins.trainers.dpo import DPO, DPOOptions
from saidpo_plugins.trainers.grpo import GRPO, GRPOOptions
from saidpo_plugins.trainers.kto import KTO, KTOOptions
from saidpo_plugins.trainers.sft import SFT, SFTOptions
from saidpo_plugins.verifiers.math import MathOptions, MathVerifier

POLICY = saidpo_policies()[0].folder
TEXTS = [
    ("Compute 3 + 4 * 5.", "4*5=20\n3+20=23\n#### 23", "3+4=7\n7*5=35\n#### 35"),
    ("What is the mean of 10 and 20?", "10+20=30\n30/2=15\n#### 15", "10+20=30\n#### 30"),
    ("Solve 2x + 3 = 11.", "11-3=8\n8/2=4\n#### 4", "11-3=8\n#### 8"),
    ("A coat of 300 is 20% off. What does it cost?", "3*20=60\n300-60=240\n#### 240", "300-20=280\n#### 280"),
]
KINDS: dict[str, tuple[Any, Any]] = {
    "dpo": (DPO, DPOOptions),
    "sft": (SFT, SFTOptions),
    "kto": (KTO, KTOOptions),
    "grpo": (GRPO, GRPOOptions),
}
QUICK: dict[str, dict[str, Any]] = {
    "dpo": {"batch_size": 4, "micro_batch_size": 4},
    "sft": {"batch_size": 4, "micro_batch_size": 4},
    "kto": {"batch_size": 8, "micro_batch_size": 8},
    "grpo": {"batch_size": 16, "micro_batch_size": 16, "max_new_tokens": 32},
}


@cache
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(POLICY)


def prompt_ids(question: str) -> tuple[int, ...]:
    return tuple(tokenizer()(question + "\n")["input_ids"])


def respond(text: str) -> Response:
    ids = (*tokenizer()(text)["input_ids"], tokenizer().eos_token_id)
    return Response(text=text, token_ids=ids, logprobs=(0.0,) * len(ids), finish_reason="stop")


def attempts_at(question: str, right: Sequence[str], wrong: Sequence[str]) -> Attempts:
    return Attempts(
        problem_id=question,
        prompt_ids=prompt_ids(question),
        responses=tuple(map(respond, (*right, *wrong))),
        verdicts=(Verdict(outcome="right"),) * len(right) + (Verdict(outcome="wrong"),) * len(wrong),
    )


def pair_of(attempts: Attempts) -> Pair:
    return Pair(
        problem_id=attempts.problem_id,
        prompt_ids=attempts.prompt_ids,
        chosen=attempts.right[0],
        rejected=attempts.wrong[0],
    )


def make_job(out: Path, attempts: Sequence[Attempts] | None = None, **fields: Any) -> TrainingJob:
    """One pair for each of ``attempts``; by default one right and one wrong response to each of ``TEXTS``."""
    if attempts is None:
        attempts = [attempts_at(question, [right], [wrong]) for question, right, wrong in TEXTS]
    answers = {question: right.split("#### ")[1] for question, right, _ in TEXTS}
    out.mkdir()
    values: dict[str, Any] = {
        "policy": POLICY,
        "initial_policy": POLICY,
        "out": out,
        "pairs": tuple(map(pair_of, attempts)),
        "attempts": tuple(attempts),
        "problems": {a.problem_id: Problem(id=a.problem_id, question=a.problem_id, answer=answers[a.problem_id])
                     for a in attempts},
        "samples": 8,
        "verifier": MathVerifier(MathOptions()),
        "round": 1,
        "seed": 1,
        "progress": lambda done, total: None,
    }  # fmt: skip
    return TrainingJob(**{**values, **fields})


def train(kind: str, job: TrainingJob, **options: Any) -> TrainingReport:
    """A few quick steps of the trainer ``kind``."""
    build, make_options = KINDS[kind]
    quick = {"lr": 1e-4, "steps": 3, "warmup": 0.0, "scheduler": "constant", **QUICK[kind]}
    report: TrainingReport = build(make_options(**{**quick, **options})).train(job)
    return report


@lru_cache(maxsize=4)
def _trained(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder)


def logp(folder: Path, prompt: Sequence[int], response: Sequence[int]) -> float:
    """Log-probability of a response under the policy in ``folder``, in nats."""
    model = _trained(folder)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
    return float(torch.log_softmax(logits, -1).gather(1, torch.tensor(tuple(response))[:, None]).sum())


def weights(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    return state


def misname_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the config of every policy that a trainer loads names the embedded one as where it came from."""

    def load(folder: Path, **options: Any) -> Any:
        model = load_model(folder, **options)
        model.config._name_or_path = str(POLICY)
        return model

    monkeypatch.setattr("saidpo_plugins.trainers.trl_common.load_model", load)


def watch_models(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Any]]:
    """Every model that a trainer loads from now on, as long as it lives."""
    models: list[weakref.ref[Any]] = []

    def load(folder: Path, **options: Any) -> Any:
        model = load_model(folder, **options)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr("saidpo_plugins.trainers.trl_common.load_model", load)
    return models


class SaysVerifier:
    """A verifier that follows ``outcome(problem, response)``, and remembers what it was asked."""

    def __init__(self, outcome: Callable[[Problem, str], Any]) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, str]] = []

    def self_test(self) -> None: ...

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        self.asked += [(problem.id, text) for problem, text in cases]
        return [Verdict(outcome=self.outcome(problem, text)) for problem, text in cases]

    def close(self) -> None: ...


_: type[Verifier] = SaysVerifier
