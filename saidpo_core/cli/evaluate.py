"""``saidpo eval``: measure one policy with an evaluator that brings its own problems, and nothing else.

Kept like a run, in a folder named after the settings: killed, the same command goes on; finished, it shows the result
again. ``--model`` takes what ``saidpo --model`` takes; of a run's folder it takes the last policy, with the prompt,
generator and verifier of that run unless flags say otherwise.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click

from saidpo_core import codecs
from saidpo_core.cli.flags import EVALUATOR
from saidpo_core.cli.screen import make_screen
from saidpo_core.components import BringsProblems
from saidpo_core.contracts import blame
from saidpo_core.errors import UsageError
from saidpo_core.events import Observers
from saidpo_core.measuring import group_of, measure, problems_to_measure, read_answers, read_verdicts, text_key
from saidpo_core.models import is_run, locate_model
from saidpo_core.parts import Parts
from saidpo_core.preflight import preflight
from saidpo_core.records import Evaluation, GroupScore, Problem, Prompt
from saidpo_core.registry import Registry
from saidpo_core.run_dir import RunDir, disk_errors, locked, sha256, write_atomically
from saidpo_core.run_record import about, agree, fingerprint, recorded, take_back
from saidpo_core.settings import Settings, read_toml, resolve

_OF_RUN = ("prompt", "generator", "verifier")
_COLUMNS = ("benchmark", "n", "accuracy", "95% interval", "truncated", "unverifiable", "tokens")


def evaluate_policy(
    registry: Registry,
    given: Mapping[str, Any],
    *,
    run_dir: Path | None,
    out: Path | None,
    responses: Path | None,
    quiet: bool,
) -> None:
    """Measure as the flags ``given`` (settings key -> text) say; print a table, write ``out`` and ``responses``."""
    for target in (out, responses):
        if target is not None and not target.parent.is_dir():
            raise UsageError(f"{target}: there is no folder {target.parent}")
        if target is not None and target.is_dir():
            raise UsageError(f"{target} is a folder; name a file")
    settings = settings_of(registry, given)
    parts = Parts(settings, registry)
    offer = parts.offer("evaluator")
    if not isinstance(parts.evaluator, BringsProblems):
        raise UsageError(
            f"{offer} measures with a pool's held-out problems, so only within a run; use another --evaluator"
        )
    model = locate_model(settings.run.model, settings.policy, [policy.name for policy in registry.policies])
    with blame(parts.offer("generator"), "check"):
        parts.generator.check(model)
    path = run_dir or _default_path(settings, model)
    screen = make_screen(quiet)
    hub = Observers(registry.manager)
    hub.add(screen, "saidpo (Screen)")
    with _tidied(path), disk_errors(path), locked(path), screen:
        agree(settings, model, path)
        kept = RunDir(path, hub)
        try:
            with parts:
                problems = problems_to_measure(kept, parts, ())
                if run_dir is not None:  # else the folder's name says what was in the files
                    _refuse_changed_files(settings, parts, problems, path)
                parts.verifier.prepare({problem.domain for problem in problems})
                warnings = preflight(kept, parts, model, problems)
                evaluation = measure(kept, parts, 0, model, problems, {})
        except Exception as error:
            take_back(path, error)
            raise
        tree = result_tree(settings, model, evaluation, warnings)
        write_atomically(path / "result.json", json.dumps(tree, ensure_ascii=False, indent=1) + "\n")
        _write_as_asked(path, tree, problems, out, responses)
    print_result(settings, evaluation)
    for place in (out or path / "result.json", responses):
        if place is not None and not quiet:
            click.echo(f"written: {place}")


@contextmanager
def _tidied(path: Path) -> Iterator[None]:
    """A folder in which nothing was made is gone afterwards."""
    try:
        yield
    except BaseException:
        if path.is_dir() and all(item.name == "lock" for item in path.iterdir()):
            shutil.rmtree(path)
        raise


def settings_of(registry: Registry, given: Mapping[str, Any]) -> Settings:
    """Flags over what the run, if ``--model`` is one, was made with."""
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    prompt: Prompt | None = None
    run = Path(str(given.get("model", ""))).expanduser()
    if given.get("model") and is_run(run):
        read, places = read_toml(run / "run.toml")
        values = {key: value for key, value in read.items() if key.split(".")[0] in _OF_RUN}
        for kind in _OF_RUN:  # another component replaces the run's whole
            if kind in given and given[kind] != values.get(kind):
                values = {key: value for key, value in values.items() if key.split(".")[0] != kind}
        where = {key: places[key] for key in values}
        if "prompt" in values:
            prompt, named = _prompt_of(run), values.pop("prompt")
    flags = {"evaluator": EVALUATOR, **given}
    settings = resolve(registry, {**values, **flags}, {**where, **{key: f"--{key}" for key in flags}})
    return replace(settings, prompt=prompt, run=replace(settings.run, prompt=named)) if prompt else settings


def _prompt_of(run: Path) -> Prompt:
    """As it was, whatever has become of its file."""
    _, about = recorded(run)
    try:
        return Prompt(**about["prompt"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"{run / 'run.toml'}: about.prompt cannot be read ({error}); give --prompt") from error


def _files(settings: Settings) -> list[Path]:
    """Those that the evaluator is given: files, or all in a folder."""
    options = settings.parts["evaluator"].options
    places = [value for field in fields(options) if isinstance(value := getattr(options, field.name), Path)]
    inside = [item for place in places if place.is_dir() for item in sorted(place.iterdir())]
    return [item for item in (*places, *inside) if item.is_file()]


def _refuse_changed_files(settings: Settings, parts: Parts, problems: Sequence[Problem], path: Path) -> None:
    """The problems are read once and kept; where they came from files, those have to be as they were."""
    if _files(settings) and isinstance(evaluator := parts.evaluator, BringsProblems):
        with blame(parts.offer("evaluator"), "problems"):
            now = evaluator.problems(())
        if list(map(codecs.problem_to_json, now)) != list(map(codecs.problem_to_json, problems)):
            raise UsageError(f"the problems that {path} was measured with were changed since; choose another --run-dir")


def _default_path(settings: Settings, model: Path) -> Path:
    """Named after all that the result depends on, so that the same command finds its own."""
    files = [[item.name, sha256(item)] for item in _files(settings)]
    key = [settings.as_tree(), asdict(settings.prompt), fingerprint(model), files]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:6]
    return Path("runs") / f"eval-{Path(settings.run.model).name or 'model'}-{digest}"


# ---- The result ------------------------------------------------------------------------------------------------------


def result_tree(settings: Settings, model: Path, evaluation: Evaluation, warnings: list[str]) -> dict[str, Any]:
    """All that is needed to compare the figures with others, or to get them again."""
    tree = settings.as_tree()
    return {
        "model": settings.run.model,
        "mean": {
            "accuracy": codecs.finite_or_none(evaluation.accuracy_balanced),
            "interval": evaluation.interval,
        },
        "benchmarks": {name: _score_tree(score) for name, score in evaluation.groups.items()},
        "warnings": warnings,
        "measured": dict(evaluation.details),
        "settings": {kind: tree[kind] for kind in ("generator", "verifier", "evaluator")},
        "about": about(settings, model),
    }


def _score_tree(score: GroupScore) -> dict[str, Any]:
    return {
        "problems": score.problems,
        "samples": score.samples,
        "accuracy": codecs.finite_or_none(score.accuracy),
        "interval": score.interval,
        "right": score.right,
        "truncated": score.truncated,
        "unverifiable": score.unverifiable,
        "tokens": score.tokens,
    }


def _write_as_asked(
    path: Path, tree: Mapping[str, Any], problems: tuple[Problem, ...], out: Path | None, responses: Path | None
) -> None:
    if out is not None:
        write_atomically(out, json.dumps(tree, ensure_ascii=False, indent=1) + "\n")
    if responses is not None:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in _response_rows(path, problems))
        write_atomically(responses, "".join(lines))


def _response_rows(path: Path, problems: tuple[Problem, ...]) -> Any:
    """One row a response, in the form that ``saidpo verify --in`` reads, with the verdict that was given."""
    folder = path / "start" / "05-evaluate"
    by_id = {problem.id: problem for problem in problems}
    verdicts = read_verdicts(folder)
    for problem_id, generation in read_answers(folder):
        problem = by_id[problem_id]
        for number, response in enumerate(generation.responses):
            verdict = verdicts.get((problem_id, text_key(response.text)))
            if response.truncated or verdict is None:
                judged = {"verdict": None, "extracted": None, "reason": "truncated" if response.truncated else ""}
            else:
                judged = {"verdict": verdict.outcome, "extracted": verdict.extracted, "reason": verdict.reason}
            yield {
                "id": f"{problem_id}#{number}",
                "benchmark": group_of(problem),
                "question": problem.question,
                "gold": problem.answer,
                "response": response.text,
                **judged,
                "finish_reason": response.finish_reason,
                "tokens": len(response.token_ids),
            }


def print_result(settings: Settings, evaluation: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    decoding = evaluation.details.get("decoding", "")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(_COLUMNS):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for name, score in evaluation.groups.items():
        counts = (f"{score.truncated:,}", f"{score.unverifiable:,}", f"{score.tokens:,}")
        table.add_row(name, f"{score.problems:,}", _percent(score.accuracy), _between(score.interval), *counts)
    if len(evaluation.groups) > 1:
        table.add_row("mean", "", _percent(evaluation.accuracy_balanced), _between(evaluation.interval), "", "", "")
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n{settings.run.model}: {decoding or 'accuracy'}, prompt {settings.run.prompt}", markup=False)
    console.print(table)


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.1f}%"


def _between(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
