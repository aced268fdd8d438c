"""Time of ``saidpo --help`` and ``saidpo plugins`` as whole processes: median (min, max) of 10.

python tests/bench/bench_startup.py                  # as installed here
python tests/bench/bench_startup.py --packages 200   # with so many light plug-in packages besides
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.packages import write_light_packages

SAIDPO = str(Path(sys.executable).with_name("saidpo"))


def milliseconds(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([SAIDPO, *arguments], check=True, capture_output=True, env=environment)
    return 1000 * (time.perf_counter() - started)


def measure(environment: dict[str, str], help_limit: int) -> None:
    for arguments, limit in ((("--help",), help_limit), (("plugins",), 400)):
        milliseconds(arguments, environment)
        times = [milliseconds(arguments, environment) for _ in range(10)]
        shown = f"{statistics.median(times):.0f} ms ({min(times):.0f}, {max(times):.0f})"
        print(f"saidpo {' '.join(arguments)}: {shown}, limit {limit} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=0, help="light third-party plug-in packages to add")
    count = parser.parse_args().packages
    with tempfile.TemporaryDirectory() as folder:
        write_light_packages(Path(folder), count)
        environment = {**os.environ, "PYTHONPATH": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed code is compiled
        measure(environment, help_limit=400 if count else 150)


if __name__ == "__main__":
    main()
