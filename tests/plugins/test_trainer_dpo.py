"""Trainer ``dpo`` on the embedded policy: the real TRL, the pairs as they were sampled, the right reference."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import get_args

import pytest
import torch
import trl
from transformers import AutoModelForCausalLM, AutoTokenizer

from saidpo_core import Pair, Response, SaidpoError, TrainingJob, TrainingReport, UsageError
from saidpo_core.options import build_options
from saidpo_core.run_dir import sha256
from saidpo_plugins.policies.embedded import saidpo_policies
from saidpo_plugins.trainers.dpo import DPO, DPOOptions, Loss
from saidpo_plugins.verifiers.math import MathOptions, MathVerifier
from tests.plugins.trainer_jobs import make_job, watch_models

POLICY = saidpo_policies()[0].folder
TEXTS = [
    ("Compute 3 + 4 * 5.", "4*5=20\n3+20=23\n#### 23", "3+4=7\n7*5=35\n#### 35"),
    ("What is the mean of 10 and 20?", "10+20=30\n30/2=15\n#### 15", "10+20=30\n#### 30"),
    ("Solve 2x + 3 = 11.", "11-3=8\n8/2=4\n#### 4", "11-3=8\n#### 8"),
    ("A coat of 300 is 20% off. What does it cost?", "3*20=60\n300-60=240\n#### 240", "300-20=280\n#### 280"),
]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    tokenizer = AutoTokenizer.from_pretrained(POLICY)

    def response(text: str) -> Response:
        ids = (*tokenizer(text)["input_ids"], tokenizer.eos_token_id)
        return Response(text=text, token_ids=ids, logprobs=(0.0,) * len(ids), finish_reason="stop")

    return [
        Pair(
            problem_id=question,
            prompt_ids=tuple(tokenizer(question + "\n")["input_ids"]),
            chosen=response(right),
            rejected=response(wrong),
        )
        for question, right, wrong in TEXTS
    ]


def train(out: Path, pairs: list[Pair], *, policy: Path = POLICY, seed: int = 1, **options: object) -> TrainingReport:
    defaults = {"lr": 1e-4, "steps": 4, "batch_size": 4, "micro_batch_size": 4, "warmup": 0.0}
    out.mkdir()
    job = TrainingJob(
        policy=policy,
        initial_policy=POLICY,
        out=out,
        pairs=pairs,
        attempts=[],
        problems={},
        samples=8,
        verifier=MathVerifier(MathOptions()),
        round=1,
        seed=seed,
        progress=lambda done, total: None,
    )
    return DPO(DPOOptions(**{**defaults, **options})).train(job)  # type: ignore[arg-type]


def margin(folder: Path, pairs: list[Pair]) -> float:
    """Mean log-probability of chosen minus rejected."""
    model = AutoModelForCausalLM.from_pretrained(folder)

    def logp(prompt: tuple[int, ...], response: tuple[int, ...]) -> float:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
        return float(torch.log_softmax(logits, -1).gather(1, torch.tensor(response)[:, None]).sum())

    return sum(logp(p.prompt_ids, p.chosen.token_ids) - logp(p.prompt_ids, p.rejected.token_ids) for p in pairs) / len(
        pairs
    )


def test_it_learns_the_preference_and_leaves_the_old_policy_alone(tmp_path: Path, pairs: list[Pair]) -> None:
    before = {path.name: sha256(path) for path in POLICY.iterdir()}
    report = train(tmp_path / "new", pairs)
    assert margin(tmp_path / "new", pairs) > margin(POLICY, pairs) + 0.5
    assert report.steps == 4
    assert report.metrics["chosen_logp_drift"] > report.metrics["rejected_logp_drift"]
    assert {path.name: sha256(path) for path in POLICY.iterdir()} == before


def test_the_same_job_gives_the_same_bits(tmp_path: Path, pairs: list[Pair]) -> None:
    train(tmp_path / "a", pairs, seed=3, batch_size=2, micro_batch_size=2)
    train(tmp_path / "b", pairs, seed=3, batch_size=2, micro_batch_size=2)
    train(tmp_path / "c", pairs, seed=4, batch_size=2, micro_batch_size=2)
    first, same, other = (sha256(tmp_path / name / "model.safetensors") for name in "abc")
    assert first == same
    assert first != other


def test_the_reference_is_the_rounds_own_policy_or_the_first_one(tmp_path: Path, pairs: list[Pair]) -> None:
    train(tmp_path / "round-1", pairs)
    # At the first step the policy is the reference: every margin is 0, the loss log 2.
    own = train(tmp_path / "previous", pairs, policy=tmp_path / "round-1", reference="previous")
    assert own.metrics["loss_first"] == pytest.approx(math.log(2), abs=1e-4)
    first = train(tmp_path / "initial", pairs, policy=tmp_path / "round-1", reference="initial")
    assert first.metrics["loss_first"] < math.log(2) - 0.01


def test_the_nll_term_is_added(tmp_path: Path, pairs: list[Pair]) -> None:
    plain = train(tmp_path / "plain", pairs, steps=1)
    with_nll = train(tmp_path / "nll", pairs, steps=1, nll=0.5)
    assert with_nll.metrics["loss_first"] > plain.metrics["loss_first"] + 0.01


def test_accumulated_micro_batches_train_as_one_batch(tmp_path: Path, pairs: list[Pair]) -> None:
    train(tmp_path / "one", pairs, micro_batch_size=4)
    train(tmp_path / "two", pairs, micro_batch_size=2)
    one, two = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in ("one", "two"))
    assert all(torch.allclose(one[key], two[key], atol=1e-5) for key in one)


def test_pairs_train_as_trl_trains_their_texts(tmp_path: Path, pairs: list[Pair]) -> None:
    """Tokenised by us or by TRL from the texts: the same weights to the bit."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    train(tmp_path / "ours", pairs, seed=7, nll=0.5)
    texts = [{"prompt": q + "\n", "chosen": right, "rejected": wrong} for q, right, wrong in TEXTS]
    config = DPOConfig(
        output_dir=str(tmp_path / "trl"), per_device_train_batch_size=4, max_steps=4, learning_rate=1e-4, beta=0.1,
        lr_scheduler_type="cosine", loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5],
        precompute_ref_log_probs=True,
        bf16=False, gradient_checkpointing=False, use_cpu=True, seed=7, report_to="none", save_strategy="no",
        max_grad_norm=1.0, max_length=None,
    )  # fmt: skip
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(POLICY),
        args=config,
        train_dataset=Dataset.from_list(texts),
        processing_class=AutoTokenizer.from_pretrained(POLICY),
    )
    trainer.train()
    trainer.model.save_pretrained(tmp_path / "theirs")
    assert sha256(tmp_path / "ours" / "model.safetensors") == sha256(tmp_path / "theirs" / "model.safetensors")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, pairs: list[Pair]) -> None:
    with pytest.raises(SaidpoError, match=r"not finite; lower --trainer.lr"):
        train(tmp_path / "broken", pairs, lr=1e30, max_grad_norm=1e30, scheduler="constant")


