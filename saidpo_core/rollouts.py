"""Sampling and judging responses: in chunks that are saved one by one, so a killed stage goes on where it was.

A drawn problem may be asked in waves (``early_stop``): two responses, then as many again, until there is a right and a
wrong one. Two chunks take turns, so that a wave of one is judged while one of the other is generated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from saidpo_core.codecs import attempts_from_json, attempts_to_json, read_lines, seconds_to_json
from saidpo_core.components import Progress
from saidpo_core.errors import readable
from saidpo_core.parts import Parts
from saidpo_core.records import Attempts, Generation, Problem, Request, Response, Verdict
from saidpo_core.run_dir import Clock, write_atomically
from saidpo_core.seeds import keyed_seed
from saidpo_core.settings import RunOptions


@dataclass
class Rollouts:
    """Asks one policy for responses to problems, in a fixed order, and judges them.

    One chunk is judged while the other one is generated, never more, and what is saved is let go: that bounds what
    waits in memory.
    """

    parts: Parts
    options: RunOptions
    clock: Clock
    policy: Path
    round: int
    chunk: int
    """Problems that are generated, judged and saved together; twice as many where waves ask for fewer responses at a
    time, so that batches stay large."""
    waves: tuple[int, ...] = ()
    """Responses that a problem is asked for at a time, the later ones only if it has no right and wrong one yet; empty:
    all K at once. Response k has seed k whichever wave it comes in."""

    def explore(self, problems: Sequence[Problem], folder: Path, progress: Progress, *, limit: int = 0) -> bool:
        """Attempts at ``problems``, saved in ``folder`` in chunks; those that are there already are not made again.
        Returns whether any problem is usable.

        With a ``limit`` of tokens no further chunk begins once it is reached, and chunks shrink towards it, so that it
        is overshot by about one problem's tokens at most.
        """
        chunks: list[_Chunk] = []

        def settle(chunk: _Chunk | None) -> None:
            if chunk is not None and chunk.judging is not None:
                with self.clock("verify"):  # what of it generation did not hide
                    chunk.judging.result()
                chunk.judging = None
                if chunk.saved is not None:
                    chunk.let_go()
                    progress(sum(len(item.problems) for item in chunks if item.saved is not None), len(problems))

        with ThreadPoolExecutor(1, "saidpo-verify") as judge:
            other: _Chunk | None = None
            for chunk in self._turns(chunks, problems, folder, limit, settle):
                with self.clock("generate"):
                    chunk.take(self.parts.engine(self.policy).generate(self._requests(chunk)))
                settle(other)
                chunk.judging = judge.submit(self._judge_and_save, chunk)
                other = chunk
        return any(chunk.saved is not None and chunk.saved.usable for chunk in chunks)

    def _turns(
        self,
        chunks: list[_Chunk],
        problems: Sequence[Problem],
        folder: Path,
        limit: int,
        settle: Callable[[_Chunk | None], None],
    ) -> Iterator[_Chunk]:
        """The chunk that is to be asked next, until all are done; two take turns. ``chunks`` grows by what begins."""
        under_way: list[_Chunk] = []
        while True:
            start = sum(len(chunk.problems) for chunk in chunks)
            size = self._next_size(chunks, limit) if len(under_way) < 2 and start < len(problems) else 0
            if size:
                chunk = _Chunk(problems[start : start + size], folder / f"attempts-{start:07}.jsonl", self._all_waves)
                chunks.append(chunk)
                if chunk.path.exists():
                    chunk.find_saved()
            elif under_way:
                chunk = under_way.pop(0)
                settle(chunk)
            else:
                return
            if chunk.saved is None:
                yield chunk
                under_way.append(chunk)

    @property
    def _all_waves(self) -> tuple[int, ...]:
        return self.waves or (self.options.samples,)

    def _next_size(self, chunks: Sequence[_Chunk], limit: int) -> int:
        """How many problems the next chunk may hold; 0: none, or none before those under way are done.

        What a chunk takes that is asked in waves shows late, and a killed run that goes on would know it: so the size
        does not depend on the last chunk, unless it has to be done first because the limit is near.
        """
        most = self.chunk if len(self._all_waves) == 1 else 2 * self.chunk
        if not limit:
            return most
        if most > self.chunk and len(chunks) > 1 and _room(chunks[:-1], limit) - len(chunks[-1].problems) >= most:
            return most
        return min(most, _room(chunks, limit))

    def _requests(self, chunk: _Chunk) -> tuple[Request, ...]:
        """One for each problem of the chunk that is to be asked further."""
        run = self.options
        numbers = range(sum(chunk.waves[: chunk.wave]), sum(chunk.waves[: chunk.wave + 1]))
        return tuple(
            Request(
                problem=problem,
                seeds=tuple(keyed_seed(run.seed, self.round, "response", problem.id, k) for k in numbers),
            )
            for problem in (chunk.problems[row] for row in chunk.open_rows)
        )

    def _judge_and_save(self, chunk: _Chunk) -> None:
        """Judge the chunk's last wave; save the chunk if no other is to come."""
        rows = chunk.open_rows
        latest = [chunk.responses[row][len(chunk.verdicts[row]) :] for row in rows]
        problems = [chunk.problems[row] for row in rows]
        cases = [(p, response.text) for p, responses in zip(problems, latest, strict=True) for response in responses]
        verdicts = iter(self.parts.verifier.verify(cases))
        for row, responses in zip(rows, latest, strict=True):
            chunk.verdicts[row] += [self._final(response, next(verdicts)) for response in responses]
        chunk.close_rows()
        if not chunk.open_rows:
            attempts = chunk.as_attempts()
            write_attempts(chunk.path, attempts)
            chunk.saved = _Saved.of(attempts)

    def _final(self, response: Response, verdict: Verdict) -> Verdict:
        """A truncated response is not judged by what it happens to say: ``truncated=drop`` or ``reject`` decides."""
        if not response.truncated:
            return verdict
        outcome = "unverifiable" if self.options.truncated == "drop" else "wrong"
        return Verdict(outcome=outcome, extracted=verdict.extracted, reason="truncated")  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Saved:
    """What is kept in mind of a chunk once it is in its file."""

    tokens: int
    usable: bool
    """Whether any of its problems is."""

    @classmethod
    def of(cls, attempts: Sequence[Attempts]) -> _Saved:
        return cls(sum(item.tokens for item in attempts), any(item.usable for item in attempts))


