"""What a sandbox costs: verdicts on small programs, beside a bare start of Python; median (min, max) of 30.

python tests/bench/bench_sandbox.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from saidpo_core import Problem
from saidpo_plugins.verifiers.code import CodeOptions, CodeVerifier

LIMIT = 50.0
ROUNDS = 30
CALLS = 20_000


def problem(*tests: dict[str, str]) -> Problem:
    return Problem(id="p", question="?", answer="?", domain="code", extra={"tests": list(tests)})


def main() -> None:
    verifier = CodeVerifier(CodeOptions())
    verifier.self_test()
    asserts = [{"type": "assert", "code": f"assert f({n}) == {n}"} for n in range(10)]
    stdio = {"type": "stdio", "input": "", "output": ""}

    def judged(tests: list[dict[str, str]], program: str) -> None:
        [verdict] = verifier.verify([(problem(*tests), f"```python\n{program}\n```")])
        assert verdict.outcome == "right", verdict

    runs: dict[str, Callable[[], object]] = {
        "python -I -c pass": lambda: subprocess.run([sys.executable, "-I", "-c", "pass"], check=True),
        "one stdio test": lambda: judged([stdio], "pass"),
        "ten assert tests": lambda: judged(asserts, "def f(x):\n    return x"),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):  # side by side, so that what else the machine does is the same for all
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - started))
    bare = statistics.median(times["python -I -c pass"])
    for name, values in times.items():
        middle = statistics.median(values)
        over = "" if name == "python -I -c pass" else f", {middle - bare:.1f} ms over a bare start (limit {LIMIT:g})"
        print(f"{name}: {middle:.1f} ms ({min(values):.1f}, {max(values):.1f}){over}")
    cases = [(problem(stdio), f"```python\npass  # {n}\n```") for n in range(200)]
    started = time.perf_counter()
    verifier.verify(cases)
    print(f"{len(cases)} stdio tests in one call: {len(cases) / (time.perf_counter() - started):.0f} a second")
    calls = {"type": "assert", "code": f"for n in range({CALLS}):\n    assert f(n) == n"}
    started = time.perf_counter()
    judged([calls], "def f(x):\n    return x")
    print(f"an assert test that calls the program: {1000 * (time.perf_counter() - started) / CALLS:.3f} ms a call")


if __name__ == "__main__":
    main()
