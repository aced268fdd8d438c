"""What other people's code does at import, inside this very process: contained, named, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import UsageError
from saidpo_core.registry import Registry, load_registry
from tests.packages import HEAD, LIGHT, write_package

Install = Callable[..., EntryPoint]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a package and give its entry point. Deadlines are short."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SAIDPO_IMPORT_SECONDS", "0.3")
    before = set(sys.modules)

    def make(source: str, name: str = "stranger") -> EntryPoint:
        write_package(tmp_path, name, source)
        (entry,) = Distribution.at(tmp_path / f"{name.replace('-', '_')}-0.dist-info").entry_points
        return entry

    yield make
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]


@pytest.fixture
def good(install: Install) -> EntryPoint:
    return install(LIGHT.replace("{name}", "light"), "good-neighbour")


def problem_of(registry: Registry) -> str:
    """The one problem; and whatever it was, the plug-in that came after has been loaded."""
    assert [offer.qualified for offer in registry.offers] == ["good-neighbour/light"]
    (broken,) = registry.broken
    assert broken.owner.package == "stranger 1.0"
    return broken.problem


LOOP = "import time\nuntil = time.monotonic() + 30\nwhile time.monotonic() < until:\n    pass\n"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import time\ntime.sleep(30)\n", 2),
        (LOOP, 3),
        ("import threading\nthreading.Event().wait(30)\n", 2),
        ("import subprocess\nsubprocess.run(['sleep', '30'])\n", 2),
        ("import socket\nserver = socket.create_server(('localhost', 0))\nserver.accept()\n", 3),
        # A retry that catches every Exception does not catch the alarm, and one bare except not the second.
        ("import time\nfor _ in range(9):\n    try:\n        time.sleep(9)\n    except Exception:\n        pass\n", 4),
        ("import time\nfor _ in range(3):\n    try:\n        time.sleep(9)\n    except:\n        pass\n", 4),
        (f"{HEAD}import time\n@hookimpl\ndef saidpo_samplers():\n    time.sleep(30)\n", 7),
    ],
)  # fmt: skip
def test_what_does_not_come_to_an_end_is_interrupted_and_named_with_its_line(
    install: Install, good: EntryPoint, source: str, line: int
) -> None:
    started = time.monotonic()
    problem = problem_of(load_registry([install(source), good]))
    assert time.monotonic() - started < 5
    assert re.search(f"after 0.3 s .stranger.py:({line}|{line + 1}).;", problem), problem
    for said in ("still", "uninstall stranger", "SAIDPO_WITHOUT=stranger", "SAIDPO_IMPORT_SECONDS"):
        assert said in problem


def test_a_hook_that_offers_without_end_is_not_asked_for_all(install: Install, good: EntryPoint) -> None:
    source = f"{HEAD}@hookimpl\ndef saidpo_samplers():\n    while True:\n        yield None\n"
    said = "saidpo_samplers: TypeError: expected a list, got generator"
    assert problem_of(load_registry([install(source), good])) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys\nsys.exit('no licence')\n", "SystemExit: no licence (stranger.py:2)"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt (stranger.py:1)"),
        ("class Odd(BaseException): ...\nraise Odd('one')\n", "Odd: one (stranger.py:2)"),
        ("import argparse\nargparse.ArgumentParser().parse_args(['--x'])\n", "SystemExit: 2 (stranger.py:2)"),
        (f"{HEAD}@hookimpl\ndef saidpo_samplers():\n    raise SystemExit(3)\n",
         "saidpo_samplers: SystemExit: 3 (stranger.py:6)"),
    ],
)  # fmt: skip
def test_what_ends_other_programs_does_not_end_this_one(
    install: Install, good: EntryPoint, source: str, said: str
) -> None:
    assert problem_of(load_registry([install(source), good])) == said


def test_a_ctrl_c_of_the_user_is_not_taken_for_the_packages_own(install: Install) -> None:
    source = f"import os, signal, time\nos.kill({os.getpid()}, signal.SIGINT)\ntime.sleep(5)\n"
    with pytest.raises(KeyboardInterrupt):
        load_registry([install(source)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_all_of_them_together_have_a_deadline_and_a_light_one_after_them_is_not_punished(
    install: Install, good: EntryPoint
) -> None:
    sleepers = [install("import time\ntime.sleep(30)\n", f"sleeper-{i}") for i in range(12)]
    started = time.monotonic()
    registry = load_registry([*sleepers, good])
    assert 1 < time.monotonic() - started < 5  # 4 x 0.3 s, and 0.1 s for each that comes after that
    assert len(registry.broken) == len(sleepers)
    assert [offer.qualified for offer in registry.offers] == ["good-neighbour/light"]


def test_half_imported_modules_are_not_left_and_whole_ones_of_others_are(
    install: Install, tmp_path: Path, good: EntryPoint
) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half/__init__.py").write_text("import half.part\nimport colorsys_like\nraise OSError('disk')\n")
    (tmp_path / "half/part.py").write_text("")
    (tmp_path / "colorsys_like.py").write_text("")
    write_package(tmp_path, "stranger", "")
    (tmp_path / "stranger-0.dist-info/entry_points.txt").write_text("[saidpo]\nx = half.part\n")
    (entry,) = Distribution.at(tmp_path / "stranger-0.dist-info").entry_points
    assert problem_of(load_registry([entry, good])) == "OSError: disk (__init__.py:3)"
    assert not {"half", "half.part"} & set(sys.modules)
    assert "colorsys_like" in sys.modules


def test_what_it_changes_around_it_is_put_back(install: Install, tmp_path: Path, good: EntryPoint) -> None:
    source = f"""
