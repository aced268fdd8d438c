"""``saidpo verify``: a verdict for every line, in order, whatever the bytes; any verifier by name; it streams."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import read_ahead
from saidpo_core.cli import verify_file
from saidpo_core.registry import load_registry
from tests.command import Saidpo

RIGHT = json.dumps({"gold": "1/2", "response": "\\boxed{0.5}"})
# A package of a third party: verdicts by whether the response contains the gold answer.
PLUGIN = """
from dataclasses import dataclass
from saidpo_core import Component, Verdict, hookimpl, option

@dataclass(frozen=True, kw_only=True)
class Options:
    shout: bool = option(False, "upper case")

class Contains:
    def __init__(self, options):
        self.options = options

    def self_test(self):
        pass

    def verify(self, cases):
        if any(response == "explode" for _, response in cases):
            raise ZeroDivisionError("boom")
        seen = [problem.extra.get("tests") or problem.extra.get("kind") or problem.domain for problem, _ in cases]
        right = [problem.answer in response for problem, response in cases]
        shown = [str(item).upper() if self.options.shout else str(item) for item in seen]
        rows = zip(right, shown, cases)
        return [Verdict(outcome="right" if r else "wrong", extracted=s, reason=case[1]) for r, s, case in rows]

    def close(self):
        print("closed", flush=True)

