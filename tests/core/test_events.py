"""Observers and detectors: what they are told, what becomes of what they find, and that none ends a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Finding, hookimpl
from saidpo_core.events import Observers
from saidpo_core.registry import load_registry


def finding(name: str) -> Finding:
    return Finding(name=name, message=f"{name} was seen", advice="turn --seed")


class Detector:
    def __init__(self, returned: Any) -> None:
        self.returned = returned

    @hookimpl
    def saidpo_diagnose(self, record: Mapping[str, Any]) -> Any:
        if isinstance(self.returned, BaseException):
            raise self.returned
        return self.returned


def test_findings_come_by_name_whatever_the_order_of_detectors() -> None:
    for order in ("ab", "ba"):
        hub = Observers(load_registry([]).manager)
        for name in order:
            hub.add(Detector([finding(name)]), f"detector {name}")
        assert [found.name for found in hub.diagnose({})] == ["a", "b"]


@pytest.mark.parametrize(
    "returned",
    [ValueError("broken"), SystemExit(3), "a text", [1], {"name": "x"}, 7],
    ids=lambda value: repr(value)[:20],
)
def test_a_detector_that_fails_or_returns_something_else_is_named_and_the_others_are_heard(
    returned: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = Observers(load_registry([]).manager)
    hub.add(Detector(returned), "bad-neighbour 1.0 (bad)")
    hub.add(Detector((finding("b"),)), "good")
    hub.add(Detector(None), "silent")
    for _ in range(2):
        assert [found.name for found in hub.diagnose({})] == ["b"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saidpo: observer bad-neighbour 1.0 (bad) failed in saidpo_diagnose and is ignored there")


def test_the_end_is_told_with_the_record_and_what_went_wrong(tmp_path: Path) -> None:
    told: list[Any] = []

    class Last:
        @hookimpl
        def saidpo_after_run(self, run_dir: Path, record: Mapping[str, Any], problem: str) -> None:
            told.append((run_dir, record, problem))

        @hookimpl
        def saidpo_after_round(self, record: Mapping[str, Any]) -> None:
            told.append(record)

    hub = Observers(load_registry([]).manager)
    hub.add(Last(), "last")
    hub.after_round({"round": 0}, {"rounds": [0]})
    hub.after_run(tmp_path, {"rounds": []}, "KeyboardInterrupt")
    assert told == [{"rounds": [0]}, (tmp_path, {"rounds": []}, "KeyboardInterrupt")]


def test_the_end_of_a_study_is_told_to_all_and_one_that_fails_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Any] = []

    class Broken:
        @hookimpl
        def saidpo_after_study(self, result: Mapping[str, Any]) -> None:
            raise KeyError(result["title"])

    class Good:
        @hookimpl
        def saidpo_after_study(self, study_dir: Path, result: Mapping[str, Any]) -> None:
            told.append((study_dir, result))

    hub = Observers(load_registry([]).manager)
    hub.add(Good(), "good")
    hub.add(Broken(), "bad-neighbour 1.0 (bad)")
    hub.after_study(tmp_path, {"title": "x"})
    assert told == [(tmp_path, {"title": "x"})]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "saidpo: observer bad-neighbour 1.0 (bad) failed in saidpo_after_study and is ignored there: KeyError('x')"
    )
