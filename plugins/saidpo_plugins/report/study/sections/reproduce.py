"""The command, the settings in which the arms differ, and those that they share."""

from __future__ import annotations

from typing import Any

from saidpo_core.options import shown
from saidpo_plugins.report.page import Section, Table
from saidpo_plugins.report.study.look import looks, score_of
from saidpo_plugins.report.study.reading import StudyData
from saidpo_plugins.report.text import visible


def section(study: StudyData) -> Section:
    return Section(
        id="reproduce",
        title="Settings and command",
        short="Settings",
        template="reproduce",
        content={"said": "The same study again:", "command": visible(study.command), "chain": ""},
        notes=[
            "What is in no table follows from the first policy and the version; run.toml in the folder of each run has "
            "all of it."
        ],
        tables=[_of_arms(study), _of_study(study)],
    )


def _of_arms(study: StudyData) -> Table:
    keys = list(dict.fromkeys(key for arm in study.arms for key in arm.settings))
    return Table(
        caption="Settings in which the arms differ",
        columns=["arm", *map(visible, keys)],
        rows=[[looks(study)[arm.name].name, *(_said(arm.settings.get(key)) for key in keys)] for arm in study.arms],
    )


def _of_study(study: StudyData) -> Table:
    told = {
        "tested score": score_of(study),
        "bases": ", ".join(study.bases),
        "seeds": ", ".join(map(str, study.seeds)),
        "tokens a round": study.tokens,
        "optimiser steps a round": study.steps,
        "version of saidpo": study.version,
        **study.settings,
    }
    return Table(
        caption="Settings of all arms",
        columns=["setting", "value"],
        rows=[[visible(key), _said(value)] for key, value in told.items()],
    )


def _said(value: Any) -> str:
    return "–" if value is None else visible(shown(tuple(value) if isinstance(value, list) else value))
