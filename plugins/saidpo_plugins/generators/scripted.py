"""Generator ``scripted``: responses that were written down before, from a file, whatever the policy would say.

**Ours**. For trying a pool, a verifier or a whole run without a model that can answer (the small policies of the tests
cannot write programs), and for responses that another engine has sampled. One JSON object a line:
``{"id": ID OF A PROBLEM, "responses": [TEXT, ...]}``. Which of them a request gets is decided by its seed alone; greedy
takes the first.

Token ids are the policy's, an end token after them, and log-probabilities are what the policy gives these tokens, one
pass over each response: both are true of the policy, only that it has not sampled them. So pairs train it as usual.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import (
    Component,
    Generation,
    Generator,
    Problem,
    Request,
    Response,
    Trial,
    UsageError,
    hookimpl,
    option,
)
from saidpo_plugins.common.checkpoints import check_checkpoint
from saidpo_plugins.generators.transformers import TransformersEngine, TransformersGenerator, TransformersOptions


@dataclass(frozen=True, kw_only=True)
class ScriptedOptions:
    path: Path | None = option(None, "the responses: .jsonl with id and responses (required)")
    max_new_tokens: int = option(1024, "token limit of a response; a longer one is truncated", low=1)
    batch_size: int = option(32, "responses whose log-probabilities are computed side by side", low=1)


class ScriptedGenerator:
    def __init__(self, options: ScriptedOptions) -> None:
        self.options = options

    def check(self, policy: Path) -> None:
        check_checkpoint(policy)
        self._responses()

    def preflight(self, policy: Path, requests: Sequence[Request]) -> list[str]:
        from saidpo_plugins.common.preflight import preflight

        return preflight(policy, requests, max_new_tokens=self.options.max_new_tokens)

    @contextmanager
    def load(self, policy: Path) -> Iterator[ScriptedEngine]:
        responses = self._responses()
        with TransformersGenerator(TransformersOptions()).load(policy) as engine:
            yield ScriptedEngine(engine, responses, self.options)

    def _responses(self) -> dict[str, list[str]]:
        path = self.options.path
        if path is None:
            raise UsageError("--generator=scripted needs a file: --generator.path=FILE (.jsonl)")
        found: dict[str, list[str]] = {}
        try:
            lines = path.expanduser().read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{path}:{number}: broken JSON ({error}); expected one JSON object a line") from error
            if not _is_row(row):
                raise UsageError(f'{path}:{number}: expected {{"id": TEXT, "responses": [TEXT, ...]}}, none empty')
            if row["id"] in found:
                raise UsageError(f"{path}:{number}: the id {row['id']!r} has come before")
            found[row["id"]] = row["responses"]
        return found


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return False
    responses = row.get("responses")
    return isinstance(responses, list) and bool(responses) and all(isinstance(r, str) and r for r in responses)


class ScriptedEngine:
    """A loaded policy that says what is written down."""

    def __init__(self, engine: TransformersEngine, responses: dict[str, list[str]], options: ScriptedOptions) -> None:
        self.engine = engine
        self.responses = responses
        self.options = options

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        prompts = [self.engine.prompt_ids(request) for request in requests]
        rows = [
            (prompt, *self._chosen(request.problem, 0 if greedy else seed, len(prompt)))
            for prompt, request in zip(prompts, requests, strict=True)
            for seed in request.seeds
        ]
        size = self.options.batch_size
        made: list[Response] = []
        for start in range(0, len(rows), size):
            made += self._scored(rows[start : start + size])
        responses = iter(made)
        return [
            Generation(prompt_ids=prompt, responses=tuple(next(responses) for _ in request.seeds))
            for prompt, request in zip(prompts, requests, strict=True)
        ]

    def _chosen(self, problem: Problem, seed: int, prompt_length: int) -> tuple[tuple[int, ...], bool]:
        """Token ids of the response for a seed, and whether it comes to its end."""
        texts = self.responses.get(problem.id)
        if texts is None:
            raise UsageError(f"{self.options.path}: no responses for the problem {problem.id!r}")
        number = seed % len(texts)
        tokenizer = self.engine.tokenizer
        ids = tokenizer(texts[number], add_special_tokens=False)["input_ids"]
        spelt = tokenizer.decode(ids, skip_special_tokens=True)
        if "".join(spelt.split()) != "".join(texts[number].split()):
            raise UsageError(
                f"{self.options.path}: the policy's tokenizer cannot spell response {number + 1} of the problem "
                f"{problem.id!r}; use a policy whose tokenizer knows all of its characters"
            )
        limit = self.options.max_new_tokens
        positions = getattr(self.engine.model.config, "max_position_embeddings", None)
        if positions is not None:
            limit = min(limit, positions - prompt_length)
        whole = (*ids, self.engine.stop_ids[0])
        return whole[:limit], len(whole) <= limit

    def _scored(self, rows: Sequence[tuple[tuple[int, ...], tuple[int, ...], bool]]) -> list[Response]:
        """Responses with the log-probabilities that the policy gives to their tokens."""
        import torch

        started = time.perf_counter()
        tokenizer, model = self.engine.tokenizer, self.engine.model
        width = max(len(prompt) + len(ids) for prompt, ids, _ in rows)
        tokens = torch.full((len(rows), width), tokenizer.pad_token_id)
        mask = torch.zeros_like(tokens)
        for row, (prompt, ids, _) in enumerate(rows):
            tokens[row, : len(prompt) + len(ids)] = torch.tensor((*prompt, *ids))
            mask[row, : len(prompt) + len(ids)] = 1
        tokens, mask = tokens.to(model.device), mask.to(model.device)
        with torch.inference_mode():
            logits = model(input_ids=tokens, attention_mask=mask).logits[:, :-1].float()
            scores = torch.log_softmax(logits, dim=-1).gather(2, tokens[:, 1:, None])[:, :, 0].tolist()
        seconds = time.perf_counter() - started
        total = sum(len(ids) for _, ids, _ in rows)
        return [
            Response(
                text=tokenizer.decode(ids, skip_special_tokens=True),
                token_ids=ids,
                logprobs=tuple(score[len(prompt) - 1 : len(prompt) - 1 + len(ids)]),
                finish_reason="stop" if finished else "length",
                seconds=seconds * len(ids) / total,
            )
            for (prompt, ids, finished), score in zip(rows, scores, strict=True)
        ]


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """A file with responses to two problems, in characters that the embedded policy's tokenizer has."""
    problems = [Problem(id=f"trial-{n}", question=f"What is {n} + {n}?", answer=str(2 * n)) for n in (1, 2)]
    lines = [json.dumps({"id": p.id, "responses": [f"#### {p.answer}", "#### 7"]}) for p in problems]
    path = folder / "responses.jsonl"
    path.write_text("\n".join(lines) + "\n")
    yield Trial(options={"path": str(path)}, problems=problems)


@hookimpl
def saidpo_generators() -> list[Component[Generator]]:
    return [
        Component(
            name="scripted",
            summary="responses from a file, with the policy's tokens and log-probabilities",
            options=ScriptedOptions,
            build=ScriptedGenerator,
            trial=_trial,
        )
    ]
