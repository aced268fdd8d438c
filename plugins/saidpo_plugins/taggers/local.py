"""Tagger ``local``: knowledge points from a language model on this machine, through the generator plug-ins.

As ``llm``, with the same prompt and the same limits (**ours**, ``asking.py``), but without a server. The first answer
is the model's most likely one; nonsense is asked for again with sampling, and what is nonsense three times leaves a
problem without tags. Answers are kept on disk after each batch of problems (``llm_cache``), by the model's own files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from saidpo_core import (
    Component,
    Engine,
    Problem,
    Progress,
    Request,
    SaidpoError,
    Tagger,
    Trial,
    UsageError,
    hookimpl,
    option,
)
from saidpo_plugins.taggers.asking import (
    MOST_TAGS,
    PROMPT,
    PROMPT_VERSION,
    Nonsense,
    answers_folder,
    missing_of,
    points_of,
    tokens_of,
)
from saidpo_plugins.taggers.llm_cache import TagCache

_ASKS = 3  # times that one problem is asked about while the answers are nonsense
_MOST_FAILED = 0.2  # share of the problems that may end without tags


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    model: str = option("", "folder of the model, or its name on the hub (required)")
    generator: str = option("transformers", "the generator plug-in that runs it")
    generator_options: tuple[str, ...] = option(
        ("max_new_tokens=200",), "options of that generator: KEY=VALUE,..., as --generator.KEY=VALUE would give them"
    )
    batch: int = option(256, "problems asked about, and kept, together: what a kill can cost", low=1)
    max_tags: int = option(MOST_TAGS, "tags a problem that are used", low=1, high=MOST_TAGS)
    cache: Path | None = option(None, "folder of answers (default: $SAIDPO_CACHE/tags or ~/.cache/saidpo/tags)")


class Local:
    def __init__(self, options: LocalOptions) -> None:
        self.options = options

    def estimate(self, problems: Sequence[Problem]) -> str:
        """Problems and tokens for what the cache does not hold."""
        missing = missing_of(problems, self._cache())
        _, tokens_in, tokens_out = tokens_of((problems[rows[0]].question for rows in missing.values()), 1)
        known = len(problems) - sum(map(len, missing.values()))
        return (
            f"{known:,} of {len(problems):,} problems are in the cache; {len(missing):,} questions to ask "
            f"{self.options.model}, about {tokens_in:,} prompt and {tokens_out:,} generated tokens"
        )

    def tag(self, problems: Sequence[Problem], progress: Progress) -> list[tuple[str, ...]]:
        cache = self._cache()
        missing = missing_of(problems, cache)
        if missing:
            self._ask(problems, missing, cache, progress)
        progress(len(problems), len(problems))
        found = (cache.get(cache.key(problem.question)) for problem in problems)
        return [(tags or ())[: self.options.max_tags] for tags in found]

    def _ask(
        self, problems: Sequence[Problem], missing: dict[str, list[int]], cache: TagCache, progress: Progress
    ) -> None:
        from saidpo_core.borrowing import borrowed_engine

        options = self.options
        keys = list(missing)
        done = len(problems) - sum(map(len, missing.values()))
        failed = 0
        with borrowed_engine(options.model, options.generator, options.generator_options, flag="--tagger") as engine:
            for start in range(0, len(keys), options.batch):
                batch = keys[start : start + options.batch]
                progress(done, len(problems))
                answers = _answers(engine, {key: problems[missing[key][0]] for key in batch})
                for key in batch:
                    if key in answers:
                        cache.put(key, answers[key])
                    failed += 0 if key in answers else len(missing[key])
                    done += len(missing[key])
                if failed > _MOST_FAILED * len(problems):
                    raise SaidpoError(
                        f"--tagger=local: {options.model} gave no knowledge points for {failed} of {done} problems; it "
                        'was asked for JSON such as {"knowledge_points": ["..."]}. Take a model that follows '
                        "instructions, or allow longer answers: --tagger.generator_options=max_new_tokens=400. What "
                        f"was tagged is kept in {cache.path}"
                    )
        if failed:
            import logging

            logging.getLogger(__name__).warning(
                "%d of %d problems got no tags from %s", failed, len(problems), options.model
            )

    def _cache(self) -> TagCache:
        from saidpo_core.borrowing import located
        from saidpo_core.run_record import fingerprint

        if not self.options.model:
            raise UsageError("--tagger=local needs a model: --tagger.model=FOLDER")
        model = fingerprint(located(self.options.model, flag="--tagger"))
        return TagCache(answers_folder(self.options.cache), model, f"{PROMPT_VERSION} local")


def _answers(engine: Engine, problems: dict[str, Problem]) -> dict[str, tuple[str, ...]]:
    """Good answers by key: the most likely one first, then sampled ones for those that were nonsense."""
    found: dict[str, tuple[str, ...]] = {}
    for attempt in range(_ASKS):
        left = {key: problem for key, problem in problems.items() if key not in found}
        if not left:
            break
        requests = [Request(problem=_question(problem), seeds=(attempt,)) for problem in left.values()]
        generations = engine.generate(requests, greedy=attempt == 0)
        for key, generation in zip(left, generations, strict=True):
            try:
                found[key] = points_of(generation.responses[0].text)
            except Nonsense:
                continue
    return found


def _question(problem: Problem) -> Problem:
    """What the model is asked about it, as a problem of its own."""
    return Problem(id=problem.id, question=f"{PROMPT}\n\nThe exercise:\n{problem.question}", answer="-")


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    from saidpo_plugins.taggers.local_trial import make_labeller

    model = make_labeller(folder / "model", {"4?": "sums to eight"})
    yield Trial(options={"model": str(model), "cache": str(folder / "cache")})


@hookimpl
def saidpo_taggers() -> list[Component[Tagger]]:
    return [
        Component(
            name="local",
            summary="knowledge points named by a language model on this machine",
            options=LocalOptions,
            build=Local,
            source="paper, tagging; prompt and limits ours",
            trial=_trial,
        )
    ]