@hookimpl
def saidpo_verifiers():
    return [Component(name="contains", summary="", options=Options, build=Contains, domains=("prose",))]
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a plug-in package, to be put on the path."""
    folder = tmp_path / "packages"
    info = folder / "saidpo_contains-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "saidpo_contains.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: saidpo-contains\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[saidpo]\ncontains = saidpo_contains\n")
    return folder


def write(folder: Path, lines: Sequence[bytes | str]) -> Path:
    path = folder / "cases.jsonl"
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return path


def judge(saidpo: Saidpo, folder: Path, lines: Sequence[bytes | str], *flags: str, **more: Any) -> list[dict[str, Any]]:
    write(folder, lines)
    done = saidpo("verify", "--in", "cases.jsonl", "--out", "verdicts.jsonl", *flags, cwd=folder, **more)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    verdicts = [json.loads(line) for line in (folder / "verdicts.jsonl").read_bytes().splitlines()]
    assert len(verdicts) == len(lines)
    return verdicts


def test_verdicts_in_order_with_ids(saidpo: Saidpo, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"gold": "1/2", "response": "\\boxed{0.5}"},
        {"id": "b", "gold": "42", "response": "It is 43"},
        {"id": 3, "gold": "\\frac{1", "response": "\\boxed{1}"},
        {"id": None, "gold": 5, "response": "\\boxed{5.0}"},
        {"gold": 0.1, "response": "#### 1/10", "other": "is ignored"},
        {"gold": True, "response": "Answer: true"},
    ]
    verdicts = judge(saidpo, tmp_path, [json.dumps(row) for row in rows])
    assert [verdict["verdict"] for verdict in verdicts] == ["right", "wrong", "unverifiable", "right", "right", "right"]
    assert [list(verdict) for verdict in verdicts[:2]] == [
        ["verdict", "extracted", "reason", "seconds"],
        ["verdict", "extracted", "reason", "seconds", "id"],
    ]
    assert [verdict.get("id") for verdict in verdicts] == [None, "b", 3, None, None, None]
    assert verdicts[0]["extracted"] == "0.5"
    assert all(0 <= verdict["seconds"] < 1 for verdict in verdicts)


BROKEN: list[tuple[bytes | str, str]] = [
    (b"", "line 1: empty"),
    (b"   ", "line 2: empty"),
    (b"\x00\x00", "line 3: broken JSON"),
    (b'{"gold": "1"', "line 4: broken JSON"),
    (b'{"gold": "\xff", "response": "1"}', "line 5: not UTF-8"),
    (b"\xff\xfe{", "line 6: not UTF-8"),
    ("[1, 2]", "line 7: expected a JSON object, got a list"),
    ("null", "line 8: expected a JSON object, got null"),
    ('"text"', "line 9: expected a JSON object, got a text"),
    ("{}", "line 10: no response"),
    ('{"gold": "1"}', "line 11: no response"),
    ('{"response": "1"}', "line 12: no gold"),
    ('{"gold": null, "response": "1"}', "line 13: gold: expected a text, got null"),
    ('{"gold": ["1"], "response": "1"}', "line 14: gold: expected a text, got a list"),
    ('{"gold": "1", "response": {"text": "1"}}', "line 15: response: expected a text, got an object"),
    ('{"gold": "1", "response": "1", "extra": 1}', "line 16: extra: expected an object, got a number"),
    ("[" * 100_000, "line 17: broken JSON"),
    ('{"gold": ' + "9" * 5000 + ', "response": "1"}', "line 18: broken JSON"),
]


def test_line_that_cannot_be_read_is_unverifiable_with_its_number(saidpo: Saidpo, tmp_path: Path) -> None:
    verdicts = judge(saidpo, tmp_path, [*(line for line, _ in BROKEN), RIGHT])
    for (_, reason), verdict in zip(BROKEN, verdicts, strict=False):
        assert verdict["verdict"] == "unverifiable"
        assert verdict["reason"].startswith(reason)
        assert verdict["extracted"] is None
    assert verdicts[-1]["verdict"] == "right"


def test_any_characters_survive(saidpo: Saidpo, tmp_path: Path) -> None:
    lines = [
        '{"gold": "\\ud800", "response": "\\\\boxed{\\ud800}", "id": "\\udfff"}',
        '{"gold": "a\\u0000b", "response": "\\\\boxed{a\\u0000b}"}',
        json.dumps({"gold": "√2", "response": "\\boxed{\\sqrt2}", "id": "ü"}, ensure_ascii=False),
        json.dumps({"gold": "1", "response": "x" * 3_000_000 + "\\boxed{1}"}),
        '{"gold": NaN, "response": "\\\\boxed{nan}"}',
    ]
    verdicts = judge(saidpo, tmp_path, ["\ufeff" + RIGHT, RIGHT + "\r", *lines])
    assert [verdict["verdict"] for verdict in verdicts] == ["right"] * 7
    assert verdicts[2]["id"] == "\udfff"


def test_file_without_a_line_and_last_line_without_an_end(saidpo: Saidpo, tmp_path: Path) -> None:
    assert judge(saidpo, tmp_path, []) == []
    (tmp_path / "cases.jsonl").write_text(RIGHT)
    done = saidpo("verify", "--in", "cases.jsonl", "--out", "-", cwd=tmp_path)
    assert [json.loads(line)["verdict"] for line in done.stdout.splitlines()] == ["right"]


def test_options_of_the_verifier_are_flags(saidpo: Saidpo, tmp_path: Path) -> None:
    endless = json.dumps({"gold": "1", "response": "\\boxed{\\sum_{k=1}^{10^{12}} \\frac{1}{k^2+1}}"})
    [verdict] = judge(saidpo, tmp_path, [endless], "--verifier=math", "--verifier.timeout=0.5")
    assert (verdict["verdict"], verdict["reason"]) == ("unverifiable", "timeout")
    assert 0.4 < verdict["seconds"] < 1.9, "the default is 2"


def test_any_verifier_by_name(saidpo: Saidpo, tmp_path: Path, package: Path) -> None:
    rows = [
        {"gold": "abc", "response": "xabcx"},
        {"gold": "abc", "response": "x", "extra": {"kind": "k"}},
        {"tests": [{"type": "stdio"}], "program": "print(1)\n```\nprint(2)"},
        {"gold": "a", "response": "explode"},
        {"gold": "b", "response": "bb"},
    ]
    flags = ("--verifier=saidpo-contains/contains", "--verifier.shout=true")
    verdicts = judge(saidpo, tmp_path, [json.dumps(row) for row in rows], *flags, path=package)
    assert [verdict["verdict"] for verdict in verdicts] == ["right", "wrong", "wrong", "unverifiable", "right"]
    assert [verdict["extracted"] for verdict in verdicts[:3]] == ["PROSE", "K", "[{'TYPE': 'STDIO'}]"]
    assert verdicts[2]["reason"] == "````python\nprint(1)\n```\nprint(2)\n````", "the program goes as a response"
    assert "ZeroDivisionError: boom" in verdicts[3]["reason"]
    assert all(verdict["seconds"] > 0 for verdict in verdicts[:3]), "their share, if the verifier does not say"


def test_reasoning_gym_problems_are_judged_by_their_scorer(saidpo: Saidpo, tmp_path: Path) -> None:
    entry = {"question": "2 + 3 =", "answer": "5", "metadata": {"source_dataset": "chain_sum"}}
    row = {"gold": "5", "response": "#### 5", "extra": {"dataset": "chain_sum", "entry": entry}}
    verdicts = judge(saidpo, tmp_path, [json.dumps(row), RIGHT], "--verifier=reasoning-gym")
    assert [verdict["verdict"] for verdict in verdicts] == ["right", "unverifiable"]


def test_streams(tmp_path: Path) -> None:
    """A verdict comes as soon as its line is there, before the next line is."""
    command = [sys.executable, "-m", "saidpo_core.cli", "verify", "--in=-", "--out=-"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(json.dumps({"gold": number, "response": "\\boxed{1}"}).encode() + b"\n")
            process.stdin.flush()
            verdict = json.loads(process.stdout.readline())
            assert verdict["verdict"] == ("right" if number == 1 else "wrong")
        process.stdin.close()
        assert process.wait(30) == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Batches and what is read ahead are limited in lines and bytes; a line that is longer than a limit is skipped."""
    monkeypatch.setattr(read_ahead, "LINE_LIMIT", 1000)
    monkeypatch.setattr(read_ahead, "BATCH_LINES", 4)
    monkeypatch.setattr(read_ahead, "BATCH_BYTES", 300)
    batches: list[int] = []
    original = read_ahead.batches
    monkeypatch.setattr(
        read_ahead, "batches", lambda lines: (batches.append(len(batch)) or batch for batch in original(lines))
    )
    lines = [RIGHT] * 50 + [json.dumps({"gold": "1", "response": "x" * 2500}), RIGHT]
    offer = load_registry().default("verifier")
    source, target = write(tmp_path, lines), tmp_path / "verdicts.jsonl"
    counts = verify_file.verify_file(offer, offer.component.options(), str(source), str(target))
    assert counts == {"right": 51, "unverifiable": 1}
    assert sum(batches) == 52
    assert max(batches) <= 4
    verdicts = [json.loads(line) for line in target.read_text().splitlines()]
    assert verdicts[50]["reason"].startswith("line 51: longer than")


