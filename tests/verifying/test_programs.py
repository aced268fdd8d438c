"""Every program of ``programs/*.toml`` gets the verdict that is due, for real, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saidpo_core import Verdict
from saidpo_plugins.verifiers.code import CodeOptions, CodeVerifier
from saidpo_plugins.verifiers.sandbox.layout import Layout
from tests.verifying.cases import Case, load_cases
from tests.verifying.survivors import seen

CASES = list(load_cases())
QUICK = [case for case in CASES if not case.slow]
SLOW = [case for case in CASES if case.slow]
SECONDS = 2


class Outcome:
    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.namespaces = 0
        self.left: set[str] = set()
        self.visitors: list[str] = []
        self.descriptors = (0, 0)


@pytest.fixture(scope="module")
def outcome(layout: Layout) -> Iterator[Outcome]:
    """All quick cases in one call, with a server that listens for visitors meanwhile."""
    outcome = Outcome()
    server = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                outcome.visitors.append(str(server.accept()[1]))
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    verifier = CodeVerifier(CodeOptions(timeout=SECONDS))
    before = len(os.listdir("/proc/self/fd"))
    with seen() as namespaces:
        verdicts = verifier.verify([(case.problem, case.response) for case in QUICK])
        outcome.namespaces, outcome.left = len(namespaces), namespaces.inhabitants()
    outcome.descriptors = (before, len(os.listdir("/proc/self/fd")) - 1)  # the layout is not proved before
    outcome.verdicts = {case.name: verdict for case, verdict in zip(QUICK, verdicts, strict=True)}
    server.shutdown(socket.SHUT_RDWR)
    yield outcome
    server.close()


def test_there_are_enough_cases_with_names_of_their_own() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.verdict for case in CASES} == {"right", "wrong", "unverifiable"}


def check(case: Case, verdict: Verdict) -> None:
    assert verdict.outcome == case.verdict, verdict.reason
    assert case.reason in verdict.reason
    assert len(verdict.reason) <= 300
    assert "\n" not in verdict.reason


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_verdict(case: Case, outcome: Outcome) -> None:
    check(case, outcome.verdicts[case.name])


def test_no_process_is_left(outcome: Outcome) -> None:
    assert outcome.namespaces > 150
    assert outcome.left == set()


def test_no_descriptor_is_left_open(outcome: Outcome) -> None:
    before, after = outcome.descriptors
    assert after <= before


def test_nothing_was_written_outside_and_nothing_came_in_by_the_network(outcome: Outcome) -> None:
    for folder in ("/", "/tmp", "/etc", "/usr/lib", "/root", "/dev", "/dev/shm", os.getcwd(), str(Path.home())):
        assert not Path(folder, "saidpo-was-here").exists()
        assert not Path(folder, "mark").exists()
    assert outcome.visitors == []


def test_no_control_group_is_left(outcome: Outcome) -> None:
    mine = f"saidpo-{os.getpid()}-"
    assert not [folder for folder in Path("/sys/fs/cgroup").glob("*/**/saidpo-*") if folder.name.startswith(mine)]


@pytest.mark.slow
def test_slow_cases(layout: Layout) -> None:
    verifier = CodeVerifier(CodeOptions(timeout=SECONDS, workers=len(SLOW)))
    with seen() as namespaces:
        verdicts = verifier.verify([(case.problem, case.response) for case in SLOW])
        assert len(namespaces) >= len(SLOW)
        assert namespaces.inhabitants() == set()
    for case, verdict in zip(SLOW, verdicts, strict=True):
        check(case, verdict)
