"""Trainer ``kto``: single right and wrong responses, the right reference, balanced sides, mismatched KL responses."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from saidpo_core.run_dir import sha256
from saidpo_plugins.trainers.kto import balanced_weights, mismatched
from tests.plugins.trainer_jobs import (
    POLICY,
    TEXTS,
    attempts_at,
    logp,
    make_job,
    misname_models,
    prompt_ids,
    respond,
    train,
)


def test_it_makes_right_responses_likelier_and_wrong_ones_less_likely(tmp_path: Path) -> None:
    report = train("kto", make_job(tmp_path / "new"), steps=4)
    for question, right, wrong in TEXTS:
        prompt, good, bad = prompt_ids(question), respond(right).token_ids, respond(wrong).token_ids
        assert logp(tmp_path / "new", prompt, good) > logp(POLICY, prompt, good)
        assert logp(tmp_path / "new", prompt, bad) < logp(POLICY, prompt, bad)
    assert report.metrics["chosen_logp_drift"] > 0 > report.metrics["rejected_logp_drift"]


def test_the_reference_is_the_rounds_own_policy_whatever_its_config_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("kto", make_job(tmp_path / "round-1"), steps=4)
    misname_models(monkeypatch)
    # At the first step the policy is the reference: all log-ratios are 0, and so every loss is sigmoid(0) = 1/2.
    report = train("kto", make_job(tmp_path / "round-2", policy=tmp_path / "round-1"), steps=1)
    assert report.metrics["loss_first"] == pytest.approx(0.5, abs=1e-5)


def test_responses_train_as_trl_trains_their_texts(tmp_path: Path) -> None:
    """Tokenised by us or by TRL from the texts: the same bits, if no two neighbours are of the same problem."""
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    rows = [(q, right, True) for q, right, _ in TEXTS] + [(q, wrong, False) for q, _, wrong in TEXTS]

    def order(seed: int) -> list[tuple[str, str, bool]]:
        return [rows[i] for i in np.random.Generator(np.random.PCG64(seed)).permutation(len(rows))]

    seed = next(
        s for s in itertools.count() if all(a[0] != b[0] for a, b in itertools.pairwise([*order(s), order(s)[0]]))
    )
    train("kto", make_job(tmp_path / "ours", seed=seed), steps=4)
    config = KTOConfig(
        output_dir=str(tmp_path / "trl"), per_device_train_batch_size=8, max_steps=4, learning_rate=1e-4,
        lr_scheduler_type="constant", bf16=False, gradient_checkpointing=False, use_cpu=True, seed=seed, beta=0.1,
        report_to="none", save_strategy="no", max_grad_norm=1.0, max_length=None, precompute_ref_log_probs=True,
    )  # fmt: skip
    trainer = KTOTrainer(
        model=AutoModelForCausalLM.from_pretrained(POLICY),
        args=config,
        train_dataset=Dataset.from_list(
            [{"prompt": q + "\n", "completion": t, "label": is_right} for q, t, is_right in order(seed)]
        ),
        processing_class=AutoTokenizer.from_pretrained(POLICY),
    )
    trainer.train()
    trainer.model.save_pretrained(tmp_path / "theirs")
    assert sha256(tmp_path / "ours" / "model.safetensors") == sha256(tmp_path / "theirs" / "model.safetensors")


def test_every_distinct_response_is_trained_on_and_the_rarer_side_weighs_more(tmp_path: Path) -> None:
    question, right, wrong = TEXTS[0]
    attempts = [attempts_at(question, [right], [wrong, wrong, "3+4=7\n#### 7", "#### 1"])]
    report = train("kto", make_job(tmp_path / "new", attempts), steps=1, batch_size=4, micro_batch_size=4)
    assert (report.metrics["right"], report.metrics["wrong"]) == (1, 3)
    # Every loss is 1/2 at the first step: (3 * 1/2 + 1/2 + 1/2 + 1/2) / 4.
    assert report.metrics["loss_first"] == pytest.approx(0.75, abs=1e-5)
    pairs = train("kto", make_job(tmp_path / "pairs", attempts), steps=1, responses="pairs")
    assert (pairs.metrics["right"], pairs.metrics["wrong"]) == (1, 1)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.floats(0.1, 10))
def test_the_sides_weigh_as_balance_says_and_no_weight_is_below_one(right: int, wrong: int, balance: float) -> None:
    first, second = balanced_weights(right, wrong, balance)
    assert right * first == pytest.approx(balance * wrong * second)
    assert min(first, second) == 1


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=24), st.integers(2, 8))
def test_the_kl_term_takes_a_response_to_another_problem(ids: list[str], batch: int) -> None:
    partners = mismatched(ids, batch)
    for row, other in enumerate(partners):
        start = row - row % batch
        if len(set(ids)) > 1:
            assert ids[other] != ids[row]
        if len(set(ids[start : start + batch])) > 1:
            assert start <= other < start + batch
        if len(ids) > 1:
            assert other != row
