"""Tagger ``llm``: knowledge points from any OpenAI-compatible server, as in the paper (an external LLM names them).

The paper's prompt could not be found; prompt, schema and limits are **ours** (``asking.py``). Requests run side by side
and are retried by the client with its growing delays; an answer that is nonsense is asked for again, and so, alone, is
what an answer about several problems left out. Good answers are kept on disk at once (``llm_cache``), so nothing is
paid for twice, and a failed or killed call goes on where it stopped. Temperature is left to the server: some models
refuse to be told. What the work will take is estimated before it starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
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
from saidpo_plugins.taggers.asking import (
    MOST_TAGS,
    PROMPT_VERSION,
    Nonsense,
    answers_folder,
    messages,
    missing_of,
    points_of,
    points_of_several,
    response_format,
    tokens_of,
)
from saidpo_plugins.taggers.llm_cache import TagCache

_ASKS = 3  # times that one problem is asked about while the answers are nonsense
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
    per_request: int = option(
        1, "problems in one request; several are cheaper, and labelled with less care", low=1, high=50
    )
    max_requests: int = option(0, "refuse to start if more requests were needed; 0: no limit", low=0)
    price_in: float = option(0.0, "price of a million prompt tokens, for the estimate", low=0)
    price_out: float = option(0.0, "price of a million completion tokens, for the estimate", low=0)
    cache: Path | None = option(None, "folder of answers (default: $SAIDPO_CACHE/tags or ~/.cache/saidpo/tags)")


class Llm:
    def __init__(self, options: LlmOptions) -> None:
        self.options = options

    def estimate(self, problems: Sequence[Problem]) -> str:
        """Requests, tokens and money for what the cache does not hold; nonsense that is asked about again is extra."""
        options = self.options
        _client(options)  # what is missing is said before any figure
        missing = missing_of(problems, self._cache())
        questions = (problems[rows[0]].question for rows in missing.values())
        requests, tokens_in, tokens_out = tokens_of(questions, options.per_request)
        if options.max_requests and requests > options.max_requests:
            raise UsageError(
                f"--tagger.max_requests={options.max_requests}: tagging {len(missing):,} problems takes {requests:,} "
                "requests; allow more, put several into one with --tagger.per_request, or tag a smaller pool"
            )
        known = f"{len(problems) - sum(map(len, missing.values())):,} of {len(problems):,} problems are in the cache; "
        money = (options.price_in * tokens_in + options.price_out * tokens_out) / 1e6
        priced = f", {money:,.2f} at the prices given" if money else ""
        return (
            f"{known}for the rest about {requests:,} requests to {options.model}, {tokens_in:,} prompt and "
            f"{tokens_out:,} completion tokens{priced}"
        )

    def tag(self, problems: Sequence[Problem], progress: Progress) -> list[tuple[str, ...]]:
        client = _client(self.options)
        cache = self._cache()
        work = _Work(self.options, client, cache, problems, progress)
        _run(work)
        if work.failed:
            import logging

            logging.getLogger(__name__).warning(
                "%d of %d problems got no tags from %s", work.failed, len(problems), self.options.model
            )
        found = (cache.get(cache.key(problem.question)) for problem in problems)
        return [(tags or ())[: self.options.max_tags] for tags in found]

    def _cache(self) -> TagCache:
        return TagCache(answers_folder(self.options.cache), self.options.model, PROMPT_VERSION)


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
        self, options: LlmOptions, client: Any, cache: TagCache, problems: Sequence[Problem], progress: Progress
    ) -> None:
        self.options, self.client, self.cache, self.progress = options, client, cache, progress
        self.problems = problems
        self.missing = missing_of(problems, cache)
        self.total = len(problems)
        self.done = self.total - sum(map(len, self.missing.values()))
        self.good = self.failed = self.failed_asks = 0

    async def run(self) -> None:
        import asyncio

        self.progress(self.done, self.total)
        waiting = iter(self.missing)
        async with self.client:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.options.concurrency, -(-len(self.missing) // self.options.per_request))):
                        group.create_task(self._worker(waiting))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _worker(self, waiting: Iterator[str]) -> None:
        while keys := list(islice(waiting, self.options.per_request)):
            if len(keys) > 1:
                await self._try(keys)
            for key in keys:  # alone: what was not answered together
                if self.cache.get(key) is None:
                    await self._try([key])

    async def _try(self, keys: list[str]) -> None:
        """Ask about these questions, and count; a failure of several together is no failure yet."""
        import openai

        try:
            answers = await self._ask([self.problems[self.missing[key][0]].question for key in keys])
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise self._error(_said(error)) from error
        except (openai.OpenAIError, TimeoutError, ValueError) as error:
            if len(keys) > 1:
                return
            self._count_failure(keys[0], error)
            answers = {}
            self.done += len(self.missing[keys[0]])
        for place, tags in answers.items():
            self.cache.put(keys[place], tags)
            self.good += 1
            self.done += len(self.missing[keys[place]])
        self.progress(self.done, self.total)

    async def _ask(self, questions: list[str]) -> dict[int, tuple[str, ...]]:
        """Points of the questions by their place; of one question, or ``Nonsense`` is raised."""
        import asyncio

        nonsense = Nonsense()
        for _ in range(_ASKS if len(questions) == 1 else 1):
            # The client's timeout is for each read; a server that sends drop by drop never breaks it, so one for all.
            async with asyncio.timeout((self.options.retries + 1) * (self.options.timeout + _GRACE)):
                completion = await self.client.chat.completions.create(
                    model=self.options.model,
                    messages=messages(questions),
                    response_format=response_format(len(questions)),
                )
            try:
                if len(questions) > 1:
                    return points_of_several(_content(completion), len(questions))
                return {0: points_of(_content(completion))}
            except Nonsense as error:
                nonsense = error
        raise nonsense

    def _count_failure(self, key: str, error: Exception) -> None:
        """Stop as soon as too many failed, or the first ones all did: the rest would only cost time and money."""
        self.failed += len(self.missing[key])
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


def _content(completion: Any) -> Any:
    try:
        return completion.choices[0].message.content
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise Nonsense(f"the server's reply holds no message ({error})") from error


def _said(error: Exception) -> str:
    texts = [" ".join(str(one).split()).rstrip(".")[:300] for one in (error, error.__cause__) if one is not None]
    return ": ".join([type(error).__name__, *filter(None, texts)])


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
