"""Sampling and judging responses: in chunks that are saved one by one, so a killed stage goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from saidpo_core.codecs import attempts_from_json, attempts_to_json, read_lines, seconds_to_json
from saidpo_core.components import Engine, Progress
from saidpo_core.parts import Parts
from saidpo_core.records import Attempts, Generation, Problem, Request, Response, Verdict
from saidpo_core.run_dir import Clock, write_atomically
from saidpo_core.seeds import keyed_seed
from saidpo_core.settings import RunOptions

CHUNK = 64
"""Problems generated, judged and saved together: what a kill can cost."""


@dataclass
class Rollouts:
    """Asks one policy for K responses to problems, in a fixed order, and judges them.

    One chunk is judged and saved while the next one is generated, never more: that bounds what waits in memory.
    """

    parts: Parts
    options: RunOptions
    clock: Clock
    policy: Path
    round: int

    def explore(
        self, problems: Sequence[Problem], folder: Path, progress: Progress, *, limit: int = 0
    ) -> list[Attempts]:
        """Attempts at ``problems``, saved in ``folder`` in chunks; those that are there already are read.

        With a ``limit`` of tokens no further chunk begins once it is reached, and chunks shrink towards it, so that it
        is overshot by about one problem's tokens at most.
        """
        done: list[Attempts] = []
        tokens = start = 0
        with ExitStack() as stack:
            judge = stack.enter_context(ThreadPoolExecutor(1, "saidpo-verify"))
            engine: Engine | None = None
            waiting: tuple[Path, Future[None]] | None = None

            def settle() -> None:
                if waiting is not None:
                    path, judged = waiting
                    with self.clock("verify"):  # what of it generation did not hide
                        judged.result()
                    done.extend(read_chunk(path))
                    progress(len(done), len(problems))

            while start < len(problems):
                size = _next_size(start, tokens, limit)
                if size == 0:
                    break
                path = folder / f"attempts-{start:07}.jsonl"
                if path.exists():
                    chunk = read_chunk(path)
                    done += chunk
                    tokens += sum(attempts.tokens for attempts in chunk)
                    start += len(chunk)
                    continue
                if engine is None:
                    with self.clock("generate"):
                        engine = stack.enter_context(self.parts.load(self.policy))
                batch = problems[start : start + size]
                generations = self._generate(engine, batch)
                settle()
                waiting = path, judge.submit(self._judge_and_save, batch, generations, path)
                tokens += sum(len(response.token_ids) for item in generations for response in item.responses)
                start += len(batch)
            settle()
        return done

    def _generate(self, engine: Engine, problems: Sequence[Problem]) -> list[Generation]:
        requests = tuple(Request(problem=problem, seeds=self._seeds(problem)) for problem in problems)
        with self.clock("generate"):
            return engine.generate(requests)

    def _judge_and_save(self, problems: Sequence[Problem], generations: Sequence[Generation], path: Path) -> None:
        write_attempts(path, self._judge(problems, generations))

    def _seeds(self, problem: Problem) -> tuple[int, ...]:
        run = self.options
        return tuple(keyed_seed(run.seed, self.round, "response", problem.id, k) for k in range(run.samples))

    def _judge(self, problems: Sequence[Problem], generations: Sequence[Generation]) -> list[Attempts]:
        cases = [(p, response.text) for p, g in zip(problems, generations, strict=True) for response in g.responses]
        verdicts = iter(self.parts.verifier.verify(cases))
        return [
            Attempts(
                problem_id=problem.id,
                prompt_ids=generation.prompt_ids,
                responses=generation.responses,
                verdicts=tuple(self._final(response, next(verdicts)) for response in generation.responses),
            )
            for problem, generation in zip(problems, generations, strict=True)
        ]

    def _final(self, response: Response, verdict: Verdict) -> Verdict:
        """A truncated response is not judged by what it happens to say: ``truncated=drop`` or ``reject`` decides."""
        if not response.truncated:
            return verdict
        outcome = "unverifiable" if self.options.truncated == "drop" else "wrong"
        return Verdict(outcome=outcome, extracted=verdict.extracted, reason="truncated")  # type: ignore[arg-type]


def _next_size(done: int, tokens: int, limit: int) -> int:
    """How many problems the next chunk may hold, by the tokens that those done took; 0 at the limit."""
    if not limit:
        return CHUNK
    if tokens >= limit:
        return 0
    if not done:
        return 8
    return max(1, min(CHUNK, int((limit - tokens) * done / max(1, tokens))))


def write_attempts(path: Path, attempts: Sequence[Attempts]) -> None:
    """One JSON object a problem; the measured seconds lie beside, in ``timing-*``: they differ between equal runs."""
    write_atomically(_timing_of(path), "".join(json.dumps(seconds_to_json(item)) + "\n" for item in attempts))
    lines = (json.dumps(attempts_to_json(item), ensure_ascii=False, separators=(",", ":")) for item in attempts)
    write_atomically(path, "".join(line + "\n" for line in lines))


def read_chunk(path: Path) -> list[Attempts]:
    seconds = read_lines(_timing_of(path), lambda row: row)
    return [attempts_from_json(row, next(seconds)) for row in read_lines(path, lambda row: row)]


def read_attempts(folder: Path) -> list[Attempts]:
    """All attempts of a stage, in the order in which they were made."""
    return [attempts for path in sorted(folder.glob("attempts-*.jsonl")) for attempts in read_chunk(path)]


def _timing_of(path: Path) -> Path:
    return path.with_name(path.name.replace("attempts-", "timing-"))
