"""The ten-minute page, done from its first line to its last in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, Block, blocks, patched
from tests.docs.test_code import told
from tests.tiny import TINY_RUN

pytestmark = pytest.mark.slow
PAGE = DOCS / "first-plugin.md"
QUICK = " ".join([*TINY_RUN, "--rounds=1", "--embedder=tfidf", "--quiet"])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A new virtual environment with pip alone, which sees what is installed here: no torch is fetched twice."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=True)
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    ours = [path for path in sys.path if Path(path).is_dir() and path not in standard and "lib-dynload" not in path]
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text("\n".join(ours) + "\n")
    for program, module in (("saidpo", "saidpo_core.cli"), ("pytest", "pytest")):
        script = folder / "bin" / program
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "SAIDPO"))}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "SAIDPO_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def test_the_page_from_its_first_line_to_its_last(tmp_path: Path, environment: dict[str, str]) -> None:
    steps = [block for block in blocks(PAGE) if not (block.language == "bash" and not block.runs)]
    output = ""
    undo: tuple[Path, str] | None = None
    for step in steps:
        if step.language == "bash":
            output = run(step, tmp_path, environment)
            if undo and step.mark == "fails":
                undo[0].write_text(undo[1])
        elif step.language == "text":
            compare(step, output, tmp_path)
        elif step.language == "diff":
            undo = make_the_mistake(step, tmp_path)
        else:
            file = tmp_path / step.title
            assert file.exists() == step.title.startswith("saidpo-hyperplanes/"), "what is replaced has to be there"
            file.write_text(step.text)
    assert (tmp_path / "runs/hyperplanes/summary.json").is_file()
    assert "planes = 4" in (tmp_path / "runs/hyperplanes/run.toml").read_text()


def run(step: Block, folder: Path, environment: dict[str, str]) -> str:
    """Run the commands as they stand there, with short runs, and nothing fetched."""
    text = re.sub(r"^(saidpo --(?!.*--help).*)$", rf"\1 {QUICK}", step.text, flags=re.MULTILINE)
    text = text.replace("pip install", "pip install --quiet --no-index --no-deps --no-build-isolation")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == (1 if step.mark == "fails" else 0), f"{step}\n{text}\n{done.stdout}\n{done.stderr}"
    if "look.py" in text:
        said = [re.sub(r"\d+\.\d", "N", line) for line in done.stdout.splitlines()]
        assert [re.sub(r"\d+", "C", line) for line in said] == [
            f"{name}: C clusters, balanced accuracy N -> N" for name in ("kmeans", "hyperplanes")
        ]
    if "pytest" in text:
        assert "1 passed" in done.stdout
    return done.stdout


def compare(step: Block, output: str, folder: Path) -> None:
    if step.text.startswith("pyproject.toml"):
        for line in step.text.splitlines():
            assert (folder / "saidpo-hyperplanes" / line.split()[0]).is_file(), line
        return
    assert told(output) == told(step.text), step


def make_the_mistake(step: Block, folder: Path) -> tuple[Path, str]:
    (file,) = folder.glob("saidpo-hyperplanes/src/*/clusterer.py")
    good = file.read_text()
    file.write_text(patched(good, step))
    return file, good
