"""Commands that plug-ins bring: found by name, imported only when called, blamed by name when broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from saidpo_core.cli.plugin_commands import command_names, load_command
from saidpo_core.errors import PluginError

SOURCES = {
    "good_one": (
        "hello",
        "import click\n@click.command()\ndef command():\n    'Says hello.'\n    click.echo('hello')\n",
    ),
    "broken_one": ("crash", "raise RuntimeError('no such luck')\n"),
    "odd_one": ("odd", "command = 'no command at all'\n"),
    "greedy_one": ("run", "raise RuntimeError('should not be imported')\n"),
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, (command, source) in SOURCES.items():
        info = tmp_path / f"{name}-2.0.dist-info"
        info.mkdir()
        (tmp_path / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(f"[saidpo.commands]\n{command} = {name}:command\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_they_are_listed_without_being_imported(packages: Path) -> None:
    assert {"hello", "crash", "odd", "report", "watch"} <= set(command_names())
    assert not set(SOURCES) & set(sys.modules)


def test_one_that_cannot_be_imported_or_is_none_is_blamed_by_name(packages: Path) -> None:
    with pytest.raises(
        PluginError, match=r"saidpo crash of broken-one 2.0 \(broken_one:command\) cannot be imported: Ru"
    ):
        load_command("crash")
    with pytest.raises(PluginError, match=r"saidpo odd of odd-one 2\.0.*: expected a click command, got str"):
        load_command("odd")
    assert load_command("nothing") is None


def test_one_can_be_left_out(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIDPO_WITHOUT", "good_one")
    assert load_command("hello") is None


def test_the_command_line_has_it_and_its_own_go_first(packages: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PYTHONPATH": str(packages), "PATH": "/usr/bin"}
        command = [sys.executable, "-m", "saidpo_core.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=packages)

    assert call("hello").stdout == "hello\n"
    assert call("hello", "--help").stdout.startswith("Usage: saidpo hello")
    assert "--rounds" in call("run", "--help").stdout
    crash = call("crash")
    assert crash.returncode == 1
    assert crash.stderr.startswith("saidpo: saidpo crash of broken-one 2.0")