def test_progress_on_a_terminal_only(tmp_path: Path) -> None:
    write(tmp_path, [RIGHT] * 3)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "saidpo_core.cli", "verify", "--in=cases.jsonl", "--out=verdicts.jsonl"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path, env=environment)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    assert done.returncode == 0
    assert done.stdout == b""
    assert "3 lines: 3 right, 0 wrong, 0 unverifiable" in shown


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--in=missing.jsonl", "--out=o.jsonl"), "--in=missing.jsonl: no such file"),
        (("--in=.", "--out=o.jsonl"), "--in=.: Is a directory"),
        (("--in=cases.jsonl", "--out=no/such/folder/o.jsonl"), "--out=no/such/folder/o.jsonl: no such file or folder"),
        (("--in=cases.jsonl", "--out=cases.jsonl"), "is the input file too"),
        (("--in=cases.jsonl", "--out=o.jsonl", "--verifier=maths"), "Did you mean math?"),
        (
            ("--in=cases.jsonl", "--out=o.jsonl", "--verifier.timeout=soon"),
            "--verifier.timeout: expected number, got 'soon'",
        ),
        (("--in=cases.jsonl", "--out=o.jsonl", "--verifier.timeot=1"), "--verifier.timeot"),
        (("--in=cases.jsonl",), "--out"),
        (("--in=cases.jsonl", "--out=o.jsonl", "--sampler=uniform"), "--sampler"),
    ],
)
def test_wrong_usage(saidpo: Saidpo, tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    write(tmp_path, [RIGHT])
    done = saidpo("verify", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("saidpo: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o.jsonl").exists()
    assert (tmp_path / "cases.jsonl").read_text() == RIGHT + "\n"


def test_full_disk_ends_with_a_message(saidpo: Saidpo, tmp_path: Path) -> None:
    write(tmp_path, [RIGHT] * 2000)
    done = saidpo("verify", "--in=cases.jsonl", "--out=o.jsonl", cwd=tmp_path, file_size=10_000)
    assert done.returncode == 1
    assert done.stderr.startswith("saidpo: ")
    assert "o.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_reader_that_has_had_enough(tmp_path: Path) -> None:
    write(tmp_path, [RIGHT] * 20_000)
    command = f"{sys.executable} -m saidpo_core.cli verify --in=cases.jsonl --out=- | head -n 1"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert json.loads(done.stdout)["verdict"] == "right"
    assert done.stderr == ""


def test_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "saidpo_core.cli", "verify", "--in=-", "--out=verdicts.jsonl"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(RIGHT.encode() + b"\n")
        process.stdin.flush()
        end = time.monotonic() + 30
        while not (tmp_path / "verdicts.jsonl").exists() or not (tmp_path / "verdicts.jsonl").read_bytes():
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == b"saidpo: interrupted; 1 verdicts are in verdicts.jsonl\n"


def test_help_lists_the_options_of_the_verifier(saidpo: Saidpo, tmp_path: Path) -> None:
    done = saidpo("verify", "--verifier=math", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--verifier.memory_mb" in done.stdout
    assert "--sampler" not in done.stdout
