"""Every command on the pages is one: the real parsers take it, and the components and options that it names exist."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from saidpo_core.cli.check import choose
from saidpo_core.cli.description import find_offer
from saidpo_core.cli.entry import cli
from saidpo_core.cli.flags import settings_from
from saidpo_core.errors import UsageError
from saidpo_core.hookspecs import KINDS
from saidpo_core.registry import load_registry
from saidpo_core.settings import Settings
from saidpo_core.study.compare import plan_comparison
from saidpo_core.study.file import read_study
from tests.docs.conftest import HYPERPLANES, Install
from tests.docs.pages import BESIDES, DOCS, PAGES, ROOT, Block, blocks, commands

BASH = [item for page in PAGES for item in blocks(page, "bash")]
OTHERS = {"pip", "python", "pytest", "source"}
"""Programs whose commands are run by ``test_first_plugin`` or are the reader's own."""

pytestmark = pytest.mark.usefixtures("hyperplanes")


def settings_of(arguments: Sequence[str]) -> Settings:
    """What ``saidpo ARGUMENTS`` would run with; raises what it would refuse them with."""
    arguments = [item for item in arguments if item != "--help"]
    if arguments[:1] == ["run"]:
        del arguments[0]
    command = copy.copy(cli.commands["run"])
    command.params = list(command.params)  # it adds the flags of the chosen components
    context = command.make_context("run", arguments)
    flags = {key: value for key, value in context.params.items() if key not in ("config", "run_dir", "quiet")}
    return settings_from(context.obj, context.params["config"], flags)


def check(command: Sequence[str]) -> None:
    program, *arguments = command
    if program != "saidpo":
        assert program in OTHERS, f"{program} is not a program that the pages may use"
        return
    name, *rest = arguments or ["run"]
    if name.startswith("-") or name == "run":
        settings_of(arguments)
        return
    found = cli.get_command(click.Context(cli), name)
    if found is None:
        raise KeyError(name)
    if "--help" in rest:
        return
    given = found.make_context(name, rest).params
    registry = load_registry()
    if name == "compare":
        check_comparison(given)
    elif name == "study":
        assert read_study(registry, ROOT / given["file"], given["on"], Path("out")).jobs
    elif name == "check":
        assert choose(registry, given["names"])
    elif name == "plugins" and given["component"]:
        assert find_offer(registry, given["component"])
    elif name == "new-plugin":
        assert given["kind"] in KINDS


def check_comparison(given: dict[str, Any]) -> None:
    study = plan_comparison(load_registry(), **{key: value for key, value in given.items() if key != "jobs"})
    assert len(study.jobs) == given["seeds"] * len(study.arms)


@pytest.mark.parametrize("item", BASH, ids=str)
def test_a_block_of_commands_can_be_given(item: Block) -> None:
    assert commands(item)
    for command in commands(item):
        check(command)


@pytest.mark.parametrize("page", BESIDES, ids=lambda page: page.name)
def test_the_commands_of_readme_and_contributing_can_be_given(page: Path, install: Install) -> None:
    install("saidpo-areas", "saidpo_areas", HYPERPLANES.text.replace('name="hyperplanes"', 'name="areas"'))  # theirs
    for item in blocks(page, ""):  # unlabelled, as these two are; other lines are output or trees of files
        lines = [line.removeprefix("$ ") for line in item.text.splitlines()]
        text = "\n".join(line for line in lines if re.match("saidpo( |$)", line))
        for command in commands(replace(item, text=text)):
            check(command)


def settings_in(text: str) -> list[str]:
    """``--clusterer=none`` and the like between backticks; not mere names of flags, nor with a PLACEHOLDER."""
    return [span for span in re.findall(r"`(--[^`\n]+=[^`\n]+)`", text) if not re.search(r"[A-Z]{4}|=\.\.\.", span)]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_settings_that_are_named_in_running_text_exist(page: Path) -> None:
    for span in settings_in(page.read_text()):
        check(["saidpo", *(["compare", "--arm=other:"] if "--arm" in span else []), *shlex.split(span)])


def test_every_flag_of_the_ablation_table_is_tried() -> None:
    rows = [row for row in (DOCS / "ablations.md").read_text().splitlines() if re.match(r"\|.*`--", row)]
    named = [flag for row in rows for flag in re.findall(r"--[^`]+", row.split("|")[2])]
    assert len(named) >= 15
    assert set(named) <= set(settings_in((DOCS / "ablations.md").read_text()))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("--sampler=unifrom", UsageError),
        ("--sampler.alpa=1", click.NoSuchOption),
        ("--clusterer.k=0", UsageError),
        ("compare --samplers uniform,error-weighted -- --roundz=1", UsageError),
        ("compare --arm-options error-weighted:--clusterer.q=1", UsageError),
        ("study examples/studies/none.toml", UsageError),
        ("check clusterers", UsageError),
        ("plugins clusterer/kmean", UsageError),
        ("new-plugin saidpo-x --kind=clusterers", AssertionError),
        ("plugin", KeyError),
    ],
)
def test_a_wrong_command_would_be_noticed(wrong: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check(["saidpo", *wrong.split()])
