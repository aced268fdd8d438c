"""What a worker of the generator ``ray`` runs: an engine of its own, loaded when it is first needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from saidpo_core import Engine, Generation, Generator, Request, UsageError


class Worker:
    """Made anew by Ray after a loss, with the same arguments; so loading is no part of making it."""

    def __init__(self, generator: Generator, policy: str, files: Mapping[str, Any]) -> None:
        self._generator = generator
        self._policy = Path(policy)
        self._files = files
        """The policy's files in Ray's object store, if they are sent along."""
        self._stack = ExitStack()
        self._engine: Engine | None = None

    def ready(self) -> int:
        """Load the policy; the number of this process."""
        self._loaded()
        return os.getpid()

    def generate(self, requests: tuple[Request, ...], greedy: bool) -> list[Generation]:
        return self._loaded().generate(requests, greedy=greedy)

    def close(self) -> None:
        self._engine = None
        self._stack.close()

    def _loaded(self) -> Engine:
        if self._engine is None:
            self._engine = self._stack.enter_context(self._generator.load(self._folder()))
        return self._engine

    def _folder(self) -> Path:
        if self._files:
            import ray

            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="saidpo-policy-")))
            for name, content in self._files.items():
                (folder / name).write_bytes(ray.get(content))
            return folder
        if not self._policy.is_dir():
            raise UsageError(
                f"--generator=ray: a worker on {os.uname().nodename} has no folder {self._policy}; put the run where "
                "all machines of the cluster see it (--run-dir), or send the policy along: --generator.ship"
            )
        return self._policy