@dataclass
class _Chunk:
    """Problems that are asked, judged and saved together; rows are those of ``problems``."""

    problems: Sequence[Problem]
    path: Path
    waves: tuple[int, ...]
    wave: int = 0
    """Waves that were generated."""
    prompts: list[tuple[int, ...]] = field(default_factory=list)
    responses: list[list[Response]] = field(default_factory=list)
    verdicts: list[list[Verdict]] = field(default_factory=list)
    open_rows: list[int] = field(default_factory=list)
    """Problems that are to be asked further."""
    judging: Future[None] | None = None
    saved: _Saved | None = None

    def __post_init__(self) -> None:
        self.open_rows = list(range(len(self.problems)))
        self.responses, self.verdicts = [[] for _ in self.problems], [[] for _ in self.problems]

    def take(self, generations: Sequence[Generation]) -> None:
        """One more wave, of the problems in ``open_rows``."""
        if not self.wave:
            self.prompts = [generation.prompt_ids for generation in generations]
        for row, generation in zip(self.open_rows, generations, strict=True):
            self.responses[row] += generation.responses
        self.wave += 1

    def close_rows(self) -> None:
        """Ask no problem further that has a right and a wrong response, and none after the last wave."""
        over = self.wave == len(self.waves)
        self.open_rows = [
            row
            for row in self.open_rows
            if not over and not {"right", "wrong"} <= {verdict.outcome for verdict in self.verdicts[row]}
        ]

    def as_attempts(self) -> list[Attempts]:
        return [
            Attempts(problem_id=problem.id, prompt_ids=prompt, responses=tuple(responses), verdicts=tuple(verdicts))
            for problem, prompt, responses, verdicts in zip(
                self.problems, self.prompts, self.responses, self.verdicts, strict=True
            )
        ]

    def find_saved(self) -> None:
        """By its file, of a process that was killed; it may hold fewer problems than were to come now."""
        attempts = read_chunk(self.path)
        self.saved, self.problems = _Saved.of(attempts), self.problems[: len(attempts)]

    def let_go(self) -> None:
        """Of all that is in its file. Not while it is judged: ``tokens`` counts them."""
        self.prompts, self.responses, self.verdicts = [], [], []

    @property
    def tokens(self) -> int | None:
        """Generated tokens; None while there may be more to come."""
        if self.saved is not None:
            return self.saved.tokens
        if self.wave < len(self.waves):
            return None
        return sum(len(response.token_ids) for responses in self.responses for response in responses)


def _room(chunks: Sequence[_Chunk], limit: int) -> int:
    """How many more problems fit in the limit of tokens, by what those of ``chunks`` took; 0 if that is not known."""
    tokens = [chunk.tokens for chunk in chunks]
    spent, problems = sum(item or 0 for item in tokens), sum(len(chunk.problems) for chunk in chunks)
    if None in tokens or spent >= limit:
        return 0
    return max(1, int((limit - spent) * problems / max(1, spent))) if problems else 8


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
    found: list[Attempts] = []
    for path in sorted(folder.glob("attempts-*.jsonl")):
        with readable(path):
            found += read_chunk(path)
    return found


def _timing_of(path: Path) -> Path:
    return path.with_name(path.name.replace("attempts-", "timing-"))