def test_only_safetensors_are_written(tmp_path: Path, pairs: list[Pair]) -> None:
    train(tmp_path / "new", pairs, steps=1)
    names = {path.name for path in (tmp_path / "new").rglob("*")}
    assert "model.safetensors" in names
    assert not {name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))}


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_loss_prefers_the_right_responses(loss: str, tmp_path: Path, pairs: list[Pair]) -> None:
    """Also with the log-likelihood term, and in micro-batches of two pairs."""
    report = train(tmp_path / "new", pairs, loss=loss, nll=0.1, steps=2, micro_batch_size=2, scheduler="constant")
    assert report.metrics["chosen_logp_drift"] > report.metrics["rejected_logp_drift"]


def test_the_losses_are_those_of_trl_but_for_the_refused(pairs: list[Pair]) -> None:
    known = set(re.findall(r"loss_type == \"(\w+)\"", inspect.getsource(trl.DPOTrainer._compute_loss)))
    assert known - set(get_args(Loss)) == {"sft", "discopop"}
    for loss in ("sft", "discopop", "sigmoidal"):
        with pytest.raises(UsageError, match=rf"--trainer.loss: expected sigmoid\|.*, got '{loss}'"):
            build_options(DPOOptions, {"loss": loss}, {"loss": "--trainer.loss"})


@pytest.mark.parametrize("loss", ["ipo", "sppo_hard"])
def test_a_loss_that_divides_by_beta_needs_one(loss: str) -> None:
    with pytest.raises(UsageError, match=rf"--trainer.beta must be above 0: --trainer.loss={loss}"):
        build_options(DPOOptions, {"loss": loss, "beta": 0.0}, {"loss": "", "beta": ""})


def test_discopop_would_prefer_the_wrong_responses(tmp_path: Path, pairs: list[Pair]) -> None:
    """Why it is refused; only options that were checked are."""
    train(tmp_path / "new", pairs, loss="discopop")
    assert margin(tmp_path / "new", pairs) < margin(POLICY, pairs)


def test_the_first_policy_is_gone_from_memory_when_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = watch_models(monkeypatch)
    alive: list[int] = []
    job = make_job(tmp_path / "new", progress=lambda done, total: alive.append(sum(m() is not None for m in models)))
    DPO(DPOOptions(reference="initial", steps=1)).train(job)
    assert len(models) == 2
    assert alive == [1]
