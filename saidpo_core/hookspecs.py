"""The hooks: one per kind, in which a plug-in offers components, and the observers' hooks.

A hook offers; it never does the work. See ``saidpo_core.components`` for what each kind promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from saidpo_core.components import (
    Clusterer,
    Component,
    Difficulty,
    Embedder,
    Evaluator,
    Generator,
    PairBuilder,
    Pool,
    Sampler,
    Tagger,
    Trainer,
    Verifier,
)
from saidpo_core.records import Finding, Policy

if TYPE_CHECKING:
    from saidpo_core.events import StageEvent

hookspec = pluggy.HookspecMarker("saidpo")
hookimpl = pluggy.HookimplMarker("saidpo")


@hookspec
def saidpo_pools() -> list[Component[Pool]]:  # type: ignore[empty-body]
    """Offer sources of problems (``--pool``)."""


@hookspec
def saidpo_taggers() -> list[Component[Tagger]]:  # type: ignore[empty-body]
    """Offer ways to find the knowledge points of problems (``--tagger``)."""


@hookspec
def saidpo_embedders() -> list[Component[Embedder]]:  # type: ignore[empty-body]
    """Offer ways to turn tag texts into vectors (``--embedder``)."""


@hookspec
def saidpo_clusterers() -> list[Component[Clusterer]]:  # type: ignore[empty-body]
    """Offer ways to group problems into knowledge areas (``--clusterer``)."""


@hookspec
def saidpo_generators() -> list[Component[Generator]]:  # type: ignore[empty-body]
    """Offer engines that sample responses from a policy (``--generator``)."""


@hookspec
def saidpo_verifiers() -> list[Component[Verifier]]:  # type: ignore[empty-body]
    """Offer judges of responses (``--verifier``)."""


@hookspec
def saidpo_difficulties() -> list[Component[Difficulty]]:  # type: ignore[empty-body]
    """Offer measures of self-aware difficulty (``--difficulty``)."""


@hookspec
def saidpo_samplers() -> list[Component[Sampler]]:  # type: ignore[empty-body]
    """Offer ways to weigh the pool for the next draw (``--sampler``)."""


@hookspec
def saidpo_pair_builders() -> list[Component[PairBuilder]]:  # type: ignore[empty-body]
    """Offer ways to choose preference pairs (``--pair-builder``)."""


@hookspec
def saidpo_trainers() -> list[Component[Trainer]]:  # type: ignore[empty-body]
    """Offer ways to make the next policy (``--trainer``)."""


@hookspec
def saidpo_evaluators() -> list[Component[Evaluator]]:  # type: ignore[empty-body]
    """Offer ways to measure a policy (``--evaluator``)."""


@hookspec
def saidpo_policies() -> list[Policy]:  # type: ignore[empty-body]
    """Offer ready policies by name (``--model``)."""


@hookspec
def saidpo_observers() -> list[Component[object]]:  # type: ignore[empty-body]
    """Offer observers that a user asks for by name (``--observers``), built as objects with the hooks that observe.

    Several can be chosen. They are no part of a run's settings: a run may go on with others. One keeps its files in
    ``RUN/observers/NAME``, unless its options say otherwise.
    """


@hookspec
def saidpo_before_stage(event: StageEvent) -> None:
    """Called before a stage does its work. Observers look; they cannot change data, and their errors stop nothing."""


@hookspec
def saidpo_stage_progress(event: StageEvent, done: int, total: int) -> None:
    """Called now and then during a stage."""


@hookspec
def saidpo_stage_note(event: StageEvent, text: str) -> None:
    """Called when a stage has something to tell before it is done, such as what its work will cost."""


@hookspec
def saidpo_after_stage(event: StageEvent) -> None:
    """Called after a stage has ended and its data are on disk."""


@hookspec
def saidpo_after_round(row: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Called after each round, and once before the first, with its row of ``summary.json`` and all of it so far."""


@hookspec
def saidpo_diagnose(record: Mapping[str, Any]) -> list[Finding]:  # type: ignore[empty-body]
    """Called after each round, before ``saidpo_after_round``: say what goes wrong, judged by ``summary.json`` so far.

    What is found is shown at the end of the round and kept in the record, under ``findings``. A detector looks at
    nothing but the record, so that a run that goes on after a kill, and a reader of an old record, find the same.
    """


@hookspec
def saidpo_after_run(run_dir: Path, record: Mapping[str, Any], problem: str) -> None:
    """Called once at the end: with the whole record, or as far as it came and why it ended (empty if all went well).

    A killed process calls nothing. The run waits for it: what takes long is better done by a command of its own.
    """


@hookspec
def saidpo_after_study(study_dir: Path, result: Mapping[str, Any]) -> None:
    """Called once by ``saidpo study`` and ``saidpo compare``, with what ``study.json`` holds, when that is written.

    Runs that did not end are left out of the result. Observers that are chosen by name belong to one run each, and are
    not told of studies.
    """


KINDS: dict[str, str] = {
    "pool": "saidpo_pools",
    "tagger": "saidpo_taggers",
    "embedder": "saidpo_embedders",
    "clusterer": "saidpo_clusterers",
    "generator": "saidpo_generators",
    "verifier": "saidpo_verifiers",
    "difficulty": "saidpo_difficulties",
    "sampler": "saidpo_samplers",
    "pair-builder": "saidpo_pair_builders",
    "trainer": "saidpo_trainers",
    "evaluator": "saidpo_evaluators",
}
"""Kind, as on the command line, and the hook that offers its components; in the order in which a run uses them."""

OFFERED: dict[str, str] = {**KINDS, "observer": "saidpo_observers"}
"""All that is offered as components: the kinds, of which a run has one each, and observers, of which it has any."""
