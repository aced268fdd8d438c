"""The sandbox itself: what it proves before it is used, what it leaves behind, and how it is called."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from saidpo_core import UsageError, Verdict
from saidpo_plugins.verifiers.code import CodeOptions, CodeVerifier, saidpo_verifiers
from saidpo_plugins.verifiers.sandbox import control_groups, isolation
from saidpo_plugins.verifiers.sandbox import layout as sandbox_layout
from saidpo_plugins.verifiers.sandbox import runs as sandbox_runs
from saidpo_plugins.verifiers.sandbox.box import Box, Limits
from saidpo_plugins.verifiers.sandbox.isolation import prove, working_layout
from saidpo_plugins.verifiers.sandbox.layout import Layout
from saidpo_plugins.verifiers.sandbox.orphans import end_orphans
from saidpo_plugins.verifiers.sandbox.runs import Task, run
from tests.verifying.cases import code_problem, fenced
from tests.verifying.survivors import namespaces, seen

SQUARE = code_problem([{"type": "assert", "code": "assert f(3) == 9"}])
CASES = [
    (SQUARE, fenced("def f(x):\n    return x * x")),
    (SQUARE, fenced("def f(x):\n    return x + x")),
    (code_problem([{"type": "stdio", "input": "3\n", "output": "9\n"}]), fenced("print(int(input()) ** 2)")),
    (code_problem([]), fenced("print(1)")),
]
DUE = ["right", "wrong", "right", "unverifiable"]


def outcomes(verdicts: list[Verdict]) -> list[str]:
    return [verdict.outcome for verdict in verdicts]


def script(source: str, limits: Limits | None = None) -> Task[Box]:
    box = Box("run", source.encode(), limits or Limits())
    yield [box]
    return box


def wait_until(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.02)
    assert condition()  # type: ignore[operator]


# ---- Proving ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaky(Layout):
    """A layout without some of its words, and with some more before the root folder becomes read-only."""

    without: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def command(self, disk: int, *, info: int, seccomp: int) -> list[str]:
        whole = super().command(disk, info=info, seccomp=seccomp)
        head, tail = whole[: whole.index("--")], whole[whole.index("--") :]
        for words in self.without:
            first, *rest = words.split()
            at = head.index(first)
            del head[at : at + 1 + len(rest)]
        at = head.index("--chdir")
        return [*head[:at], *self.words, *head[at:], *tail]


@pytest.mark.parametrize(
    ("without", "words", "reason"),
    [
        (("--unshare-net", "--seccomp _"), (), "reaches the network"),
        (("--seccomp _",), (), "makes a namespace of its own"),
        ((), ("--ro-bind", "/tmp", "/tmp"), "reads files of this machine"),
        ((), ("--proc", "/proc"), "sees the processes of this machine"),
        (("--remount-ro /",), ("--chmod", "0777", "/"), "writes to the root folder"),
        ((), ("--perms", "1777", "--tmpfs", "/tmp"), "fills the disk"),
        ((), ("--setenv", "_SAIDPO_PROBE", "1"), "has the environment of this process"),
    ],
)
def test_a_layout_that_leaks_is_not_used(
    layout: Layout, without: tuple[str, ...], words: tuple[str, ...], reason: str
) -> None:
    leaky = Leaky(layout.bubblewrap, layout.mode, without=without, words=words)
    assert reason in prove(leaky)


def test_the_layout_that_is_used_holds(layout: Layout) -> None:
    with seen() as found:
        assert prove(layout) == ""
        assert len(found) == 1
        assert found.inhabitants() == set()


def test_a_fake_bubblewrap_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs the command without any sandbox."""
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 9.9.9 && exit\nexec python3 -c "print()"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sandbox_layout.shutil, "which", lambda name: str(fake))
    monkeypatch.setattr(sandbox_layout, "_from_wheel", lambda: None)
    with pytest.raises(UsageError, match="finds no way to run programs in a sandbox"):
        CodeVerifier(CodeOptions()).verify(CASES)


