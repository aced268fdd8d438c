"""A fresh environment with saidpo and the example packages built and installed for real, once for all tests.

It sees the packages of the running environment (torch is not installed twice), but its own come first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tiny import TINY_RUN

ROOT = Path(__file__).parents[2]
EXAMPLES = (ROOT / "examples/saidpo-spectral", ROOT / "examples/saidpo-bandit")

FLAGS = (
    *TINY_RUN, "--pool.size=120", "--pool.held_out=1", "--probe-min=12", "--draw=12", "--rounds=1", "--embedder=tfidf"
)  # fmt: skip
"""A run that is tinier still: most of its time goes into importing torch."""


@dataclass(frozen=True)
class Fresh:
    """The environment; commands run in it from ``cwd``, with ``path`` as a place of more packages."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def saidpo(
        self, *arguments: str, cwd: Path, path: Path | None = None, debug: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """The command ``saidpo`` that pip made."""
        return self.call(str(self.folder / "bin/saidpo"), *arguments, cwd=cwd, path=path, debug=debug)

    def many(self, commands: list[list[str]], cwd: Path, path: Path | None = None) -> list[tuple[int, str, str]]:
        """Exit code, stdout and stderr of each command, all run in one process, which imports torch once."""
        program = Path(__file__).with_name("many_commands.py")
        done = self.call(str(self.python), str(program), cwd=cwd, path=path, stdin=json.dumps(commands))
        assert done.returncode == 0, done.stderr
        return [(code, out, err) for code, out, err in json.loads(done.stdout)]

    def call(
        self, *command: str, cwd: Path, path: Path | None = None, stdin: str = "", debug: bool = False
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "SAIDPO_CACHE": str(self.folder / "cache")}
        for name in ("SAIDPO_DEBUG", "PYTHONPATH"):
            environment.pop(name, None)
        if debug:
            environment["SAIDPO_DEBUG"] = "1"
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        return subprocess.run(
            command, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, timeout=280
        )


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sys.path if path.endswith("-packages")]
    (site / "seen.pth").write_text("".join(lines))
    pip = [sys.executable, "-m", "pip", f"--python={folder / 'bin/python'}", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--ignore-installed"]
    done = subprocess.run([*pip, "install", "-q", *alone, ROOT, *EXAMPLES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Fresh(folder)
