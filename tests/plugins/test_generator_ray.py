"""Generator ``ray`` on a real local cluster: the same responses with any number of workers, killed or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Generation, Problem, Request, SaidpoError, UsageError
from saidpo_plugins.generators.ray import RayGenerator, RayOptions
from saidpo_plugins.policies.embedded import saidpo_policies
from tests.tiny import TINY_RUN

POLICY = saidpo_policies()[0].folder
ray = pytest.importorskip("ray")


def requests(count: int = 12) -> list[Request]:
    """Questions of which the policy is not sure, so that seeds matter; of several lengths."""
    return [
        Request(problem=Problem(id=f"p{n}", question=f"Who has {10**n} + {n}?"[:30], answer="1"), seeds=(n, n + 100, 7))
        for n in range(count)
    ]


def outcome(generations: Sequence[Generation]) -> list[Any]:
    """All but the measured seconds, floats to the bit."""
    return [
        (g.prompt_ids, [(r.text, r.token_ids, r.logprobs, r.finish_reason, r.widths) for r in g.responses])
        for g in generations
    ]


class TestSettings:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"engine": "transformer"}, "Did you mean transformers"),
            ({"engine": "ray"}, "need a generator of their own"),
            ({"engine_options": ("max_new_token=3",)}, r"NAME=VALUE .*Did you mean max_new_tokens"),
            ({"engine_options": ("dtype",)}, "expected NAME=VALUE"),
            ({"engine_options": ("temperature=0",)}, "engine_options: temperature: must be >= 0.01"),
        ],
    )
    def test_what_cannot_work_is_refused_before_anything_starts(self, options: dict[str, Any], told: str) -> None:
        with pytest.raises(UsageError, match=told):
            RayGenerator(RayOptions(**options)).check(POLICY)

    def test_the_engine_gets_its_options_and_the_limit_of_tokens(self) -> None:
        engine = RayGenerator(RayOptions(max_new_tokens=5, engine_options=("dtype=bfloat16", "top-p=0.5")))._engine()
        options = engine.options  # type: ignore[attr-defined]
        assert (options.max_new_tokens, options.dtype, options.top_p) == (5, "bfloat16", 0.5)

    def test_a_folder_that_is_no_policy_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no config\.json"):
            RayGenerator(RayOptions()).check(tmp_path)


@pytest.fixture(scope="module")
def one_cluster() -> Iterator[None]:
    """A cluster that outlives a load, as a user's own; so not every test waits for one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def cluster_processes() -> set[str]:
    """Lines of ps that belong to Ray clusters on this machine."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return {line for line in listed.splitlines() if "/raylet/" in line or "gcs_server" in line or "ray::" in line}


@dataclass(frozen=True, kw_only=True)
class FragileOptions:
    pass


@dataclass
class Fragile:
    """A generator whose process dies in the middle of a task, as often as ``deaths`` says; counted in a folder."""

    folder: Path
    deaths: int
    error: str = ""
    options: FragileOptions = field(default_factory=FragileOptions)

    def check(self, policy: Path) -> None:
        pass

    @contextmanager
    def load(self, policy: Path) -> Iterator[Fragile]:
        yield self

    def generate(self, asked: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        from tests.builders import make_response

        if self.error:
            raise UsageError(self.error)
        if any(request.problem.id == "p5" for request in asked):
            died = len(list(self.folder.iterdir()))
            if died < self.deaths:
                (self.folder / f"{died}-{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return [
            Generation(prompt_ids=(1,), responses=tuple(make_response(f"{r.problem.id} {s}") for s in r.seeds))
            for r in asked
        ]


def spread(engine: Fragile, monkeypatch: pytest.MonkeyPatch) -> list[Generation]:
    generator = RayGenerator(RayOptions(workers=2, task=2))
    monkeypatch.setattr(RayGenerator, "_engine", lambda self: engine)
    with generator.load(POLICY) as loaded:
        return loaded.generate(requests())


@pytest.mark.slow
@pytest.mark.usefixtures("one_cluster")
class TestOnACluster:
    def test_a_lost_workers_task_is_done_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = spread(Fragile(tmp_path, deaths=2), monkeypatch)
        assert len(list(tmp_path.iterdir())) == 2, "it has to have died twice"
        assert outcome(found) == outcome(Fragile(tmp_path, deaths=0).generate(requests()))

    def test_a_worker_that_dies_again_and_again_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SaidpoError, match="a worker was lost 4 times"):
            spread(Fragile(tmp_path, deaths=10**6), monkeypatch)
        assert len(list(tmp_path.iterdir())) == 4

    def test_an_error_of_the_engine_is_told_as_it_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(UsageError, match=r"^the prompt is too long$"):
            spread(Fragile(tmp_path, deaths=0, error="the prompt is too long"), monkeypatch)

    def test_more_workers_than_the_machine_has_room_for_are_refused(self) -> None:
        load = RayGenerator(RayOptions(workers=3, cpus=2)).load(POLICY)
        with pytest.raises(UsageError, match="this machine has 4 cores and 0 GPUs"), load:
            pass

    def test_the_policy_can_be_sent_along(self, tmp_path: Path) -> None:
        """The worker is given a path that it cannot see."""
        from saidpo_plugins.generators.ray_worker import Worker
        from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions

        generator = TransformersGenerator(TransformersOptions(max_new_tokens=16))
        files = {path.name: ray.put(path.read_bytes()) for path in POLICY.iterdir() if path.is_file()}
        sent = Worker(generator, "/no/such/folder", files)
        try:
            assert len(sent.generate(tuple(requests(2)), False)) == 2
        finally:
            sent.close()
        with pytest.raises(UsageError, match=r"has no folder /no/such/folder.*--generator.ship"):
            Worker(generator, "/no/such/folder", {}).ready()

    def test_the_same_seed_gives_the_same_with_one_two_and_four_workers_and_with_one_killed(self) -> None:
        def run(workers: int, kill: bool = False) -> list[Any]:
            with RayGenerator(RayOptions(workers=workers, max_new_tokens=64, task=2)).load(POLICY) as engine:
                if kill:
                    victim = ray.get(engine.crew._actors[0].ready.remote())
                    threading.Timer(0.05, os.kill, (victim, signal.SIGKILL)).start()
                return outcome(engine.generate(requests(24)))

        due = run(1)
        assert run(2) == due
        assert run(4) == due
        assert run(2, kill=True) == due


@pytest.mark.slow
def test_a_whole_run_on_a_cluster_of_its_own_leaves_nothing(tmp_path: Path) -> None:
    small = ("--rounds=1", "--probe-min=16", "--draw=16", "--pool.held_out=1", "--generator.early_stop=pair")
    flags = ["--generator=ray", "--generator.workers=2", "--generator.engine_options=dtype=float32"]
    command = [sys.executable, "-m", "saidpo_core.cli", "run", *TINY_RUN, *small, *flags, "--quiet"]
    before = cluster_processes()
    done = subprocess.run([*command, "--run-dir", str(tmp_path / "run")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Token authentication" not in done.stderr
    until = time.monotonic() + 20
    while (left := cluster_processes() - before) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == set()