import os, signal, sys
os.chdir({str(tmp_path.parent)!r})
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1):
    signal.signal(number, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01)
sys.stdout = None
"""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1)
    before = [os.getcwd(), sys.stdout, *map(signal.getsignal, numbers)]
    registry = load_registry([install(source), good])
    assert registry.broken == []
    assert [os.getcwd(), sys.stdout, *map(signal.getsignal, numbers)] == before


def test_an_alarm_that_was_set_before_still_rings(install: Install, good: EntryPoint) -> None:
    rang: list[int] = []
    old = signal.signal(signal.SIGALRM, lambda number, _: rang.append(number))
    delay, _ = signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        problem_of(load_registry([install("import time\ntime.sleep(30)\n"), good]))
        assert rang == []
        time.sleep(0.5)
        assert rang == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, old)
        signal.setitimer(signal.ITIMER_REAL, delay)


def test_what_it_prints_by_whatever_way_goes_to_stderr(
    install: Install, good: EntryPoint, capfd: pytest.CaptureFixture[str]
) -> None:
    source = "import os\nprint('one')\nos.write(1, b'two\\n')\nos.system('echo three')\n"
    source += f"{HEAD}@hookimpl\ndef saidpo_samplers():\n    print('four')\n    return []\n"
    print("before")
    assert load_registry([install(source), good]).broken == []
    print("after")
    shown = capfd.readouterr()
    assert shown.out == "before\nafter\n"
    assert sorted(shown.err.split()) == ["four", "one", "three", "two"]


def test_a_child_that_it_forks_is_no_second_program(install: Install, good: EntryPoint, tmp_path: Path) -> None:
    registry = load_registry([install("import os\nchild = os.fork()\n"), good])
    assert registry.broken == []  # only the parent comes here, or this test would go on twice
    _, status = os.waitpid(sys.modules["stranger"].child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_another_thread_has_no_alarm_and_loads_all_the_same(install: Install, good: EntryPoint) -> None:
    slow = install(f"import time\ntime.sleep(0.5)\n{LIGHT.replace('{name}', 'slow')}", "slow-one")
    with ThreadPoolExecutor(1) as pool:
        registry = pool.submit(load_registry, [slow, good]).result()
    assert registry.broken == []
    assert {offer.component.name for offer in registry.offers} == {"slow", "light"}


def test_time_that_is_allowed_is_given(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds in ("3", "0"):  # 0: no limit
        monkeypatch.setenv("SAIDPO_IMPORT_SECONDS", seconds)
        assert load_registry([install("import time\ntime.sleep(0.4)\n", f"slow-{seconds}")]).broken == []


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_refused(
    install: Install, good: EntryPoint, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SAIDPO_IMPORT_SECONDS", value)
    with pytest.raises(UsageError, match=f"SAIDPO_IMPORT_SECONDS={value}: expected a number of seconds"):
        load_registry([good])


def test_what_is_left_out_is_not_imported_whatever_the_spelling(
    install: Install, good: EntryPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIDPO_WITHOUT", "other, Some_Stranger")
    registry = load_registry([install("raise OSError\n", "some-stranger"), good])
    assert registry.broken == []
    assert [owner.distribution for owner in registry.left_out] == ["some-stranger"]
    with pytest.raises(UsageError, match=r"\(left out by SAIDPO_WITHOUT: some-stranger\)$"):
        registry.find("clusterer", "theirs", "--clusterer")


def test_ours_cannot_be_left_out_and_have_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [offer.qualified for offer in load_registry().offers if offer.bundled]
    monkeypatch.setenv("SAIDPO_WITHOUT", "saidpo")
    monkeypatch.setenv("SAIDPO_IMPORT_SECONDS", "0.000001")
    assert [offer.qualified for offer in load_registry().offers if offer.bundled] == expected


def test_a_list_of_entry_points_that_cannot_be_read_costs_that_package_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path, "stranger", "")
    (tmp_path / "stranger-0.dist-info/entry_points.txt").write_text("[saidpo]\nno equals sign\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = load_registry()
    (broken,) = registry.broken
    assert str(broken).startswith("stranger 1.0 (entry_points.txt): cannot be read: ")
    assert registry.default("clusterer").bundled


def _component(**fields: Any) -> str:
    given = {"name": "'x'", "summary": "'one'", "build": "print", **fields}
    return f"Component({', '.join(f'{key}={value}' for key, value in given.items())})"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"summary": "None"}, "the summary of 'x' must be one line of text, got None"),
        ({"summary": "'one\\ntwo'"}, "the summary of 'x' must be one line of text, got 'one\\ntwo'"),
        ({"source": "7"}, "the source of 'x' must be one line of text, got 7"),
        ({"build": "7"}, "the build of 'x' must be a class or a function, got 7"),
        ({"domains": "'math'"}, "the domains of 'x' must be a tuple of texts, got 'math'"),
        ({"options": "Unknown"}, "the options of 'x' cannot be used: NameError: name 'Path' is not defined"),
        ({"options": "Refusing"}, "the options of 'x' cannot be used: ValueError: not like this"),
    ],
)
def test_a_component_that_cannot_be_shown_or_built_is_refused_when_it_is_found(
    install: Install, good: EntryPoint, fields: dict[str, str], said: str
) -> None:
    source = f"""{HEAD}
