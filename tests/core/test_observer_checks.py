"""The conformance checks of observers: each is failed by an observer with one flaw, and passed by one without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Component, NoOptions, hookimpl
from saidpo_core.conformance import checks_of, run_checks
from saidpo_core.discovery import Owner
from saidpo_core.registry import Offer, load_registry

OWN = {item.name for item in checks_of("observer") if item.kind == "observer"}


class Good:
    def __init__(self, options: NoOptions) -> None:
        pass

    @hookimpl
    def saidpo_after_round(self, row: Any) -> None:
        pass


class Silent:
    def __init__(self, options: NoOptions) -> None:
        pass


class Unmarked(Silent):
    def saidpo_after_round(self, row: Any) -> None:
        pass


class Changes(Silent):
    @hookimpl
    def saidpo_after_round(self, row: Any) -> None:
        row["mine"] = 1


class WantsAnEmptyFolder(Silent):
    @hookimpl
    def saidpo_before_stage(self, event: Any) -> None:
        self.run_dir: Path = event.run_dir

    @hookimpl
    def saidpo_after_round(self, row: Any) -> None:
        if row["round"] == 0:
            (self.run_dir / "mine").mkdir()


class WantsARound(Silent):
    @hookimpl
    def saidpo_after_run(self, record: Any) -> None:
        record["rounds"][-1]


class WantsADifference(Silent):
    @hookimpl
    def saidpo_after_study(self, result: Any) -> None:
        for scores in result["comparisons"].values():
            scores[result["score"]]["mean"] * 100


class ChangesTheStudy(Silent):
    @hookimpl
    def saidpo_after_study(self, result: Any) -> None:
        result["title"] = "mine"


FLAWED = {
    "looks_at_something": Silent, "leaves_the_record_alone": Changes, "bears_being_told_again": WantsAnEmptyFolder,
    "bears_a_run_that_fails": WantsARound, "bears_a_study_whose_runs_failed": WantsADifference,
}  # fmt: skip


def outcome(observer: type, check: str) -> tuple[str, str]:
    component: Component[object] = Component(name="mine", summary="looks", build=observer)
    offer = Offer("observer", component, Owner("mine", "1.0", __name__))
    (result,) = run_checks(offer, load_registry(), [check])
    return result.status, result.message


@pytest.mark.parametrize("check", sorted(OWN))
def test_each_is_passed_by_a_good_one_and_failed_by_one_with_its_flaw(check: str) -> None:
    assert outcome(Good, check)[0] == "passed"
    status, message = outcome(FLAWED[check], check)
    assert status == "failed"
    assert message


def test_a_hook_without_its_mark_is_noticed() -> None:
    assert outcome(Unmarked, "looks_at_something") == (
        "failed", "saidpo_after_round carries no hookimpl, so it is never called"
    )  # fmt: skip


def test_the_result_of_a_study_is_not_for_changing() -> None:
    status, message = outcome(ChangesTheStudy, "bears_a_study_whose_runs_failed")
    assert (status, message) == ("failed", "it changed the result of the study")


def test_a_chosen_observer_is_told_of_runs_so_a_hook_of_studies_alone_is_not_enough() -> None:
    status, message = outcome(ChangesTheStudy, "looks_at_something")
    assert status == "failed"
    assert message.startswith("it has none of saidpo_before_stage")
