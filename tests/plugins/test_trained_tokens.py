"""With a chat template too, the token ids that were sampled are the ones that the model sees in training."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from transformers import LlamaModel

from saidpo_core import Attempts, Pair, Request, TrainingJob, Verdict
from saidpo_core.prompts import PROMPTS
from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions
from tests.builders import make_problem
from tests.chat_policy import make_chat_policy
from tests.plugins.trainer_jobs import KINDS, QUICK


def sampled(folder: Path) -> list[Attempts]:
    """Responses of a chat policy, the first of each problem called right; texts that spell back to other ids."""
    problems = [make_problem(id=f"p{n}", question=f"What is {n} + {n}?") for n in range(3)]
    requests = [Request(problem=problem, seeds=(1, 2), prompt=PROMPTS["qwen-math"]) for problem in problems]
    options = TransformersOptions(max_new_tokens=24, device="cpu")
    with TransformersGenerator(options).load(folder) as engine:
        generations = engine.generate(requests)
        texts = [response.text for generation in generations for response in generation.responses]
        ids = [response.token_ids for generation in generations for response in generation.responses]
        again = [tuple(engine.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    assert all(a != b for a, b in zip(ids, again, strict=True))  # so a trainer that tokenises texts would be noticed
    verdicts = (Verdict(outcome="right"), Verdict(outcome="wrong"))
    return [
        Attempts(problem_id=p.id, prompt_ids=g.prompt_ids, responses=g.responses, verdicts=verdicts)
        for p, g in zip(problems, generations, strict=True)
    ]


@pytest.mark.parametrize("kind", ["dpo", pytest.param("sft", marks=pytest.mark.slow)])
def test_what_was_sampled_is_what_is_trained(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_chat_policy(tmp_path / "policy")
    attempts = sampled(folder)
    seen: set[tuple[int, ...]] = set()
    forward = LlamaModel.forward

    def noting(self: Any, input_ids: Any = None, attention_mask: Any = None, **rest: Any) -> Any:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        seen.update(tuple(row[keep.bool()].tolist()) for row, keep in zip(input_ids, mask, strict=True))
        return forward(self, input_ids=input_ids, attention_mask=attention_mask, **rest)

    monkeypatch.setattr(LlamaModel, "forward", noting)
    pairs = [
        Pair(problem_id=a.problem_id, prompt_ids=a.prompt_ids, chosen=a.responses[0], rejected=a.responses[1])
        for a in attempts
    ]
    (tmp_path / "out").mkdir()
    job = TrainingJob(
        policy=folder,
        initial_policy=folder,
        out=tmp_path / "out",
        pairs=pairs,
        attempts=attempts,
        problems=MappingProxyType({a.problem_id: make_problem(id=a.problem_id) for a in attempts}),
        samples=2,
        verifier=None,  # type: ignore[arg-type]
        round=1,
        seed=0,
        progress=lambda done, total: None,
    )
    build, options = KINDS[kind]
    build(options(**QUICK[kind])).train(job)
    chosen = {pair.prompt_ids + pair.chosen.token_ids for pair in pairs}
    rejected = {pair.prompt_ids + pair.rejected.token_ids for pair in pairs}
    assert seen == (chosen | rejected if kind == "dpo" else chosen)