def test_without_bubblewrap_both_ways_to_install_it_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_layout.shutil, "which", lambda name: None)
    monkeypatch.setattr(sandbox_layout, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'saidpo\[code\]' .* apt-get install bubblewrap"):
        CodeVerifier(CodeOptions()).self_test()


REFUSED = """#!/bin/sh
[ "$1" = --version ] && echo bubblewrap 0.11.0 && exit
echo "bwrap: No permissions to create a new namespace" >&2
exit 1
"""


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        ({"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "AppArmor .* profile"),
        ({"/.dockerenv": ""}, "--security-opt seccomp=unconfined"),
        ({"/proc/sys/user/max_user_namespaces": "0"}, r"sysctl user\.max_user_namespaces=10000"),
        ({}, r"docs/sandbox\.md"),
    ],
)
def test_where_the_system_refuses_it_says_what_to_do(
    files: dict[str, str], advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text(REFUSED)
    refusing.chmod(0o755)
    monkeypatch.setattr(sandbox_layout.shutil, "which", lambda name: str(refusing))
    monkeypatch.setattr(sandbox_layout, "_from_wheel", lambda: None)
    monkeypatch.setattr(isolation, "_says", lambda path, value: files.get(path) == value)
    monkeypatch.setattr(isolation, "_exists", lambda path: path in files)
    with pytest.raises(UsageError, match=f"No permissions to create a new namespace.*{advice}"):
        CodeVerifier(CodeOptions()).self_test()
    [verdict] = run([_judged(CASES[0])], Layout(str(refusing), "root"), 1)
    assert verdict == ("unverifiable", "no isolation: bwrap: No permissions to create a new namespace")


def _judged(case: tuple[object, str]) -> Task[tuple[str, str]]:
    from saidpo_plugins.verifiers.code_tests import judge, read_tests

    tests = read_tests(case[0].extra["tests"])  # type: ignore[attr-defined]
    assert isinstance(tests, list)
    return judge("def f(x): return 9", tests, Limits())


def test_an_old_bubblewrap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    old.chmod(0o755)
    monkeypatch.setattr(sandbox_layout.shutil, "which", lambda name: str(old))
    monkeypatch.setattr(sandbox_layout, "_from_wheel", lambda: None)
    with pytest.raises(UsageError, match=r"0\.8 or newer"):
        working_layout()


_AS_ANOTHER = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from saidpo_plugins.verifiers.code import CodeOptions, CodeVerifier
from tests.verifying.test_sandbox import CASES, outcomes
verifier = CodeVerifier(CodeOptions())
verifier.self_test()
print(verifier._layout.mode, *outcomes(verifier.verify(CASES)))
"""


def _others_enter(place: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (place, *place.parents) if folder.is_dir())


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", ["unprivileged", "dropped"])
def test_an_ordinary_user_and_root_of_a_container_have_it_too(mode: str, readable_python: Path) -> None:
    """``dropped``: root without CAP_SYS_ADMIN, as in a container whose rules allow namespaces."""
    import json

    if mode == "unprivileged":
        rights = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    else:
        rights = ["--bounding-set=-sys_admin"]
    command = ["setpriv", "--inh-caps=-all", *rights, str(readable_python), "-B", "-c", _AS_ANOTHER]
    paths = json.dumps([path for path in sys.path if (path and "lib/python3" not in path) or "site-packages" in path])
    root = Path(__file__).parents[2]
    private = [
        path for path in (*json.loads(paths), str(root)) if Path(path).exists() and not _others_enter(Path(path))
    ]
    if private:
        pytest.skip(f"no other user may read {private[0]}")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(readable_python.parents[1] / "lib")}
    done = subprocess.run([*command, paths], capture_output=True, text=True, env=environment, cwd=root)
    assert done.stdout.split() == [mode, *DUE], done.stderr


# ---- Ending ----------------------------------------------------------------------------------------------------------

_ENDLESS = """
import sys
from saidpo_plugins.verifiers.code import CodeOptions, CodeVerifier
from tests.verifying.cases import code_problem, fenced
program = '''
import os, signal, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
time.sleep(1000)
'''
tests = {"stdio": {"type": "stdio", "input": "", "output": "x"}, "assert": {"type": "assert", "code": "f()"}}
verifier = CodeVerifier(CodeOptions(timeout=60, workers=2))
verifier._layout = __import__("saidpo_plugins.verifiers.sandbox.isolation", fromlist=["x"]).working_layout()
print("ready", flush=True)
verifier.verify([(code_problem([test]), fenced(program)) for test in tests.values()])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_is_left_when_the_verifier_is_killed(number: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=root
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with namespaces() as found:

            def running() -> bool:
                """A script and its three children, a module with three of its own, and the judge; each box's first."""
                found.add_below(process.pid)
                return len(found.inhabitants()) >= 3 + 4 + 4 + 1

            wait_until(running)
            assert len(found) == 3
            process.send_signal(number)
            process.wait(20)
            # What never came to run a program may be left, and goes when a verifier starts next.
            wait_until(lambda: end_orphans() is not None and found.inhabitants() == set())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    for folder in Path("/sys/fs/cgroup").glob("**/saidpo-*"):
        with suppress(OSError):
            folder.rmdir()


MANY = """
import os, time
for _ in range(12):
    if os.fork() == 0:
        block = bytearray(100 * 2**20)
        for i in range(0, len(block), 4096):
            block[i] = 1
        time.sleep(100)
killed = sum(os.waitstatus_to_exitcode(os.wait()[1]) == -9 for _ in range(3))
print(killed)
"""


def test_the_memory_of_all_processes_together_is_bounded_by_a_control_group(layout: Layout) -> None:
    """12 x 100 MiB under a limit of 256 MiB (and 64 of /tmp): the kernel kills some of them."""
    if control_groups.place() is None:
        pytest.skip("no control group can be made here; the test after this one bounds it otherwise")
    [box] = run([script(MANY, Limits(memory=256 * 2**20))], layout, 1)
    assert box.stopped == ""
    assert box.output == b"3\n" or box.code == 128 + signal.SIGKILL


def test_the_memory_of_all_processes_together_is_watched_without_one(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_groups, "place", lambda: None)
    [box] = run([script(MANY, Limits(memory=256 * 2**20))], layout, 1)
    assert box.stopped == "memory"


def test_version_2_of_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files, in a folder that stands for the kernel's."""
    (tmp_path / "user.slice").mkdir()
    (tmp_path / "user.slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "user.slice" / "cgroup.procs").touch()
    monkeypatch.setattr(control_groups, "_ROOT", tmp_path)
    monkeypatch.setattr(control_groups, "_own_groups", lambda: {"": "user.slice/session-1.scope"})
    control_groups.place.cache_clear()
    try:
        group = control_groups.ControlGroup(memory=1000, processes=7)
        [folder] = (tmp_path / "user.slice").glob("saidpo-*")
        assert (folder / "memory.max").read_text() == "1000"
        assert (folder / "memory.swap.max").read_text() == "0"
        assert (folder / "pids.max").read_text() == "7"
        group.add(1234)
        assert (folder / "cgroup.procs").read_text() == "1234"
        (tmp_path / "user.slice" / "cgroup.subtree_control").write_text("cpu\n")
        control_groups.place.cache_clear()
        assert control_groups.place() is None
    finally:
        control_groups.place.cache_clear()


# ---- Time ------------------------------------------------------------------------------------------------------------


class Hurried(Limits):
    @property
    def wall(self) -> float:
        return 0.5


def test_who_waits_for_a_processor_gets_its_time_and_who_sleeps_does_not(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_runs, "_STARVED", 100)  # however busy the machine of this test is
    busy = "import time\nwhile time.process_time() < 1.0:\n    pass\nprint('done')"
    idle = "import time\ntime.sleep(1.5)\nprint('done')"

    def ended(source: str) -> tuple[str, bytes]:
        box = run([script(source, Hurried(seconds=3))], layout, 1)[0]
        return box.stopped, box.output

    # It is not busy in the moment in which it ends: on a full machine that can be the moment of the look.
    assert ("", b"done\n") in (ended(busy) for _ in range(5))
    assert ended(idle) == ("time", b"")


def test_results_come_in_order_however_long_they_take_and_only_so_many_run(layout: Layout, tmp_path: Path) -> None:
    sources = [f"import time\ntime.sleep({seconds})\nprint({n})" for n, seconds in enumerate((0.4, 0.0, 0.2, 0.0))]
    running: list[int] = []

    def watched(source: str) -> Task[Box]:
        running.append(1)
        box = yield from script(source)
        running.append(-1)
        return box

    assert [box.output for box in run(map(watched, sources), layout, 2)] == [b"0\n", b"1\n", b"2\n", b"3\n"]
    assert max(sum(running[: n + 1]) for n in range(len(running))) == 2


# ---- Calling ---------------------------------------------------------------------------------------------------------


def call(verifier: CodeVerifier) -> list[str]:
    return outcomes(verifier.verify(CASES))


def test_the_same_verdicts_from_threads_processes_and_an_event_loop() -> None:
    verifier = CodeVerifier(CodeOptions())
    assert call(verifier) == DUE
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(call, [verifier] * 2)) == [DUE] * 2
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(call, verifier).result() == DUE

    async def inside_a_loop() -> list[list[str]]:  # as in a notebook
        there = call(verifier)
        return [there, await asyncio.to_thread(call, verifier)]

    assert asyncio.run(inside_a_loop()) == [DUE] * 2


def test_it_can_be_pickled_and_then_proves_isolation_again() -> None:
    verifier = CodeVerifier(CodeOptions(timeout=3))
    verifier.self_test()
    copy = pickle.loads(pickle.dumps(verifier))
    assert copy.options == verifier.options
    assert copy._layout is None
    assert call(copy) == DUE


def test_a_program_is_run_once_for_the_same_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = CodeVerifier(CodeOptions())
    verifier._layout = working_layout()
    started: list[str] = []
    start = Box.start
    monkeypatch.setattr(Box, "start", lambda box, layout: (started.append(box.module), start(box, layout))[1])
    verdicts = verifier.verify([CASES[2]] * 3 + [CASES[3]])
    assert outcomes(verdicts) == ["right"] * 3 + ["unverifiable"]
    assert started == ["run"]


def test_in_a_process_with_more_than_a_thousand_open_files() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert call(CodeVerifier(CodeOptions())) == DUE
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_its_trial_holds(tmp_path: Path) -> None:
    [component] = saidpo_verifiers()
    assert component.trial is not None
    with component.trial(tmp_path) as trial:
        verdicts = CodeVerifier(CodeOptions()).verify([(problem, text) for problem, text, _ in trial.cases])
        assert outcomes(verdicts) == [due for _, _, due in trial.cases]
        assert {"right", "wrong"} <= {due for _, _, due in trial.cases}


def test_a_wrong_self_test_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    from saidpo_core import SaidpoError
    from saidpo_plugins.verifiers import code

    known = ((code._SORTED, "```python\ndef largest(items): return 9\n```", "wrong"),)
    monkeypatch.setattr(code, "_KNOWN", known)
    with pytest.raises(SaidpoError, match=re.escape("expected wrong, got right")):
        CodeVerifier(CodeOptions()).self_test()


def test_what_was_left_while_a_sandbox_was_set_up_is_ended_and_nothing_else(layout: Layout) -> None:
    """A process that waits at an eventfd, as bubblewrap's child does; one with a parent is no orphan."""
    waiting = "import os, sys; os.read(os.eventfd(0), 8)"
    parent = subprocess.Popen(
        ["sh", "-c", f"{sys.executable} -c '{waiting}' /saidpo/inside & echo $!; wait", "/saidpo/inside"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    held = int(parent.stdout.readline())
    command = f"{sys.executable} -c '{waiting}' /saidpo/inside & echo $!"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        orphan = int(shell.stdout.readline())
        shell.stdout.close()
    try:
        wait_until(lambda: all("eventfd" in _waits_in(pid) for pid in (held, orphan)))
        assert end_orphans() == [orphan]
        assert "eventfd" in _waits_in(held)
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdout.close()


def _waits_in(pid: int) -> str:
    try:
        number, descriptor, *_ = Path(f"/proc/{pid}/syscall").read_text().split()
        return os.readlink(f"/proc/{pid}/fd/{int(descriptor, 16)}") if number in ("0", "63") else ""
    except (OSError, ValueError):
        return ""
