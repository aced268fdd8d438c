"""Finding one's way: ``saidpo plugins KIND/NAME``, completion in a shell, ``saidpo new-plugin``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from saidpo_core.hookspecs import KINDS
from tests.command import Saidpo

# saidpo plugins KIND/NAME


def test_one_component_with_its_options(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("plugins", "sampler/error-weighted", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in (
        "sampler error-weighted: draw more from the clusters on which the policy errs",
        "from     saidpo 0.1.0 (saidpo_plugins.samplers.error_weighted)",
        "source   paper, sampling by the errors of knowledge clusters; weights ours",
        "use it   --sampler=error-weighted  (the default)",
        "--sampler.alpha number  [default: 1.0]",
        "how sharply weights follow the clusters' rates; 0 is uniform (0 to 10)",
        "--sampler.solvable true|false  [default: false]",
        "ê_c = (e_c + kappa * ebar) / (n_c + kappa)",
    ):
        assert said in done.stdout


def test_one_component_as_json(tmp_path: Path, saidpo: Saidpo) -> None:
    tree = json.loads(saidpo("plugins", "clusterer/kmeans", "--json", cwd=tmp_path).stdout)
    assert (tree["kind"], tree["name"], tree["default"], tree["distribution"]) == (
        "clusterer",
        "kmeans",
        True,
        "saidpo",
    )
    (k,) = tree["options"]
    assert (k["name"], k["type"], k["default"], k["low"], k["high"]) == ("k", "integer or auto", "auto", 1, None)
    assert tree["description"].startswith("Clusterer ``kmeans``")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clusterer/kmens", "unknown clusterer 'kmens'. Did you mean kmeans?"),
        ("kmeans", "kmeans: expected KIND/NAME, such as clusterer/kmeans"),
        ("clusterers/kmeans", "expected KIND/NAME"),
    ],
)
def test_a_component_that_is_not_there(tmp_path: Path, saidpo: Saidpo, name: str, said: str) -> None:
    done = saidpo("plugins", name, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


# Completion


def complete(tmp_path: Path, *words: str) -> list[str]:
    """What bash would offer after typing ``words``: the real script in a real shell."""
    program = tmp_path / "bin" / "saidpo"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\nfrom saidpo_core.cli.entry import main\nmain()\n")
    program.chmod(0o755)
    typed = " ".join(f"'{word}'" for word in words)
    script = (
        'eval "$(saidpo completion bash)"; complete -p saidpo >/dev/null || exit 1\n'
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _saidpo_completion saidpo\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--clusterer", "=", "km"], ["kmeans"]),
        (["--clusterer", "km"], ["kmeans"]),
        (["--sampler", "=", "uniform", "--difficulty", "=", "ste"], ["steps"]),
        (["--sampler", "=", "error-weighted", "--sampler.al"], ["--sampler.alpha"]),
        (["--pool", "=", "jsonl", "--pool.pa"], ["--pool.path"]),
        (["plug"], ["plugins"]),
        (["plugins", "sampler/uni"], ["sampler/uniform"]),
        (["check", "sampler/uni"], ["sampler/uniform"]),
        (["new-plugin", "x", "--kind", "clus"], ["clusterer"]),
        (["run", "--roun"], ["--rounds", "--round-tokens"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], offered: list[str]) -> None:
    assert complete(tmp_path, "saidpo", *words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(tmp_path: Path, saidpo: Saidpo, shell: str) -> None:
    done = saidpo("completion", shell, cwd=tmp_path)
    assert done.returncode == 0
    assert f"_SAIDPO_COMPLETE={shell}_complete" in done.stdout


# saidpo new-plugin


def test_a_new_package_says_what_to_do_next(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("new-plugin", "saidpo-areas", "--kind", "pair-builder", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("pip install -e saidpo-areas", "saidpo check saidpo-areas", "saidpo --pair-builder=areas"):
        assert said in done.stdout
    assert "src/saidpo_areas/pair_builder.py" in done.stdout
    source = (tmp_path / "saidpo-areas" / "src" / "saidpo_areas" / "pair_builder.py").read_text()
    assert source.count("The idea to change") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_template_with_one_idea(tmp_path: Path, saidpo: Saidpo, kind: str) -> None:
    done = saidpo("new-plugin", "my-own-thing", "--kind", kind, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (source,) = (tmp_path / "my-own-thing" / "src" / "my_own_thing").glob("[a-z]*.py")
    text = source.read_text()
    assert text.count("The idea to change") == 1
    assert 'name="my-own-thing"' in text
    assert "$" not in text
    compile(text, str(source), "exec")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["saidpo-x", "--kind", "clusterrer"], "--kind=clusterrer: unknown kind. Did you mean clusterer?"),
        (["saidpo-x"], "Missing option '--kind'"),
        (["saidpo", "--kind", "sampler"], "saidpo: Python has a package of that name already"),
        (["json", "--kind", "sampler"], "json: Python has a module of that name already"),
        (["saidpo-core", "--kind", "sampler"], "saidpo-core: Python has a module saidpo_core of that name already"),
        (["Saidpo X", "--kind", "sampler"], "'Saidpo X': expected lower-case letters, digits and dashes"),
        (["../x", "--kind", "sampler"], "expected lower-case letters"),
        (["saidpo-kmeans", "--kind", "clusterer"], "saidpo itself has a clusterer 'kmeans'"),
        (["taken", "--kind", "sampler"], "taken is there already"),
        (["saidpo-x", "--kind", "sampler", "--dir", "file"], "cannot be written"),
    ],
)
def test_a_package_that_cannot_be_written(tmp_path: Path, saidpo: Saidpo, arguments: list[str], said: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("")
    done = saidpo("new-plugin", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "taken"]
