"""Packages that break their promises, beside the real ones: each is named with what was wrong, and harms nobody else.

Hanging, printing and exiting at import: tests/cli/test_strangers.py and tests/core/test_importing.py; each field of
each record: tests/core/test_wrong_types.py. Here: whole packages, in the environment where the good ones are installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages import HEAD, write_package
from tests.packaging.conftest import FLAGS, Fresh

AT_IMPORT = {
    "import-error": ("import a_package_that_is_not_there\n",
                     "ModuleNotFoundError: No module named 'a_package_that_is_not_there' (import_error.py:1)"),
    "syntax-error": ("def f(:\n", "SyntaxError: invalid syntax (syntax_error.py, line 1)"),
    "misspelt-hook": (f"{HEAD}@hookimpl\ndef saidpo_clusterer():\n    return []\n",
                      "there is no hook 'saidpo_clusterer'. Did you mean saidpo_clusterers?"),
    "wrong-argument": (f"{HEAD}@hookimpl\ndef saidpo_clusterers(k):\n    return []\n",
                       "saidpo_clusterers(k); Argument(s) {'k'} are declared"),
    "not-components": (f"{HEAD}@hookimpl\ndef saidpo_samplers():\n    return ['uniform']\n",
                       "saidpo_samplers: expected Component objects, got str"),
    "nothing-offered": (f"{HEAD}@hookimpl\ndef saidpo_samplers():\n    pass\n",
                        "saidpo_samplers: TypeError: expected a list, got NoneType"),
    "hanging": ("import time\ntime.sleep(30)\n", "still importing after 1 s (hanging.py:2); uninstall hanging"),
    "exiting": ("import sys\nsys.exit(3)\n", "SystemExit: 3 (exiting.py:2)"),
    "interrupting": ("raise KeyboardInterrupt\n", "KeyboardInterrupt (interrupting.py:1)"),
}  # fmt: skip
"""Package -> its module, and what is said of it."""

SECOND_KMEANS = f"""{HEAD}
class Mine:
    def __init__(self, options): ...

    def cluster(self, embeddings, tags, rng):
        raise RuntimeError("not ours")


@hookimpl
def saidpo_clusterers():
    return [Component(name="kmeans", summary="another one", build=Mine, default=True)]
