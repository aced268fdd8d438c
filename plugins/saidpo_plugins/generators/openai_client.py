"""Talking to an OpenAI-compatible server: requests side by side, retries, and what came back taken apart with care.

Retries with growing delays on 408, 409, 429, 5xx and lost connections are the ``openai`` client's. No component lives
here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from saidpo_core import MissingExtra, SaidpoError, UsageError

_GRACE = 10.0  # seconds a try, for the client's delays between tries
_TOKEN_ID = "token_id:"  # as vLLM spells tokens if asked for return_tokens_as_token_ids

T = TypeVar("T")


@dataclass(frozen=True)
class Sampled:
    """A response as the server gave it; the end token is among its ids."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


class Nonsense(ValueError):
    """What came back is not what was asked for."""


class Client:
    """``base_url`` ends with the version, as ``http://localhost:8000/v1``."""

    def __init__(self, base_url: str, api_key: str, timeout: float, retries: int, concurrency: int) -> None:
        self.base_url = base_url
        self._api_key, self._timeout, self._retries, self._concurrency = api_key, timeout, retries, concurrency

    def error(self, what: str) -> SaidpoError:
        return SaidpoError(f"--generator=openai: the server {self.base_url}: {what}")

    def models(self) -> list[Any]:
        """What the server says that it serves; raises ``SaidpoError`` if it cannot be asked."""

        async def ask(client: Any) -> list[Any]:
            return list((await client.models.list()).data or ())

        return self._run(ask)

    def served(self, name: str) -> tuple[str, str]:
        """The model called ``name``, or the first one; and the folder that it comes from, empty if it is not said."""
        models = self.models()
        found = next((item for item in models if item.id == name or not name), None)
        if found is None:
            listed = ", ".join(str(item.id) for item in models) or "none"
            raise UsageError(f"--generator.model: the server {self.base_url} has no model {name!r}, it has: {listed}")
        return str(found.id), str(getattr(found, "root", None) or "")

    def sample(self, bodies: Sequence[dict[str, Any]]) -> list[Sampled]:
        """One response to each request, in order; at most ``concurrency`` under way. The first failure ends all."""
        import asyncio

        results: list[Sampled | None] = [None] * len(bodies)

        async def worker(client: Any, waiting: Iterator[tuple[int, dict[str, Any]]]) -> None:
            for row, body in waiting:
                # The client's timeout is for each read; one for all tries bounds a server that sends drop by drop.
                async with asyncio.timeout((self._retries + 1) * (self._timeout + _GRACE)):
                    results[row] = sampled_of(await client.completions.create(**body), body["prompt"])

        async def ask(client: Any) -> None:
            waiting = iter(enumerate(bodies))
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._concurrency, len(bodies))):
                        group.create_task(worker(client, waiting))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None

        self._run(ask)
        return [item for item in results if item is not None]

    def _run(self, ask: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        try:
            import openai
        except ImportError as error:
            raise MissingExtra("--generator=openai", "openai", "openai") from error

        async def whole() -> T:
            async with openai.AsyncOpenAI(
                base_url=self.base_url, api_key=self._api_key, timeout=self._timeout, max_retries=self._retries
            ) as client:
                return await ask(client)

        try:
            with ThreadPoolExecutor(1) as pool:  # a loop of our own, also where one is running
                return pool.submit(lambda: asyncio.run(whole())).result()
        except (openai.OpenAIError, TimeoutError, ValueError, AttributeError, TypeError) as error:
            raise self.error(f"{_said(error)}. {_advice(error)}") from error


def sampled_of(completion: Any, prompt: Sequence[int]) -> Sampled:
    """The one choice of a completion, checked; raises ``Nonsense``."""
    try:
        (choice,) = completion.choices
        finish, scores = choice.finish_reason, choice.logprobs
    except (AttributeError, TypeError, ValueError) as error:
        raise Nonsense(f"expected a completion with one choice, got {str(completion)[:200]!r}") from error
    if finish not in ("stop", "length"):
        raise Nonsense(f"a response ended with {finish!r}; expected stop or length")
    ids = getattr(choice, "token_ids", None) or _spelt_ids(getattr(scores, "tokens", None))
    if not ids or not all(isinstance(item, int) and item >= 0 for item in ids):
        raise Nonsense(
            "it gives no token ids, and a text alone cannot be trained on: it takes vLLM 0.10.2 or later, or an SGLang "
            f"that knows return_token_ids; got {str(choice)[:200]!r}"
        )
    logprobs = getattr(scores, "token_logprobs", None) or ()
    if len(logprobs) != len(ids) or not all(isinstance(v, int | float) and math.isfinite(v) for v in logprobs):
        raise Nonsense(f"{len(ids)} token ids came with {len(logprobs)} log-probabilities that are numbers")
    returned = getattr(choice, "prompt_token_ids", None)
    if returned is not None and list(returned) != list(prompt):
        raise Nonsense("it changed the prompt: the token ids that it read are not those that were sent")
    return Sampled(tuple(ids), tuple(min(0.0, float(value)) for value in logprobs), finish)


def _spelt_ids(tokens: Any) -> list[int]:
    """The ids of tokens spelt as ``token_id:17``; none if they are not all spelt so."""
    spelt = [str(token) for token in tokens or ()]
    if not all(token.startswith(_TOKEN_ID) and token.removeprefix(_TOKEN_ID).isdecimal() for token in spelt):
        return []
    return [int(token.removeprefix(_TOKEN_ID)) for token in spelt]


def _said(error: BaseException) -> str:
    texts = [" ".join(str(one).split()).rstrip(".")[:300] for one in (error, error.__cause__) if one is not None]
    return ": ".join([type(error).__name__, *filter(None, texts)])


def _advice(error: BaseException) -> str:
    if isinstance(error, Nonsense):
        return "Nothing of this batch was kept"
    return (
        "Check --generator.base_url, --generator.model and OPENAI_API_KEY, or try fewer --generator.concurrency or a "
        "longer --generator.timeout. What was finished is kept: the same command goes on"
    )