@dataclass(frozen=True, kw_only=True)
class Unknown:
    file: "Path | None" = option(None, "Path is not imported")

@dataclass(frozen=True, kw_only=True)
class Refusing:
    def __post_init__(self):
        raise ValueError("not like this")

@hookimpl
def saidpo_verifiers():
    return [{_component(**fields)}]
"""
    assert problem_of(load_registry([install(source), good])) == f"saidpo_verifiers: {said}"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("Policy(name=None, summary='', folder=Path())", "name and summary must each be one line of text"),
        ("Policy(name='p', summary='', folder='here')", "the folder of 'p' must be a Path, got 'here'"),
        ("Policy(name='p', summary='', folder=Path(), settings=None)", "the settings of 'p' must be a mapping"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_when_it_is_found(
    install: Install, good: EntryPoint, policy: str, said: str
) -> None:
    head = "from pathlib import Path\nfrom saidpo_core import Policy, hookimpl\n"
    source = f"{head}@hookimpl\ndef saidpo_policies():\n    return [{policy}]\n"
    assert said in problem_of(load_registry([install(source), good]))


def test_a_hook_with_an_argument_too_many_is_told_which(install: Install, good: EntryPoint) -> None:
    source = f"{HEAD}@hookimpl\ndef saidpo_samplers(seed):\n    return []\n"
    problem = problem_of(load_registry([install(source), good]))
    assert "saidpo_samplers(seed)" in problem
    assert "{'seed'} are declared in the hookimpl but can not be found in the hookspec" in problem