"""


def test_all_at_once_each_is_named_and_everything_else_is_there(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIDPO_IMPORT_SECONDS", "1")
    path = tmp_path / "packages"
    for name, (source, _) in AT_IMPORT.items():
        write_package(path, name, source, version="4.5")
    write_package(path, "printing", f"print('Hello!')\n{SECOND_KMEANS}", version="4.5")
    done = fresh.saidpo("plugins", "--json", cwd=tmp_path, path=path)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    tree = json.loads(done.stdout)
    problems = {item["plugin"]: item["problem"] for item in tree["broken"]}
    assert set(problems) == {f"{name} 4.5 ({name.replace('-', '_')})" for name in AT_IMPORT}
    for name, (_, said) in AT_IMPORT.items():
        assert said in problems[f"{name} 4.5 ({name.replace('-', '_')})"]
    there = {(row["distribution"], row["name"]) for row in tree["components"]}
    assert {("saidpo", "kmeans"), ("printing", "kmeans"), ("saidpo-spectral", "spectral")} <= there

    helped = fresh.saidpo("--help", cwd=tmp_path, path=path)
    assert helped.returncode == 0
    lines = [line for line in helped.stderr.splitlines() if line != "Hello!"]
    assert sorted(line.split()[4] for line in lines) == sorted(AT_IMPORT)


def test_a_bad_package_that_pip_installed_for_real(fresh: Fresh, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src/misspelt").mkdir(parents=True)
    (project / "src/misspelt/__init__.py").write_text(AT_IMPORT["misspelt-hook"][0])
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
        "[project]\nname = 'misspelt'\nversion = '7.0'\n[project.entry-points.saidpo]\nx = 'misspelt'\n"
    )
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", f"--python={fresh.python}", "--disable-pip-version-check", "install", "-q"]
    done = subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--no-index", f"--target={target}", project])
    assert done.returncode == 0
    shown = fresh.saidpo("--clusterer=nearest", cwd=tmp_path, path=target)
    assert shown.returncode == 2
    assert "unknown clusterer 'nearest'" in shown.stderr
    assert "(could not be loaded: misspelt 7.0; see saidpo plugins)" in shown.stderr
    listed = fresh.saidpo("plugins", cwd=tmp_path, path=target).stderr
    assert listed.startswith("could not be loaded: misspelt 7.0 (misspelt): there is no hook 'saidpo_clusterer'.")


# Components that break their promise in a run

BROKEN_PROMISES = f'''{HEAD}
import sys

import saidpo_core as core


def offers(kind, **components):
    """A hook that offers these; each function is the one method of a component."""

    def component(name, method):
        def build(options):
            return type("Bad", (), {{"__getattr__": lambda self, _: lambda *given: method(*given)}})()

        return Component(name=name.replace("_", "-"), summary="bad", build=build)

    def hook():
        return [component(name, method) for name, method in components.items()]

    hook.__name__ = f"saidpo_{{kind}}"
    return hookimpl(hook)


def raising(*given):
    raise ZeroDivisionError("an attempt to divide")


def exiting(*given):
    sys.exit(0)


def refusing(*given):
    raise core.UsageError("the licence has expired")


def overwriting(evidence, rng):
    evidence.clusters[0] = 1
    return [1.0] * len(evidence.clusters)


def two_wrong(attempts, rng):
    wrong = attempts.wrong[0]
    return [core.Pair(
        problem_id=attempts.problem_id, prompt_ids=attempts.prompt_ids, chosen=wrong, rejected=wrong
    )]


none = lambda *given: None  # noqa: E731
saidpo_pools = offers("pools", none=none)
saidpo_taggers = offers("taggers", none=none)
saidpo_embedders = offers("embedders", none=none, words=lambda texts, progress: ["x"] * len(texts))
saidpo_clusterers = offers(
    "clusterers", none=none, raising=raising, exiting=exiting, refusing=refusing,
    too_few=lambda embeddings, tags, rng: [0] * (len(tags) - 1),
    floats=lambda embeddings, tags, rng: [0.0] * len(tags),
    gaps=lambda embeddings, tags, rng: [0] + [7] * (len(tags) - 1),
)
saidpo_generators = offers("generators", none=none)
saidpo_verifiers = [none]
saidpo_difficulties = offers("difficulties", none=none)
saidpo_samplers = offers(
    "samplers", none=none, overwriting=overwriting,
    nan=lambda evidence, rng: [float("nan")] * len(evidence.clusters),
    too_few=lambda evidence, rng: [1.0],
)
saidpo_pair_builders = offers("pair_builders", none=none, two_wrong=two_wrong)
saidpo_trainers = offers("trainers", none=none)
saidpo_evaluators = offers("evaluators", none=none)


@hookimpl
def saidpo_verifiers():
    class Silent:
        def __init__(self, options): ...
        def self_test(self): ...
        def verify(self, cases): ...
        def close(self): ...

    return [Component(name="none", summary="bad", build=Silent, domains=("math",))]
'''

EARLY = {
    "pool none": ("load", "expected ProblemSets, got NoneType"),
    "tagger none": ("tag", r"expected a list of \d+ tuples of tags, got NoneType"),
    "embedder none": ("embed", r"expected shape \[\d+, d\], got"),
    "embedder words": ("embed", "ValueError: could not convert string to float"),
    "clusterer none": ("cluster", r"expected labels of shape \[\d+\], got \[\]"),
    "clusterer raising": ("cluster", r"ZeroDivisionError: an attempt to divide \(bad_neighbour.py:\d+\)"),
    "clusterer exiting": ("cluster", r"SystemExit: 0 \(bad_neighbour.py:\d+\)"),
    "clusterer too-few": ("cluster", r"expected labels of shape \[(\d+)\], got \[(\d+)\]"),
    "clusterer floats": ("cluster", "expected whole numbers, got float64"),
    "clusterer gaps": ("cluster", r"labels must be 0\.\.C-1 with every one used"),
}
"""Kind and name of what fails before any policy is asked -> its method, and what is said."""
IN_A_ROUND = {
    "sampler nan": ("weights", "a weight is NaN"),
    "sampler overwriting": ("weights", r"ValueError: assignment destination is read-only \(bad_neighbour.py:\d+\)"),
    "pair-builder two-wrong": ("build", r"problem .*: the chosen response was not judged right"),
}
REST = {
    "generator none": ("preflight", "expected a list of texts, got None"),
    "verifier none": ("verify", r"expected a list of \d+ verdicts, got NoneType"),
    "evaluator none": ("problems", "expected a list of Problems, got NoneType"),
    "sampler none": ("weights", r"expected weights of shape \[\d+\], got \[\]"),
    "sampler too-few": ("weights", r"expected weights of shape \[\d+\], got \[1\]"),
    "difficulty none": ("keys", r"expected keys of shape \[\d+, m\], got \[\]"),
    "pair-builder none": ("build", r"problem .*: expected a list of pairs, got NoneType"),
    "trainer none": ("train", "expected a TrainingReport, got NoneType"),
}


def run_all(fresh: Fresh, folder: Path, names: list[str]) -> list[tuple[int, str, str]]:
    """One small run with each, all in one process."""
    write_package(folder / "packages", "bad-neighbour", BROKEN_PROMISES, version="6.1")
    commands = []
    for name in names:
        kind, component = name.split()
        flags = [flag for flag in FLAGS if not flag.startswith((f"--{kind}.", f"--{kind}="))]
        commands.append([*flags, f"--{kind}=bad-neighbour/{component}", f"--run-dir={kind}-{component}"])
    return fresh.many(commands, folder, folder / "packages")


def judge(names: dict[str, tuple[str, str]], results: list[tuple[int, str, str]]) -> None:
    for (name, (method, said)), (code, _, err) in zip(names.items(), results, strict=True):
        pattern = rf"^saidpo: {name} of bad-neighbour 6\.1 (failed|broke its promise) in {method}: {said}"
        assert re.match(pattern, err), err
        assert code == 1, name
        assert "Traceback" not in err
        assert len(err.splitlines()) == 1, err
        assert ("SAIDPO_DEBUG=1 shows where" in err) == ("failed in" in err)


@pytest.mark.slow
def test_a_promise_broken_before_any_policy_is_asked(fresh: Fresh, tmp_path: Path) -> None:
    judge(EARLY, run_all(fresh, tmp_path, list(EARLY)))


@pytest.mark.slow
def test_a_promise_broken_in_a_round(fresh: Fresh, tmp_path: Path) -> None:
    judge(IN_A_ROUND, run_all(fresh, tmp_path, list(IN_A_ROUND)))


@pytest.mark.slow
def test_a_promise_of_any_kind(fresh: Fresh, tmp_path: Path) -> None:
    judge(REST, run_all(fresh, tmp_path, list(REST)))


@pytest.mark.slow
def test_its_own_refusal_is_passed_on_under_its_name(fresh: Fresh, tmp_path: Path) -> None:
    ((code, _, err),) = run_all(fresh, tmp_path, ["clusterer refusing"])
    assert (code, err) == (2, "saidpo: clusterer refusing of bad-neighbour 6.1: the licence has expired\n")


def test_its_author_is_shown_where(fresh: Fresh, tmp_path: Path) -> None:
    write_package(tmp_path / "packages", "bad-neighbour", BROKEN_PROMISES)
    flags = (*FLAGS, "--clusterer=raising", "--run-dir=run")
    done = fresh.saidpo(*flags, cwd=tmp_path, path=tmp_path / "packages", debug=True)
    assert done.returncode == 1
    *trace, last = done.stderr.splitlines()
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-1] == "ZeroDivisionError: an attempt to divide"
    assert any('bad_neighbour.py", line' in line and line.endswith("in raising") for line in trace)
    assert last.startswith("saidpo: clusterer raising of bad-neighbour 1.0 failed in cluster: ZeroDivisionError")


FLAKY = f"""{HEAD}
class Flaky:
    def __init__(self, options): ...

    def weights(self, evidence, rng):
        if evidence.rounds[-1].round == 2:
            raise KeyError("round 2")
        return [1.0] * len(evidence.clusters)


