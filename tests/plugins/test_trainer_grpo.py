"""Trainer ``grpo``: rewards by the verifier, exact prompts, what cannot be judged moves nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationMixin

from saidpo_core import Problem, SaidpoError
from tests.plugins.trainer_jobs import (
    POLICY,
    TEXTS,
    SaysVerifier,
    attempts_at,
    logp,
    make_job,
    misname_models,
    prompt_ids,
    respond,
    tokenizer,
    train,
    weights,
)

QUESTION, RIGHT, WRONG = TEXTS[1]


def one_problem() -> list[Any]:
    return [attempts_at(QUESTION, [RIGHT], [WRONG])]


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(prompt, response) token ids of whatever ``model.generate`` was asked for and gave."""
    rows: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    generate = GenerationMixin.generate

    def spy(self: Any, **arguments: Any) -> Any:
        out = generate(self, **arguments)
        ids, mask, end = arguments["input_ids"], arguments["attention_mask"], tokenizer().eos_token_id
        for prompt, seen, row in zip(ids, mask, out[:, ids.shape[1] :].tolist(), strict=True):
            rows.append((tuple(prompt[seen.bool()].tolist()), tuple(row[: row.index(end) + 1] if end in row else row)))
        return out

    monkeypatch.setattr(GenerationMixin, "generate", spy)
    return rows


def gap(folder: Path) -> float:
    """How much likelier the right response is than the wrong one, in nats."""
    return logp(folder, prompt_ids(QUESTION), respond(RIGHT).token_ids) - logp(
        folder, prompt_ids(QUESTION), respond(WRONG).token_ids
    )


def test_the_policy_moves_to_what_the_verifier_calls_right(tmp_path: Path) -> None:
    def says(answer: str) -> SaysVerifier:
        return SaysVerifier(lambda problem, text: "right" if text.endswith(f"#### {answer}") else "wrong")

    for answer in ("15", "30"):
        job = make_job(tmp_path / answer, one_problem(), verifier=says(answer))
        train("grpo", job, steps=6, lr=3e-4)
    assert gap(tmp_path / "15") > gap(POLICY) + 0.1
    assert gap(tmp_path / "30") < gap(POLICY) - 0.1


def test_prompts_are_the_ids_of_the_rollouts_and_groups_as_large_as_theirs(
    tmp_path: Path, generated: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    # Ids that no question of a problem tokenises to: the prompt with its start said twice.
    attempts = [
        replace(attempts_at(question, [right], [wrong]), prompt_ids=prompt_ids("Compute ") + prompt_ids(question))
        for question, right, wrong in TEXTS[:2]
    ]
    job = make_job(tmp_path / "new", attempts, samples=4)
    train("grpo", job, steps=2, batch_size=8, micro_batch_size=8)
    assert Counter(prompt for prompt, _ in generated) == {item.prompt_ids: 2 * 4 for item in attempts}


def test_what_was_generated_is_judged_and_counted(
    tmp_path: Path, generated: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    verifier = SaysVerifier(lambda problem, text: "right" if text.endswith(problem.answer) else "wrong")
    report = train("grpo", make_job(tmp_path / "new", verifier=verifier), steps=2)
    texts = tokenizer().batch_decode([ids for _, ids in generated], skip_special_tokens=True)
    by_prompt = {prompt_ids(question): question for question, _, _ in TEXTS}
    assert verifier.asked == [(by_prompt[prompt], text) for (prompt, _), text in zip(generated, texts, strict=True)]
    assert report.generated_tokens == sum(len(ids) for _, ids in generated)
    assert len(generated) == 2 * 16


def test_only_the_problems_of_the_pairs_are_visited_each_in_every_pass(tmp_path: Path) -> None:
    verifier = SaysVerifier(lambda problem, text: "right" if text.endswith(problem.answer) else "wrong")
    job = make_job(tmp_path / "new", verifier=verifier)
    job = replace(job, pairs=job.pairs[:3])
    train("grpo", job, steps=0, epochs=2.0, batch_size=2, micro_batch_size=2, group_size=2)
    assert Counter(id for id, _ in verifier.asked) == {pair.problem_id: 2 * 2 for pair in job.pairs}
    visited = [id for id, _ in verifier.asked][::2]
    assert len(set(visited[:3])) == 3


def test_what_cannot_be_judged_moves_nothing(tmp_path: Path) -> None:
    """Taken for wrong, the unjudged responses would be pushed away from the right ones."""

    def outcome(problem: Problem, text: str) -> str:
        return "right" if text.endswith(problem.answer) else "unverifiable"

    report = train("grpo", make_job(tmp_path / "new", one_problem(), verifier=SaysVerifier(outcome)), steps=2)
    assert 0 < report.metrics["unverifiable"] < 1
    assert report.metrics["groups_with_signal"] == 0
    old, new = weights(POLICY), weights(tmp_path / "new")
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_truncated_responses_are_left_out_or_called_wrong_but_never_right(tmp_path: Path) -> None:
    always = SaysVerifier(lambda problem, text: "right")
    with pytest.raises(SaidpoError, match=r"none of the 32 responses .*\(32 of them were cut off .*max_new_tokens"):
        train("grpo", make_job(tmp_path / "drop", verifier=always), max_new_tokens=2, steps=2)
    report = train(
        "grpo", make_job(tmp_path / "reject", verifier=always), max_new_tokens=2, steps=2, truncated="reject"
    )
    assert report.metrics["truncated"] == 1
    assert report.metrics["reward_last"] == 0
    some = train("grpo", make_job(tmp_path / "some", verifier=always), max_new_tokens=16, steps=1, truncated="reject")
    assert 0 < some.metrics["truncated"] < 1
    assert some.metrics["reward_last"] == pytest.approx(1 - some.metrics["truncated"])


def test_a_response_stays_within_the_positions_of_the_model(
    tmp_path: Path, generated: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(POLICY)
    model.config.max_position_embeddings = limit = len(prompt_ids(QUESTION)) + 5
    model.save_pretrained(tmp_path / "short")
    tokenizer().save_pretrained(tmp_path / "short")
    job = make_job(tmp_path / "new", one_problem(), policy=tmp_path / "short")
    train("grpo", job, steps=1, truncated="reject", max_new_tokens=64)
    assert max(len(prompt) + len(ids) for prompt, ids in generated) == limit


def test_beta_pulls_to_the_rounds_own_policy_whatever_its_config_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("sft", make_job(tmp_path / "round-1"), lr=1e-3)
    misname_models(monkeypatch)
    still = train("grpo", make_job(tmp_path / "still", policy=tmp_path / "round-1"), beta=0.5, lr=0.0, steps=2)
    assert still.metrics["kl_last"] == pytest.approx(0, abs=1e-6)
    moved = train("grpo", make_job(tmp_path / "moved", policy=tmp_path / "round-1"), beta=0.5, lr=1e-3, steps=4)
    assert moved.metrics["kl_last"] > 1e-5


def test_a_policy_that_breaks_half_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SaidpoError, match=r"not finite; lower --trainer.lr"):
        train("grpo", make_job(tmp_path / "broken"), lr=1e38, max_grad_norm=1e30)
