"""The components of a run, built from their options, each with the offer to blame when it breaks a promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
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
from saidpo_core.contracts import blame, check_verdicts, check_warnings, unchanged
from saidpo_core.engines import NO_CHANGES, KeptPolicy, loaded
from saidpo_core.errors import UsageError
from saidpo_core.kind_options import RolloutOptions
from saidpo_core.options import build_options, specs_of
from saidpo_core.records import Problem, Request, Verdict
from saidpo_core.registry import Offer, Registry
from saidpo_core.settings import Settings


class Parts:
    """One built component of every kind. Building is cheap; nothing heavy is imported yet.

    A context manager, for those that load policies or judge: both are ended with it.
    """

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
        self._kept = KeptPolicy(self._load)

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._kept.__exit__(kind, error, trace)
        finally:
            self.verifier.close()

    def offer(self, kind: str) -> Offer:
        return self._settings.parts[kind].offer

    def options(self, kind: str) -> Any:
        return self._settings.parts[kind].options

    @property
    def rollouts(self) -> RolloutOptions:
        """How many problems are asked at once, and when a drawn one is asked no further."""
        options: RolloutOptions = self._settings.parts["generator"].core
        return options

    def engine(self, policy: Path, changes: Mapping[str, Any] = NO_CHANGES) -> Engine:
        """The policy, ready to be asked; what it answers is checked whoever asks. ``changes`` to the generator's
        options hold for this engine alone. It stays loaded until another one is asked for, or ``release``."""
        return self._kept.engine(policy, self._real_changes(changes))

    def release(self) -> None:
        """Unload the policy, if one is loaded: the devices' memory is free afterwards."""
        self._kept.release()

    def _load(self, policy: Path, changes: Mapping[str, Any]) -> AbstractContextManager[Engine]:
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

    def _real_changes(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Those that differ from the run's options: for the others the policy need not be loaded again."""
        offer, options = self.offer("generator"), self.options("generator")
        known = {spec.name for spec in specs_of(options.__class__)}
        for name in changes:
            if name not in known:
                raise UsageError(f"{self.offer('evaluator')} asks for another {name}, and {offer} has no such option")
        return {name: value for name, value in changes.items() if getattr(options, name) != value}

    def _changed(self, changes: Mapping[str, Any]) -> Generator:
        """The generator with other options."""
        offer, options = self.offer("generator"), self.options("generator")
        with blame(offer, "build"):
            built: Generator = offer.component.build(replace(options, **changes))
        return built

    def _build(self, kind: str) -> Any:
        chosen = self._settings.parts[kind]
        chosen.offer.require_package()
        with blame(chosen.offer, "build"):
            return chosen.offer.component.build(chosen.options)


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
