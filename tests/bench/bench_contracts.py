"""What the checks at the hooks cost: a whole default run in this process, with a stopwatch on every one of them.

    OMP_NUM_THREADS=1 python tests/bench/bench_contracts.py [FLAGS OF saidpo]

The limit is 1% of the run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from saidpo_core import loop, parts, prepare, rollouts, selection
from saidpo_core.cli.entry import cli

SPENT: defaultdict[str, float] = defaultdict(float)


@contextmanager
def stopwatch(name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        SPENT[name] += time.perf_counter() - started


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        with stopwatch(name):
            return function(*arguments)

    return call


def timed_context(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The time before and after what happens inside."""

    @contextmanager
    def around(*arguments: Any) -> Iterator[None]:
        with stopwatch(name):
            context = function(*arguments)
            context.__enter__()
        yield
        with stopwatch(name):
            context.__exit__(None, None, None)

    return around


def main() -> None:
    for module in (loop, parts, prepare, rollouts, selection):
        for name, value in list(vars(module).items()):
            if name.startswith("check_") or (name == "fingerprint" and module is loop):
                setattr(module, name, timed(name, value))
            elif name == "unchanged":
                setattr(module, name, timed_context(name, value))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        cli.main(
            ["run", f"--run-dir={folder}/run", "--quiet", *sys.argv[1:]], prog_name="saidpo", standalone_mode=False
        )
        whole = time.perf_counter() - started
    for name, seconds in sorted(SPENT.items(), key=lambda item: -item[1]):
        print(f"{name:<20} {1000 * seconds:8.2f} ms")
    total = sum(SPENT.values())
    print(f"all checks {total:.3f} s of {whole:.1f} s: {100 * total / whole:.2f}% (limit 1%)")


if __name__ == "__main__":
    main()
