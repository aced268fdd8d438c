"""The real command beside packages that misbehave at import: it comes back, names them, and shows all else."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import Saidpo
from tests.packages import LIGHT, write_light_packages, write_package

SLEEPER = "import time\ntime.sleep(30)\n"
DEAF = "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass\n"
IN_C = """import ctypes
c = ctypes.CDLL(None)
lock = ctypes.create_string_buffer(64)
c.pthread_mutex_lock(lock)
c.pthread_mutex_lock(lock)  # waits for itself
"""
"""C code that has released the interpreter's lock and that no signal wakes."""
IN_C_WITH_THE_LOCK = IN_C.replace("CDLL", "PyDLL")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages, with a good one in it. Deadlines are short."""
    monkeypatch.setenv("SAIDPO_IMPORT_SECONDS", "0.4")
    write_package(tmp_path / "packages", "good-neighbour", LIGHT.replace("{name}", "light"))
    return tmp_path / "packages"


@pytest.mark.parametrize("source", [SLEEPER, DEAF, IN_C])
def test_help_comes_back_and_names_what_hangs_at_import(
    tmp_path: Path, saidpo: Saidpo, packages: Path, source: str
) -> None:
    write_package(packages, "slow-one", source, version="2.1")
    started = time.monotonic()
    done = saidpo("--help", cwd=tmp_path, path=packages)
    assert time.monotonic() - started < 10
    assert done.returncode == 0
    assert "--clusterer NAME" in done.stdout
    assert ", light" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("could not be loaded: slow-one 2.1 (slow_one): still importing after 0.4 s (")
    assert "uninstall slow-one, leave it out with SAIDPO_WITHOUT=slow-one" in line


@pytest.mark.slow
def test_with_the_time_that_is_allowed_by_default_a_sleeper_costs_seconds_not_its_sleep(
    tmp_path: Path, saidpo: Saidpo, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAIDPO_IMPORT_SECONDS")
    write_package(packages, "slow-one", SLEEPER)
    started = time.monotonic()
    done = saidpo("--help", cwd=tmp_path, path=packages)
    assert 5 < time.monotonic() - started < 12
    assert "slow-one 1.0 (slow_one): still importing after 5 s (slow_one.py:2)" in done.stderr


def test_what_hangs_in_c_with_the_lock_held_ends_the_command_and_its_file_is_named(
    tmp_path: Path, saidpo: Saidpo, packages: Path
) -> None:
    write_package(packages, "slow-one", IN_C_WITH_THE_LOCK)
    started = time.monotonic()
    done = saidpo("--help", cwd=tmp_path, path=packages)
    assert time.monotonic() - started < 20
    assert done.returncode == 1
    assert "slow_one.py" in done.stderr


@pytest.mark.slow
def test_two_that_nothing_interrupts_are_both_named(tmp_path: Path, saidpo: Saidpo, packages: Path) -> None:
    for name in ("slow-one", "slow-two"):
        write_package(packages, name, DEAF)
    done = saidpo("plugins", "--json", cwd=tmp_path, path=packages)
    tree = json.loads(done.stdout)
    assert {item["plugin"].split()[0] for item in tree["broken"]} == {"slow-one", "slow-two"}
    assert all("nothing could interrupt it" in item["problem"] for item in tree["broken"])
    assert "good-neighbour" in {row["distribution"] for row in tree["components"]}


def test_left_out_it_costs_nothing_and_is_said(
    tmp_path: Path, saidpo: Saidpo, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIDPO_WITHOUT", "slow_one")
    write_package(packages, "slow-one", SLEEPER)
    done = saidpo("plugins", "--json", cwd=tmp_path, path=packages)
    tree = json.loads(done.stdout)
    assert (tree["broken"], tree["left_out"]) == ([], ["slow-one 1.0 (slow_one)"])
    done = saidpo("plugins", cwd=tmp_path, path=packages)
    assert done.stderr == "left out by SAIDPO_WITHOUT: slow-one 1.0 (slow_one)\n"


def test_what_prints_at_import_does_not_spoil_json_or_a_completion(
    tmp_path: Path, saidpo: Saidpo, packages: Path
) -> None:
    noise = "import os\nprint('Welcome!')\nos.write(1, b'to my\\n')\nos.system('echo package')\n"
    write_package(packages, "loud-one", noise + LIGHT.replace("{name}", "loud"))
    done = saidpo("plugins", "--json", cwd=tmp_path, path=packages)
    assert "loud" in {row["name"] for row in json.loads(done.stdout)["components"]}
    assert sorted(done.stderr.splitlines()) == ["Welcome!", "package", "to my"]


def test_a_run_names_them_in_one_line_and_quietly_not_at_all(tmp_path: Path, saidpo: Saidpo, packages: Path) -> None:
    write_package(packages, "slow-one", SLEEPER)
    write_package(packages, "broken-one", "1 / 0\n")
    flags = ("--pool=jsonl", "--pool.path=nowhere.jsonl")
    line = "could not be loaded: broken-one 1.0, slow-one 1.0; see saidpo plugins"
    done = saidpo(*flags, cwd=tmp_path, path=packages)
    assert done.returncode == 2
    names = done.stderr.splitlines()[0].removeprefix("could not be loaded: ").removesuffix("; see saidpo plugins")
    assert sorted(names.split(", ")) == ["broken-one 1.0", "slow-one 1.0"], line
    done = saidpo(*flags, "--quiet", cwd=tmp_path, path=packages)
    assert done.stderr.startswith("saidpo: nowhere.jsonl: no such file")


def test_an_unknown_component_or_option_names_them_and_waits_for_them_once(
    tmp_path: Path, saidpo: Saidpo, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIDPO_IMPORT_SECONDS", "2.5")
    write_package(packages, "slow-one", SLEEPER)
    for flag in ("--clusterer=spectral", "--clusterer.kk=1"):
        started = time.monotonic()
        done = saidpo(flag, cwd=tmp_path, path=packages)
        assert time.monotonic() - started < 4.9
        assert done.returncode == 2
        if flag == "--clusterer=spectral":
            assert done.stderr.endswith("(could not be loaded: slow-one 1.0; see saidpo plugins)\n")


def test_its_author_sees_where(tmp_path: Path, packages: Path, saidpo: Saidpo, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(packages, "broken-one", "def deep():\n    return {}['key']\n\n\ndeep()\n")
    assert "Traceback" not in saidpo("plugins", cwd=tmp_path, path=packages).stderr
    done = subprocess.run(
        [sys.executable, "-m", "saidpo_core.cli", "plugins"],
        env={**os.environ, "PYTHONPATH": str(packages), "SAIDPO_DEBUG": "1"},
        capture_output=True,
        text=True,
    )
    assert "could not be loaded: broken-one 1.0 (broken_one): KeyError: 'key' (broken_one.py:2)\n" in done.stderr
    assert 'broken_one.py", line 5, in <module>' in done.stderr


def test_ctrl_c_while_it_imports_ends_the_command(tmp_path: Path, packages: Path) -> None:
    mark = tmp_path / "mark"
    write_package(packages, "slow-one", f"open({str(mark)!r}, 'w').close()\n{SLEEPER}")
    process = subprocess.Popen(
        [sys.executable, "-m", "saidpo_core.cli", "--help"],
        env={**os.environ, "PYTHONPATH": str(packages), "SAIDPO_IMPORT_SECONDS": "20"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not mark.exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err


@pytest.mark.slow
def test_200_packages_do_not_make_help_slow(tmp_path: Path, saidpo: Saidpo) -> None:
    # 400 ms is the aim (tests/bench/bench_startup.py measures it). Seconds differ between machines by several times,
    # what the packages multiply them by does not: 1.9 when this was written, and up to 2.5 on two busy cores.
    write_light_packages(tmp_path / "packages", 200)

    def seconds(path: Path | None) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = saidpo("--help", cwd=tmp_path, path=path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stderr == ""
        assert ("light-199" in done.stdout) == (path is not None)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare, crowded = zip(*((seconds(None), seconds(tmp_path / "packages")) for _ in range(5)), strict=True)
    assert min(crowded) < 4 * min(bare)
