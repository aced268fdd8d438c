"""Generator ``openai``: responses from an OpenAI-compatible server, such as a running vLLM or SGLang.

What is trained is exactly what was sampled, so the server has to take and give token ids: prompts go to
``/v1/completions`` as ids, and ids come back (``return_token_ids``: vLLM from 0.10.2 on, SGLang; or
``return_tokens_as_token_ids``: older vLLM), with a log-probability each. A server that gives texts alone is refused:
spelling a text anew can give other tokens than were sampled. One request a response, with a seed of its own.

The server has to serve this round's policy. ``serve`` is a command that starts it, anew each time a policy is loaded
(``{policy}`` and ``{port}`` are filled in), and it is ended afterwards. With ``base_url`` it runs already, and
``update`` is a command that hands it the weights. A server that says which folder it serves is believed if it is this
one and refused if it is another; besides, a canary compares some of its log-probabilities with those of the policy.
**Ours**; see ``docs/rollouts.md``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import Component, Generation, Generator, Request, Response, Trial, UsageError, hookimpl, option
from saidpo_plugins.common.checkpoints import (
    check_checkpoint,
    load_config,
    load_generation_config,
    load_tokenizer,
)
from saidpo_plugins.common.prompts import render
from saidpo_plugins.common.tokens import stop_ids, widths_of

if TYPE_CHECKING:
    from saidpo_plugins.generators.openai_client import Client, Sampled


@dataclass(frozen=True, kw_only=True)
class OpenAIOptions:
    base_url: str = option("", "a running server, such as http://localhost:8000/v1")
    serve: str = option("", "or a command that starts one: vllm serve {policy} --port {port}")
    update: str = option("", "with base_url: a command that makes the server serve {policy}; it ends when that is done")
    model: str = option("", "name of the model on the server (default: the first that it lists)")
    max_new_tokens: int = option(1024, "token limit of a response; one that reaches it is truncated", low=1)
    temperature: float = option(1.0, "sampling temperature", low=0.01, high=10)
    top_p: float = option(1.0, "sample from the smallest set of tokens with this probability", low=0.01, high=1)
    concurrency: int = option(64, "requests in flight", low=1)
    timeout: float = option(600.0, "seconds that a request may take", low=0.001)
    retries: int = option(4, "times that a failed request is sent again, with growing delays", low=0)
    startup: float = option(900.0, "seconds that the command of serve may take to answer, that of update to end", low=1)
    canary: float = option(
        0.3, "how far its logits may seem off the policy's, in nats; 16 bits cost up to 0.3; 0: not compared", low=0
    )


class OpenAIGenerator:
    def __init__(self, options: OpenAIOptions) -> None:
        self.options = options

    def check(self, policy: Path) -> None:
        check_checkpoint(policy)
        options = self.options
        if bool(options.base_url) == bool(options.serve):
            raise UsageError(
                "--generator=openai needs a server: --generator.base_url=http://HOST:PORT/v1 of one that runs, or "
                "--generator.serve='vllm serve {policy} --port {port}' to start one, and not both"
            )
        if options.serve:
            _check_command("serve", options.serve, "{policy}", "{port}")
            if options.update:
                raise UsageError("--generator.update is for a server that runs (--generator.base_url)")
        elif not options.base_url.startswith(("http://", "https://")):
            raise UsageError(
                f"--generator.base_url: expected a URL such as http://localhost:8000/v1, got {options.base_url!r}"
            )
        if options.update:
            _check_command("update", options.update, "{policy}")
        _api_key()
        if options.base_url:
            self._client(options.base_url).models()

    def preflight(self, policy: Path, requests: Sequence[Request]) -> list[str]:
        from saidpo_plugins.common.preflight import preflight

        return preflight(policy, requests, max_new_tokens=self.options.max_new_tokens)

    @contextmanager
    def load(self, policy: Path) -> Iterator[OpenAIEngine]:
        from saidpo_plugins.generators.openai_server import started, update

        self.check(policy)
        options = self.options
        if options.update:
            update(options.update, policy, options.startup)
        server: AbstractContextManager[Any] = (
            started(options.serve, policy, options.startup) if options.serve else nullcontext()
        )
        with server as process:
            client = self._client(process.base_url if process else options.base_url)
            model, folder = client.served(options.model)
            if not process:
                _check_folder(options, folder, policy)
            yield OpenAIEngine(client, model, policy, options, process)

    def _client(self, base_url: str) -> Client:
        from saidpo_plugins.generators.openai_client import Client

        options = self.options
        return Client(base_url, _api_key(), options.timeout, options.retries, options.concurrency)


class OpenAIEngine:
    """A policy that a server serves; see ``saidpo_core.Engine``."""

    def __init__(self, client: Client, model: str, policy: Path, options: OpenAIOptions, process: Any) -> None:
        self.client, self.model, self.policy, self.options, self.process = client, model, policy, options, process
        self.tokenizer = load_tokenizer(policy, trust_remote_code=False)
        self.positions = getattr(load_config(policy), "max_position_embeddings", None)
        self.stop_ids = stop_ids(load_generation_config(policy), self.tokenizer)
        self._compared = not options.canary

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        prompts = [render(self.tokenizer, request, self.positions) for request in requests]
        rows = [(prompt, seed) for prompt, request in zip(prompts, requests, strict=True) for seed in request.seeds]
        started_at = time.perf_counter()
        with self._explained():
            sampled = self.client.sample([self._body(prompt, None if greedy else seed) for prompt, seed in rows])
        seconds = time.perf_counter() - started_at
        if sampled and not self._compared:
            from saidpo_plugins.generators.openai_canary import compare

            compare(
                self.policy, [(prompt, s) for (prompt, _), s in zip(rows, sampled, strict=True)], self.options.canary
            )
            self._compared = True
        total = sum(len(item.token_ids) for item in sampled)
        responses = iter([self._response(item, seconds * len(item.token_ids) / total) for item in sampled])
        return [
            Generation(prompt_ids=prompt, responses=tuple(next(responses) for _ in request.seeds))
            for prompt, request in zip(prompts, requests, strict=True)
        ]

    def _body(self, prompt: tuple[int, ...], seed: int | None) -> dict[str, Any]:
        """A request; what the OpenAI dialect does not know is understood by vLLM and SGLang."""
        options = self.options
        room = options.max_new_tokens if self.positions is None else self.positions - len(prompt)
        chosen = {"temperature": 0.0} if seed is None else {"temperature": options.temperature, "top_p": options.top_p}
        return {
            "model": self.model,
            "prompt": list(prompt),
            "max_tokens": min(options.max_new_tokens, room),
            "logprobs": 1,
            **chosen,
            **({} if seed is None else {"seed": seed % 2**31}),  # not every server takes 64 bits
            "extra_body": {
                "return_token_ids": True,
                "return_tokens_as_token_ids": True,
                "stop_token_ids": self.stop_ids,
                "skip_special_tokens": False,
            },
        }

    def _response(self, sampled: Sampled, seconds: float) -> Response:
        ids = list(sampled.token_ids)
        if sampled.finish_reason == "stop" and ids[-1] not in self.stop_ids:
            raise self.client.error(
                f"a response stopped at the token {ids[-1]}, which is no end token of the policy ({self.stop_ids}): "
                "the server leaves the end token out, or stops at a text; neither can be trained on"
            )
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return Response(
            text=text,
            token_ids=tuple(ids),
            logprobs=sampled.logprobs,
            finish_reason=sampled.finish_reason,
            seconds=seconds,
            widths=widths_of(self.tokenizer, ids, text),
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """With what a server that we started said last, if it has ended."""
        from saidpo_core import SaidpoError

        try:
            yield
        except SaidpoError as error:
            said = self.process.epitaph() if self.process else ""
            raise SaidpoError(f"{error}{said}") from error


def _check_command(name: str, command: str, *places: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--generator.{name}: {command!r} cannot be read as a command: {error}") from error
    missing = [place for place in places if place not in command]
    if missing or not words:
        raise UsageError(f"--generator.{name}: expected a command with {' and '.join(places)}, got {command!r}")
    if shutil.which(os.path.expanduser(words[0])) is None:
        raise UsageError(f"--generator.{name}: there is no program {words[0]!r} here")


def _check_folder(options: OpenAIOptions, folder: str, policy: Path) -> None:
    """Refuse a server that says that it serves another folder than the policy's. ``update`` may not change its name."""
    if options.update or not folder or not Path(folder).is_dir() or Path(folder).samefile(policy):
        return
    raise UsageError(
        f"the server {options.base_url} serves {folder}, and the policy to be asked is {policy}. One that runs "
        "has one policy, and training makes another each round: say how it gets it (--generator.update=COMMAND), or "
        "let saidpo start one (--generator.serve='vllm serve {policy} --port {port}')"
    )


def _api_key() -> str:
    key = os.environ.get("OPENAI_API_KEY", "").strip() or "none"
    if not (key.isascii() and key.isprintable()):
        raise UsageError("the environment variable OPENAI_API_KEY holds characters that no key has")
    return key


def _trial(folder: Path) -> AbstractContextManager[Trial]:
    from saidpo_plugins.generators.openai_trial import trial

    return trial(folder)


@hookimpl
def saidpo_generators() -> list[Component[Generator]]:
    return [
        Component(
            name="openai",
            summary="an OpenAI-compatible server that takes and gives token ids (vLLM, SGLang)",
            options=OpenAIOptions,
            build=OpenAIGenerator,
            needs="openai",
            extra="openai",
            trial=_trial,
        )
    ]
