"""Generator ``ray``: rollouts of another generator, spread over the workers of a Ray cluster.

Each worker loads the policy with ``engine``, any generator, bundled or not. Requests are cut into tasks of ``task``
problems, the same whatever the number of workers, and handed out in order to whoever is free; responses come back in
order. So the same seed gives the same responses with one worker and with many, on machines that are alike. Workers are
Ray actors in its ``ActorPool``: one that is lost is started anew by Ray, and its task is done again; one that is lost
again and again is an error. **Ours**, but for what Ray does; see ``docs/rollouts.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saidpo_core import (
    ChecksPrompts,
    Component,
    Generation,
    Generator,
    Request,
    Trial,
    UsageError,
    hookimpl,
    option,
)

if TYPE_CHECKING:
    from saidpo_core import GenerationEstimate, GenerationWork, Machine, ModelShape
    from saidpo_core.registry import Offer


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    engine: str = option("transformers", "the generator of the workers, as --generator names it")
    engine_options: tuple[str, ...] = option((), "its options: NAME=VALUE,NAME=VALUE")
    max_new_tokens: int = option(1024, "token limit of a response, for engines with such an option", low=1)
    workers: int | Literal["auto"] = option(
        "auto", "processes that generate; auto: one for each GPU of the cluster, or each core if it has none", low=1
    )
    cpus: float = option(1.0, "cores of a worker; what runs in threads uses so many", low=0.01)
    gpus: float | Literal["auto"] = option("auto", "GPUs of a worker; auto: 1 if the cluster has any", low=0)
    task: int = option(8, "problems that a worker is handed at a time", low=1)
    address: str = option("", "a running cluster, such as auto or ray://HOST:10001 (default: one on this machine)")
    ship: bool = option(False, "send the policy's files to the workers, for clusters without a shared folder")
    startup: float = option(900.0, "seconds that the workers may take to be ready", low=1)


class RayGenerator:
    def __init__(self, options: RayOptions) -> None:
        self.options = options

    def check(self, policy: Path) -> None:
        self._engine().check(policy)

    def preflight(self, policy: Path, requests: Sequence[Request]) -> list[str]:
        engine = self._engine()
        return engine.preflight(policy, requests) if isinstance(engine, ChecksPrompts) else []

    @contextmanager
    def load(self, policy: Path) -> Iterator[RayEngine]:
        from saidpo_plugins.generators.ray_cluster import cluster, workers

        engine = self._engine()
        engine.check(policy)
        with cluster(self.options) as resources, workers(engine, policy, self.options, resources) as crew:
            yield RayEngine(crew, self.options.task)

    def _engine(self) -> Generator:
        """The generator of the workers, built here: how it was found does not matter to them."""
        offer, chosen = engine_of(self.options)
        offer.require_package()
        if not offer.component.picklable:
            engine = self.options.engine
            raise UsageError(f"--generator.engine={engine} cannot be sent to other processes (not picklable)")
        built: Generator = offer.component.build(chosen)
        return built


def engine_of(options: RayOptions) -> tuple[Offer, Any]:
    """The generator of the workers and its options."""
    from saidpo_core.options import build_options, nearest, specs_of
    from saidpo_core.registry import load_registry

    offer = load_registry().find("generator", options.engine, "--generator.engine")
    if offer.component.build is RayGenerator:
        raise UsageError("--generator.engine=ray: the workers need a generator of their own, such as transformers")
    known = {spec.name for spec in specs_of(offer.component.options)}
    values: dict[str, Any] = {"max_new_tokens": options.max_new_tokens} if "max_new_tokens" in known else {}
    for item in options.engine_options:
        name, equals, value = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            raise UsageError(
                f"--generator.engine_options: {item!r}: expected NAME=VALUE with an option of the generator "
                f"{options.engine}.{nearest(name, known)}"
            )
        values[name] = value.strip()
    where = {name: f"--generator.engine_options: {name}" for name in values}
    return offer, build_options(offer.component.options, values, where)


def plan_ray(options: RayOptions, model: ModelShape, machine: Machine, work: GenerationWork) -> GenerationEstimate:
    """What a worker needs is what its engine needs of the worker's devices; the responses are shared out evenly."""
    offer, chosen = engine_of(options)
    plan: Any = offer.component.plan
    if plan is None:
        raise UsageError(f"--generator.engine={options.engine} says nothing of what it needs, so ray cannot be planned")
    gpus = 0 if machine.is_cpu else max(1, math.ceil(1 if options.gpus == "auto" else options.gpus))
    if gpus > machine.devices:
        raise UsageError(f"--generator.gpus={gpus}, and there are {machine.devices}")
    room = max(1, machine.devices // gpus) if gpus else (1 if options.workers == "auto" else options.workers)
    workers = room if options.workers == "auto" else min(options.workers, room)
    tasks = math.ceil((work.problems_at_once or work.responses) / options.task)
    busy = min(workers, tasks)
    share = replace(work, responses=math.ceil(work.responses / busy), problems_at_once=options.task)
    estimate: GenerationEstimate = plan(chosen, model, replace(machine, devices=max(1, gpus)), share)
    memory = estimate.memory
    if machine.is_cpu and workers > 1:  # they share one memory
        memory = tuple(
            replace(n, bytes=n.bytes * workers, formula=f"{workers} workers x ({n.formula})") for n in memory
        )
    note = f"ray: {workers} workers with {options.engine}, {share.responses:,} responses each; nothing is added for Ray"
    if busy < workers:
        note += (
            f"; a chunk of {work.problems_at_once:,} problems has {tasks} tasks, so {workers - busy} of them wait: a "
            "larger --generator.chunk is faster"
        )
    devices = max(1, min(machine.devices, workers * gpus))
    return replace(estimate, memory=memory, notes=(note, *estimate.notes), devices=devices)


class RayEngine:
    """A policy that several workers have loaded; see ``saidpo_core.Engine``."""

    def __init__(self, crew: Any, task: int) -> None:
        self.crew = crew
        self.task = task

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        tasks = [tuple(requests[start : start + self.task]) for start in range(0, len(requests), self.task)]
        return [generation for generations in self.crew.map(tasks, greedy) for generation in generations]


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """One cluster for all checks, and one worker at a time: both take seconds to start."""
    from saidpo_plugins.generators.ray_cluster import cluster

    with cluster(RayOptions()):
        yield Trial(options={"workers": 1, "max_new_tokens": 64, "task": 2})


@hookimpl
def saidpo_generators() -> list[Component[Generator]]:
    return [
        Component(
            name="ray",
            summary="another generator, on the workers of a Ray cluster or on all cores of this machine",
            options=RayOptions,
            build=RayGenerator,
            plan=plan_ray,
            needs="ray",
            extra="ray",
            trial=_trial,
        )
    ]