@hookimpl
def saidpo_samplers():
    return [Component(name="flaky", summary="fails in round 2", build=Flaky)]
"""


@pytest.mark.slow
def test_a_failure_in_round_2_keeps_what_was_finished_and_a_corrected_package_goes_on(
    fresh: Fresh, tmp_path: Path
) -> None:
    flags = (*FLAGS, "--rounds=2", "--sampler=flaky", "--run-dir=run")
    write_package(tmp_path / "packages", "flaky-package", FLAKY, version="1.0")
    failed = fresh.saidpo(*flags, cwd=tmp_path, path=tmp_path / "packages")
    assert failed.returncode == 1
    assert failed.stderr == (
        "saidpo: sampler flaky of flaky-package 1.0 failed in weights: KeyError: 'round 2' (flaky_package.py:10) "
        "(SAIDPO_DEBUG=1 shows where)\n"
    )
    run = tmp_path / "run"
    assert [stage.name for stage in sorted((run / "round-2").iterdir())] == ["01-probe"]
    kept = {file: file.read_bytes() for file in (run / "round-1").rglob("*") if file.is_file()}
    assert run / "round-1/05-train/model/model.safetensors" in kept

    corrected = FLAKY.replace("== 2", "== 99")
    write_package(tmp_path / "packages", "flaky-package", corrected, version="1.0.1")
    done = fresh.saidpo(*flags, cwd=tmp_path, path=tmp_path / "packages")
    assert done.returncode == 0, done.stderr
    for stage in ("round 1 train", "round 1 evaluate", "round 2 probe"):
        assert f"{stage}: reused" in done.stdout
    assert "round 2 weigh: reused" not in done.stdout
    assert {file: file.read_bytes() for file in kept} == kept
    assert json.loads((run / "summary.json").read_text())["finished"] is True
