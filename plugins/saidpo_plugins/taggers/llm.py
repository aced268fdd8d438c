"""Tagger ``llm``: knowledge points from any OpenAI-compatible server, as in the paper (an external LLM names them).

The paper's prompt could not be found; prompt, schema and limits are **ours**. Requests run side by side and are retried
by the client with its growing delays; an answer that is nonsense is asked for again. Good answers are kept on disk at
once (``llm_cache``), so nothing is paid for twice, and a failed call goes on where it stopped. Temperature is left to
the server: some models refuse to be told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import (
    Component,
    MissingExtra,
    Problem,
    Progress,
    SaidpoError,
    Tagger,
    Trial,
    UsageError,
    hookimpl,
    option,
)
from saidpo_plugins.taggers.llm_cache import TagCache

PROMPT_VERSION = "1"  # raise it with any change to what is asked: it is part of the cache's keys
MOST_TAGS = 5
_PROMPT = (
    "You label exercises with the knowledge points that one needs to solve them: short, general names of concepts or "
    "techniques as in a syllabus, such as 'linear equations' or 'unit conversion', the most important first, at most "
    f"{MOST_TAGS}. Do not solve the exercise. "
    'Answer with JSON only: {"knowledge_points": ["...", "..."]}'
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "knowledge_points": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_TAGS}
    },
    "required": ["knowledge_points"],
    "additionalProperties": False,
}
_RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "tags", "strict": True, "schema": _SCHEMA}}
_ASKS = 3  # times that one problem is asked about while the answers are nonsense
_LONGEST_TAG = 100  # characters
_MOST_FAILED = 0.2  # share of the problems that may end without tags
_GRACE = 10.0  # seconds a try, for the client's delays between tries


@dataclass(frozen=True, kw_only=True)
class LlmOptions:
    base_url: str | None = option(None, "the server, such as http://localhost:8000/v1 (default: the client's own)")
    model: str = option("", "name of the model on the server (required)")
    concurrency: int = option(8, "requests in flight", low=1)
    timeout: float = option(60.0, "seconds that a request may take", low=0.001)
    retries: int = option(4, "times that a failed request is sent again", low=0)
    max_tags: int = option(MOST_TAGS, "tags a problem that are used", low=1, high=MOST_TAGS)
    cache: Path | None = option(None, "folder of answers (default: $SAIDPO_CACHE/tags or ~/.cache/saidpo/tags)")


class _Nonsense(ValueError):
    """The model's answer is not what was asked for."""


class Llm:
    def __init__(self, options: LlmOptions) -> None:
        self.options = options

    def tag(self, problems: Sequence[Problem], progress: Progress) -> list[tuple[str, ...]]:
        client = _client(self.options)
        cache = TagCache(_cache_folder(self.options), self.options.model, PROMPT_VERSION)
        work = _Work(self.options, client, cache, [problem.question for problem in problems], progress)
        _run(work)
        if work.failed:
            import logging

            logging.getLogger(__name__).warning(
                "%d of %d problems got no tags from %s", work.failed, len(problems), self.options.model
            )
        found = (cache.get(cache.key(problem.question)) for problem in problems)
        return [(tags or ())[: self.options.max_tags] for tags in found]


def _run(work: _Work) -> None:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work.run())
    else:  # called from within a running loop, a notebook for one: a loop of our own needs a thread of its own
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(work.run())).result()


