"""The components of a run, built from their options, each with the offer to blame when it breaks a promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from saidpo_core.components import (
    ChecksPrompts,
    Clusterer,
    Difficulty,
    Embedder,
    Engine,
    Evaluator,
    Generator,
    PairBuilder,
    Pool,
    Sampler,
    Tagger,
    Trainer,
    Verifier,
)
from saidpo_core.contracts import blame, check_generations, check_verdicts, check_warnings, require, unchanged
from saidpo_core.errors import UsageError
from saidpo_core.kind_options import RolloutOptions
from saidpo_core.options import build_options, specs_of
from saidpo_core.records import Generation, Problem, Prompt, Request, Verdict
from saidpo_core.registry import Offer, Registry
from saidpo_core.settings import Settings

NO_CHANGES: Mapping[str, Any] = MappingProxyType({})


class Parts:
    """One built component of every kind. Building is cheap; nothing heavy is imported yet."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self.pool: Pool = self._build("pool")
        self.tagger: Tagger = self._build("tagger")
        self.embedder: Embedder = self._build("embedder")
        self.clusterer: Clusterer = self._build("clusterer")
        self.generator: Generator = self._build("generator")
        self.difficulty: Difficulty = self._build("difficulty")
        self.sampler: Sampler = self._build("sampler")
        self.pair_builder: PairBuilder = self._build("pair-builder")
        self.trainer: Trainer = self._build("trainer")
        self.evaluator: Evaluator = self._build("evaluator")
        self.verifier = Verifiers(settings, registry)

    def offer(self, kind: str) -> Offer:
        return self._settings.parts[kind].offer

    def options(self, kind: str) -> Any:
        return self._settings.parts[kind].options

    @property
    def rollouts(self) -> RolloutOptions:
        """When to stop asking a drawn problem."""
        options: RolloutOptions = self._settings.parts["generator"].core
        return options

    def load(self, policy: Path, changes: Mapping[str, Any] = NO_CHANGES) -> AbstractContextManager[Engine]:
        """The policy, ready to be asked; what it answers is checked whoever asks. ``changes`` to the generator's
        options hold for this engine alone."""
        generator = self._changed(changes) if changes else self.generator
        return loaded(self.offer("generator"), generator, policy, self._settings.prompt)

    def preflight(self, policy: Path, problems: Sequence[Problem]) -> list[str]:
        """What the generator warns of before it asks ``policy`` anything; nothing, if it cannot tell."""
        if not isinstance(self.generator, ChecksPrompts):
            return []
        offer = self.offer("generator")
        requests = tuple(Request(problem=p, seeds=(0,), prompt=self._settings.prompt) for p in problems)
        with blame(offer, "preflight"), unchanged(offer, "preflight", problems):
            warnings = self.generator.preflight(policy, requests)
        check_warnings(warnings, offer)
        return warnings

    def _changed(self, changes: Mapping[str, Any]) -> Generator:
        """The generator with other options."""
        offer, options = self.offer("generator"), self.options("generator")
        known = {spec.name for spec in specs_of(options.__class__)}
        for name in changes:
            if name not in known:
                raise UsageError(f"{self.offer('evaluator')} asks for another {name}, and {offer} has no such option")
        with blame(offer, "build"):
            built: Generator = offer.component.build(replace(options, **changes))
        return built

    def _build(self, kind: str) -> Any:
        chosen = self._settings.parts[kind]
        chosen.offer.require_package()
        with blame(chosen.offer, "build"):
            return chosen.offer.component.build(chosen.options)


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


class Verifiers:
    """Judges each problem by the verifier of its domain; itself a ``Verifier``."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._registry = registry
        self._chosen = settings.parts["verifier"]
        self._built: dict[str, tuple[Offer, Verifier]] = {}

    def prepare(self, domains: Set[str]) -> None:
        """Build the verifiers of ``domains`` and let each prove itself where the run will call it: in this process,
        from the main thread (evaluation) and from another (rollouts, while the next ones are generated).
        """
        for domain in sorted(domains):
            offer, verifier = self._for(domain)
            with blame(offer, "self_test"), ThreadPoolExecutor(1) as thread:
                verifier.self_test()
                thread.submit(verifier.self_test).result()

    def self_test(self) -> None:
        """Nothing more to test: ``prepare`` has tested every verifier in use."""

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        for domain in dict.fromkeys(problem.domain for problem, _ in cases):
            offer, verifier = self._for(domain)
            index = [i for i, (problem, _) in enumerate(cases) if problem.domain == domain]
            mine = tuple(cases[i] for i in index)
            problems = list({id(problem): problem for problem, _ in mine}.values())
            with blame(offer, "verify"), unchanged(offer, "verify", problems):
                found = verifier.verify(mine)
            check_verdicts(found, len(index), offer)
            verdicts.update(zip(index, found, strict=True))
        return [verdicts[i] for i in range(len(cases))]

    def close(self) -> None:
        for offer, verifier in self._built.values():
            with blame(offer, "close"):
                verifier.close()

    def _for(self, domain: str) -> tuple[Offer, Verifier]:
        offer = self._registry.verifier_for(domain, self._chosen.offer)
        if offer.qualified not in self._built:
            offer.require_package()
            mine = offer == self._chosen.offer
            options = self._chosen.options if mine else build_options(offer.component.options, {}, {})
            with blame(offer, "build"):
                self._built[offer.qualified] = (offer, offer.component.build(options))
        return self._built[offer.qualified]
