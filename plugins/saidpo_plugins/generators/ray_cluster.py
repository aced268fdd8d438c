"""The cluster and its workers, for the generator ``ray``; what the workers run is in ``ray_worker``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import Generation, Generator, Request, SaidpoError, UsageError

if TYPE_CHECKING:
    from saidpo_plugins.generators.ray import RayOptions

LIVES = 3
"""Times that a worker is started anew, and that a task is done again, before it is an error."""
_CLOSING = 60.0  # seconds for the engines to end what they started


@contextmanager
def cluster(options: RayOptions) -> Iterator[Mapping[str, float]]:
    """The resources of the cluster of ``address``, or of one on this machine that is gone afterwards.

    Where the process is in a cluster already, that one is used, and left as it is.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield ray.cluster_resources()
        return
    quiet = {"configure_logging": False, "log_to_driver": False}
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.ERROR)  # else it tells on every start how to switch off its authentication
    try:
        if options.address:
            ray.init(address=options.address, **quiet)
        else:
            cores = os.cpu_count() or 1
            wanted = 0 if options.workers == "auto" else int(options.workers * options.cpus + 0.999)
            ray.init(address="local", num_cpus=max(cores, wanted), include_dashboard=False, **quiet)
    except Exception as error:  # ConnectionError, RuntimeError, ValueError: as the address has it
        where = (
            f"the Ray cluster {options.address!r} (--generator.address)" if options.address else "Ray on this machine"
        )
        raise UsageError(f"--generator=ray: {where} cannot be used: {error}") from error
    finally:
        logger.setLevel(level)
    try:
        yield ray.cluster_resources()
    finally:
        ray.shutdown()


@contextmanager
def workers(engine: Generator, policy: Path, options: RayOptions, resources: Mapping[str, float]) -> Iterator[Crew]:
    """Workers that have loaded ``policy``; ended afterwards, with what their engines started."""
    import ray

    from saidpo_plugins.generators.ray_worker import Worker

    gpus = (1.0 if resources.get("GPU") else 0.0) if options.gpus == "auto" else options.gpus
    most = int(resources.get("GPU", 0) / gpus) if gpus else int(resources.get("CPU", 1) / options.cpus)
    count = max(1, most) if options.workers == "auto" else options.workers
    if count > most and not options.address:
        raise UsageError(
            f"--generator.workers={count} with {options.cpus:g} cores and {gpus:g} GPUs each: this machine has "
            f"{resources.get('CPU', 0):g} cores and {resources.get('GPU', 0):g} GPUs"
        )
    files = {path.name: ray.put(path.read_bytes()) for path in _files(policy)} if options.ship else {}
    kind = ray.remote(Worker).options(num_cpus=options.cpus, num_gpus=gpus, max_restarts=LIVES, max_task_retries=LIVES)
    actors = [kind.remote(engine, str(policy.absolute()), files) for _ in range(count)]
    crew = Crew(actors)
    try:
        crew.ready(options.startup)
        yield crew
    finally:
        crew.close()


def _files(policy: Path) -> list[Path]:
    return sorted(path for path in policy.iterdir() if path.is_file())


class Crew:
    """Workers that share tasks."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = actors

    def ready(self, seconds: float) -> None:
        """Wait until all have loaded the policy."""
        import ray

        with self._told():
            try:
                ray.get([actor.ready.remote() for actor in self._actors], timeout=seconds)
            except ray.exceptions.GetTimeoutError as error:
                raise SaidpoError(
                    f"--generator=ray: {len(self._actors)} workers were not ready within {seconds:g} s "
                    "(--generator.startup). Has the cluster room for them? See: ray status"
                ) from error

    def map(self, tasks: Sequence[tuple[Request, ...]], greedy: bool) -> list[list[Generation]]:
        """The responses to each task, in order. Whoever is free takes the next one."""
        from ray.util import ActorPool

        with self._told():
            return list(ActorPool(self._actors).map(lambda actor, task: actor.generate.remote(task, greedy), tasks))

    def close(self) -> None:
        import ray

        with suppress(Exception):  # a worker that is lost has nothing to close
            ray.wait([actor.close.remote() for actor in self._actors], num_returns=len(self._actors), timeout=_CLOSING)
        for actor in self._actors:
            ray.kill(actor)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """An engine's own errors as they are; the loss of a worker as an error of the run."""
        import ray

        try:
            yield
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            said = " ".join(str(error).split())[:600]
            raise SaidpoError(
                f"--generator=ray: a worker was lost {LIVES + 1} times, the last time so: {said}. What was finished is "
                "kept: the same command goes on"
            ) from error