class _Work:
    """One call of ``tag``: the questions that are still to be asked, and how it goes."""

    def __init__(
        self, options: LlmOptions, client: Any, cache: TagCache, questions: list[str], progress: Progress
    ) -> None:
        self.options, self.client, self.cache, self.progress = options, client, cache, progress
        keys = {question: cache.key(question) for question in questions}
        self.missing = {question: key for question, key in keys.items() if cache.get(key) is None}
        self.counts = dict.fromkeys(self.missing, 0)
        for question in questions:
            if question in self.counts:
                self.counts[question] += 1
        self.total = len(questions)
        self.done = self.total - sum(self.counts.values())
        self.good = self.failed = self.failed_asks = 0

    async def run(self) -> None:
        import asyncio

        self.progress(self.done, self.total)
        waiting = iter(self.missing.items())
        async with self.client:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.options.concurrency, len(self.missing))):
                        group.create_task(self._worker(waiting))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _worker(self, waiting: Iterator[tuple[str, str]]) -> None:
        import openai

        for question, key in waiting:
            try:
                self.cache.put(key, await self._ask(question))
                self.good += 1
            except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
                raise self._error(_said(error)) from error
            except (openai.OpenAIError, TimeoutError, ValueError) as error:
                self._count_failure(question, error)
            self.done += self.counts[question]
            self.progress(self.done, self.total)

    async def _ask(self, question: str) -> tuple[str, ...]:
        import asyncio

        nonsense = _Nonsense()
        for _ in range(_ASKS):
            # The client's timeout is for each read; a server that sends drop by drop never breaks it, so one for all.
            async with asyncio.timeout((self.options.retries + 1) * (self.options.timeout + _GRACE)):
                completion = await self.client.chat.completions.create(
                    model=self.options.model,
                    messages=[{"role": "system", "content": _PROMPT}, {"role": "user", "content": question}],
                    response_format=_RESPONSE_FORMAT,
                )
            try:
                return knowledge_points(completion)
            except _Nonsense as error:
                nonsense = error
        raise nonsense

    def _count_failure(self, question: str, error: Exception) -> None:
        """Stop as soon as too many failed, or the first ones all did: the rest would only cost time and money."""
        self.failed += self.counts[question]
        self.failed_asks += 1
        hopeless = not self.good and self.failed_asks >= 2 * self.options.concurrency
        if self.failed > _MOST_FAILED * self.total or hopeless:
            raise self._error(
                f"{self.failed} of {self.total} problems failed, the last one so: {_said(error)}"
            ) from error

    def _error(self, what: str) -> SaidpoError:
        return SaidpoError(
            f"--tagger=llm: the server {self.client.base_url} with the model {self.options.model!r}: {what}. Check "
            "--tagger.base_url, --tagger.model and OPENAI_API_KEY, or try fewer --tagger.concurrency or a longer "
            f"--tagger.timeout. What was tagged is kept in {self.cache.path}: the same command asks for the rest only"
        )


def knowledge_points(completion: Any) -> tuple[str, ...]:
    """The points in a model's answer: lower case, each once, at most five."""
    try:
        content = completion.choices[0].message.content
        content = content.rpartition("</think>")[2]  # servers without structured output: thoughts, a code fence
        points = json.loads(content[content.find("{") : content.rfind("}") + 1])["knowledge_points"]
        tidy = [" ".join(point.lower().split()) for point in points]
        "".join(tidy).encode()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _Nonsense(f'the answer is not {{"knowledge_points": [...]}} ({error})') from error
    if not isinstance(points, list) or not tidy or not all(0 < len(point) <= _LONGEST_TAG for point in tidy):
        raise _Nonsense(f"expected 1 to {MOST_TAGS} short knowledge points, got {str(points)[:200]}")
    return tuple(dict.fromkeys(tidy))[:MOST_TAGS]


def _said(error: Exception) -> str:
    texts = [" ".join(str(one).split()).rstrip(".")[:300] for one in (error, error.__cause__) if one is not None]
    return ": ".join([type(error).__name__, *filter(None, texts)])


def _cache_folder(options: LlmOptions) -> Path:
    if options.cache is not None:
        return Path(os.path.expanduser(options.cache))
    caches = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(os.environ.get("SAIDPO_CACHE") or Path(caches, "saidpo")) / "tags"


def _client(options: LlmOptions) -> Any:
    """The client, which makes no request yet; what it needs is checked here."""
    if not options.model:
        raise UsageError("--tagger=llm needs the name of a model on the server: --tagger.model=NAME")
    base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or None
    if base_url and not base_url.startswith(("http://", "https://")):
        raise UsageError(f"--tagger.base_url: expected a URL such as http://localhost:8000/v1, got {base_url!r}")
    api_key = os.environ.get("OPENAI_API_KEY", "").strip() or ("none" if base_url else "")
    if not api_key:
        raise UsageError(
            "--tagger=llm needs the environment variable OPENAI_API_KEY, or a server of your own: "
            "--tagger.base_url=http://localhost:8000/v1"
        )
    if not (api_key.isascii() and api_key.isprintable()):
        raise UsageError("the environment variable OPENAI_API_KEY holds characters that no key has")
    try:
        import openai
    except ImportError as error:
        raise MissingExtra("--tagger=llm", "openai", "openai") from error
    try:
        return openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key, timeout=options.timeout, max_retries=options.retries
        )
    except Exception as error:  # a URL that the client cannot make sense of
        raise UsageError(f"--tagger.base_url: {base_url!r} is no usable URL: {error}") from error


def _trial(folder: Path) -> AbstractContextManager[Trial]:
    from saidpo_plugins.taggers.llm_trial import trial

    return trial(folder)


@hookimpl
def saidpo_taggers() -> list[Component[Tagger]]:
    return [
        Component(
            name="llm",
            summary="knowledge points named by a language model on an OpenAI-compatible server",
            options=LlmOptions,
            build=Llm,
            source="paper, tagging; prompt and limits ours",
            needs="openai",
            extra="openai",
            trial=_trial,
        )
    ]
