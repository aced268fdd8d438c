"""Time of ``saidpo --help`` and ``saidpo plugins`` as whole processes: median (min, max) of 10.

python tests/bench/bench_startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

SAIDPO = str(Path(sys.executable).with_name("saidpo"))


def milliseconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([SAIDPO, *arguments], check=True, capture_output=True)
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    for arguments, limit in ((("--help",), 150), (("plugins",), 400)):
        milliseconds(*arguments)
        times = [milliseconds(*arguments) for _ in range(10)]
        shown = f"{statistics.median(times):.0f} ms ({min(times):.0f}, {max(times):.0f})"
        print(f"saidpo {' '.join(arguments)}: {shown}, limit {limit} ms")


if __name__ == "__main__":
    main()
