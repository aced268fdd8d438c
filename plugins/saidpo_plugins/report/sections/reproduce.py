"""Settings, versions, hashes, and the command that makes the run again."""

from __future__ import annotations

import shlex
from typing import Any

from saidpo_plugins.report.page import Section, Table
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import visible


def section(run: RunData) -> Section:
    file = run.path / "run.toml"
    command = f"saidpo --config {shlex.quote(str(file))} --run-dir ANOTHER"
    chain = run.stages[-1]["chain"] if run.stages else ""
    return Section(
        id="reproduce",
        title="Settings, versions, hashes",
        short="Settings",
        template="reproduce",
        content={"said": "The same run again:", "command": visible(command), "chain": chain},
        tables=[_settings(run), *_versions(run), _hashes(run)],
    )


def _settings(run: RunData) -> Table:
    rows = [[key, visible(str(value))] for key, value in _flat(run.settings)]
    return Table(caption="Settings", columns=["setting", "value"], rows=rows)


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


def _versions(run: RunData) -> list[Table]:
    about = run.about
    tables = []
    for key, caption in (("components", "Components"), ("packages", "Packages"), ("machine", "Machine")):
        if about.get(key):
            rows = [[visible(str(k)), visible(str(v))] for k, v in about[key].items()]
            tables.append(Table(caption=caption, columns=["what", "which"], rows=rows))
    return tables


def _hashes(run: RunData) -> Table:
    rows = [["first policy", run.about.get("model", "–")]]
    rows += [[stage["stage"], stage["chain"]] for stage in run.stages]
    return Table(
        caption="Hashes: each stage’s holds its files and the stage before", columns=["stage", "SHA-256"], rows=rows
    )
