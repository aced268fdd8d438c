"""Loaded policies: what is asked of them, who is to blame for what they answer, and how long they stay loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from saidpo_core.components import Engine, Generator
from saidpo_core.contracts import blame, check_generations, require, unchanged
from saidpo_core.records import Generation, Prompt, Request
from saidpo_core.registry import Offer

NO_CHANGES: Mapping[str, Any] = MappingProxyType({})


@contextmanager
def loaded(offer: Offer, generator: Generator, policy: Path, prompt: Prompt) -> Iterator[Engine]:
    """A policy in a generator that ``offer`` made, which is to blame for what it does."""
    with ExitStack() as stack:
        with blame(offer, "load"):
            context = generator.load(policy)
            good = isinstance(context, AbstractContextManager)
            require(good, offer, "load", f"expected a context manager, got {type(context).__name__}")
            engine = stack.enter_context(context)
        yield CheckedEngine(engine, offer, prompt)
        with blame(offer, "load"):
            stack.close()


class CheckedEngine:
    """Asks as the run asks (``--prompt``), and blames the generator for what it does; itself an ``Engine``."""

    def __init__(self, engine: Engine, offer: Offer, prompt: Prompt) -> None:
        self._engine = engine
        self._offer = offer
        self._prompt = prompt

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        # A prompt of its own is respected; who asks without one need not know the run's.
        requests = tuple(replace(r, prompt=self._prompt) if r.prompt == Prompt() else r for r in requests)
        problems = [request.problem for request in requests]
        with blame(self._offer, "generate"), unchanged(self._offer, "generate", problems):
            generations = self._engine.generate(requests, greedy=greedy)
        check_generations(generations, requests, self._offer)
        return generations


class KeptPolicy:
    """At most one loaded policy. It stays loaded from stage to stage: what was measured is what the next round probes
    and explores, and an engine may take a minute to start.

    A context manager: what is loaded when it ends is unloaded, and learns of the error if there was one.
    """

    def __init__(self, load: Callable[[Path, Mapping[str, Any]], AbstractContextManager[Engine]]) -> None:
        self._load = load
        self._stack = ExitStack()
        self._loaded: tuple[Path, dict[str, Any]] | None = None
        self._engine: Engine

    def engine(self, policy: Path, changes: Mapping[str, Any]) -> Engine:
        """``policy`` under ``changes`` to the generator's options; another one is unloaded first."""
        wanted = (policy, dict(changes))
        if self._loaded != wanted:
            self.release()
            self._engine = self._stack.enter_context(self._load(policy, changes))
            self._loaded = wanted
        return self._engine

    def release(self) -> None:
        """Unload: the devices' memory is free afterwards."""
        self._loaded = None
        self._stack.close()

    def __enter__(self) -> KeptPolicy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loaded = None
        self._stack.__exit__(kind, error, trace)
