"""Trainer ``sft``: the right responses as they were sampled, the loss on these only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from saidpo_core import Response, TrainingJob
from saidpo_core.run_dir import sha256
from saidpo_plugins.trainers.responses import ResponseOptions, examples
from tests.builders import make_attempts, make_response
from tests.plugins.trainer_jobs import POLICY, TEXTS, attempts_at, logp, make_job, pair_of, prompt_ids, respond, train


def test_responses_train_as_trl_trains_their_texts(tmp_path: Path) -> None:
    """Tokenised by us or by TRL from the texts: the same weights to the bit."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    train("sft", make_job(tmp_path / "ours", seed=7), batch_size=2, micro_batch_size=2, steps=4)
    config = SFTConfig(
        output_dir=str(tmp_path / "trl"), per_device_train_batch_size=2, max_steps=4, learning_rate=1e-4,
        lr_scheduler_type="constant", bf16=False, gradient_checkpointing=False, use_cpu=True, seed=7,
        report_to="none", save_strategy="no", max_grad_norm=1.0, max_length=None,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(POLICY),
        args=config,
        train_dataset=Dataset.from_list([{"prompt": q + "\n", "completion": right} for q, right, _ in TEXTS]),
        processing_class=AutoTokenizer.from_pretrained(POLICY),
    )
    trainer.train()
    trainer.model.save_pretrained(tmp_path / "theirs")
    assert sha256(tmp_path / "ours" / "model.safetensors") == sha256(tmp_path / "theirs" / "model.safetensors")


def test_the_loss_is_the_mean_over_the_tokens_of_right_responses(tmp_path: Path) -> None:
    """So no token of a prompt and no wrong response is in it, and the end token is."""
    report = train("sft", make_job(tmp_path / "new"), steps=1)
    pairs = [(prompt_ids(question), respond(right).token_ids) for question, right, _ in TEXTS]
    total = sum(logp(POLICY, prompt, ids) for prompt, ids in pairs)
    assert report.metrics["loss_first"] == pytest.approx(-total / sum(len(ids) for _, ids in pairs), rel=1e-4)


def test_what_a_pair_cuts_off_belongs_to_the_prompt(tmp_path: Path) -> None:
    question, right, wrong = TEXTS[1]
    job = make_job(tmp_path / "new", [attempts_at(question, [right], [wrong])])
    prompt, ids = prompt_ids(question), respond(right).token_ids
    cut = len(tuple(1 for a, b in zip(ids, respond(wrong).token_ids, strict=False) if a == b)) - 1
    rest = Response(text="", token_ids=ids[cut:], logprobs=(0.0,) * (len(ids) - cut), finish_reason="stop")
    pair = replace(job.pairs[0], prompt_ids=prompt + ids[:cut], chosen=rest)
    report = train("sft", replace(job, pairs=(pair,)), steps=1, responses="pairs")
    due = -logp(POLICY, prompt + ids[:cut], ids[cut:]) / len(ids[cut:])
    assert report.metrics["loss_first"] == pytest.approx(due, rel=1e-4)


def test_it_makes_the_right_responses_likelier(tmp_path: Path) -> None:
    train("sft", make_job(tmp_path / "new"))
    for question, right, _ in TEXTS:
        prompt, ids = prompt_ids(question), respond(right).token_ids
        assert logp(tmp_path / "new", prompt, ids) > logp(POLICY, prompt, ids)


def test_accumulated_micro_batches_train_as_one_batch(tmp_path: Path) -> None:
    one = train("sft", make_job(tmp_path / "one"), micro_batch_size=4)
    two = train("sft", make_job(tmp_path / "two"), micro_batch_size=1)
    assert two.metrics["loss_last"] == pytest.approx(one.metrics["loss_last"], rel=1e-4)


def test_responses_of_the_pairs_or_all_of_their_problems(tmp_path: Path) -> None:
    question, right, wrong = TEXTS[0]
    spoken = [right, right, f"3+0=3\n{right}", f"4*5=20\n{right}"]
    attempts = [attempts_at(question, spoken, [wrong]), attempts_at(TEXTS[1][0], [TEXTS[1][1]], [TEXTS[1][2]])]
    job = make_job(tmp_path / "new", attempts)
    job = replace(job, pairs=job.pairs[:1])
    assert train("sft", job, steps=1).metrics["responses"] == 3  # the same one twice counts once; no other problem
    assert train("sft", job, steps=1, per_problem=2).metrics["responses"] == 2
    assert train("sft", job, steps=1, responses="pairs").metrics["responses"] == 1


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    return make_job(tmp_path_factory.mktemp("job") / "out")


@given(
    drawn=st.lists(st.lists(st.tuples(st.sampled_from("rwu"), st.integers(1, 3)), max_size=8), max_size=4),
    limit=st.integers(0, 3),
    outcome=st.sampled_from(["right", "wrong"]),
)
def test_every_example_was_judged_so_and_none_is_missing(
    job: TrainingJob, drawn: list[list[tuple[str, int]]], limit: int, outcome: Literal["right", "wrong"]
) -> None:
    """``drawn``: for each problem outcomes of responses, and their lengths, by which they are told apart."""
    attempts = [
        make_attempts("".join(o for o, _ in rows), [make_response("x", tokens=n) for _, n in rows], problem_id=f"p{i}")
        for i, rows in enumerate(drawn)
    ]
    usable = [item for item in attempts if item.usable]
    job = replace(job, attempts=tuple(attempts), pairs=tuple(map(pair_of, usable)))
    found: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    for example in examples(job, ResponseOptions(per_problem=limit), outcome):
        found[example.problem_id].append(example.response.token_ids)
    for item in usable:
        judged = {r.token_ids for r in (item.right if outcome == "right" else item.wrong)}
        mine = found[item.problem_id]
        assert set(mine) <= judged
        assert len(mine) == len(set(mine)) == min(len(judged), limit or 8)
    assert set(found) == {item.problem_id for item in usable}
