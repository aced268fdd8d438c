"""Worker processes: only the stuck or crashed one dies, limits are kept, nothing survives its parent."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from saidpo_core import SaidpoError
from saidpo_plugins.verifiers.workers.pool import WorkerPool


def make_pool(module: str, name: str, **options: object) -> WorkerPool:
    return WorkerPool(module, name, **{"size": 2, "timeout": 1.0, "memory_mb": 512, **options})  # type: ignore[arg-type]


@pytest.fixture
def sleepers() -> Iterator[WorkerPool]:
    """Requests are seconds to sleep."""
    pool = make_pool("time", "sleep")
    yield pool
    pool.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:  # an orphan may stay a zombie where nothing reaps it
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):  # gone before, or in between
        return False


def wait_until_gone(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_replies_come_in_order() -> None:
    pool = make_pool("math", "sqrt")
    replies = pool.run([9, 16, -1, "x", 25])
    assert [reply.value for reply in replies] == [3, 4, None, None, 5]
    assert replies[2].problem == "ValueError: math domain error"
    assert replies[3].problem.startswith("TypeError: ")
    pool.close()


def test_only_the_stuck_worker_dies_at_its_deadline(sleepers: WorkerPool) -> None:
    sleepers.run([0, 0])
    first = sleepers.pids
    start = time.monotonic()
    replies = sleepers.run([60, *[0.01] * 20])
    assert time.monotonic() - start < 3
    assert [reply.problem for reply in replies] == ["timeout", *[""] * 20]
    assert 0.9 < replies[0].seconds < 2
    assert max(reply.seconds for reply in replies[1:]) < 0.9, "the others did not wait for it"
    assert len(set(first) & set(sleepers.pids)) == 1


def test_successor_of_a_killed_worker_is_there_at_once(sleepers: WorkerPool) -> None:
    sleepers.run([0])
    start = time.monotonic()
    assert [reply.problem for reply in sleepers.run([60, 60, 0, 0])] == ["timeout", "timeout", "", ""]
    assert time.monotonic() - start < 2, "one second for the deadline; no second start of an interpreter"


def test_deadline_holds_while_the_parent_is_busy(sleepers: WorkerPool) -> None:
    with sleepers.session() as session:
        session.submit(60)
        [pid] = sleepers.pids
        time.sleep(1.3)  # what the parent does meanwhile; it does not look at its workers
        assert not alive(pid)
        assert [(reply.problem, reply.seconds) for reply in session.finish()] == [("timeout", 1.0)]


def test_crashed_worker_costs_its_own_request_only(sleepers: WorkerPool) -> None:
    sleepers.start()
    [pid] = sleepers.pids
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    crashed, other = sleepers.run([0.9, 0.1])
    assert (crashed.problem, other.problem) == ("worker crashed", "")
    assert pid not in sleepers.pids


def test_worker_that_died_between_two_calls_is_replaced(sleepers: WorkerPool) -> None:
    sleepers.run([0])
    [pid] = sleepers.pids
    os.kill(pid, signal.SIGKILL)
    assert wait_until_gone([pid], 5)
    assert sleepers.run([0])[0].problem == ""
    assert sleepers.pids != [pid]


def test_killed_nursery_is_replaced(sleepers: WorkerPool) -> None:
    sleepers.run([0, 0])
    old = sleepers.pids
    assert sleepers._nursery is not None
    sleepers._nursery._process.kill()
    assert wait_until_gone(old, 5), "its workers end with it"
    assert [reply.problem for reply in sleepers.run([0, 0, 0])] == ["", "", ""]


def test_memory_limit_is_kept_and_the_worker_replaced() -> None:
    pool = make_pool("builtins", "bytearray", size=1, memory_mb=300, timeout=20.0)
    first, second = pool.run([10**9, 10**9])
    assert (first.problem, second.problem) == ("out of memory", "out of memory")
    pool.close()


def test_worker_that_misjudges_a_known_case_ends_the_run() -> None:
    pool = make_pool("json", "dumps", checks=[([1], "[2]")])
    with pytest.raises(SaidpoError, match=r"judges \[1\] as '\[1\]', not as '\[2\]'"):
        pool.run([[3]])
    assert pool.pids == []


def test_worker_that_cannot_start_ends_the_run() -> None:
    with pytest.raises(SaidpoError, match="no_such_module"):
        make_pool("no_such_module", "f").run([1])


def test_interrupted_call_leaves_no_answer_for_the_next_one(sleepers: WorkerPool) -> None:
    def interrupted() -> None:
        with sleepers.session() as session:
            session.submit(0.2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [reply.problem for reply in sleepers.run([0, 0])] == ["", ""]


def test_pool_in_a_forked_child_has_workers_of_its_own(sleepers: WorkerPool) -> None:
    sleepers.run([0])
    before = sleepers.pids
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        reply = sleepers.run([0])[0].problem or "fine"
        os.write(writer, f"{reply} {sleepers.pids != before}".encode())
        sleepers.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"fine True"
    assert sleepers.pids == before
    assert sleepers.run([0])[0].problem == ""


def test_pickled_pool_starts_workers_of_its_own(sleepers: WorkerPool) -> None:
    sleepers.run([0])
    copy = pickle.loads(pickle.dumps(sleepers))
    assert copy.run([0])[0].problem == ""
    assert copy.pids != sleepers.pids
    copy.close()


def test_close_ends_everything_and_may_be_called_twice() -> None:
    pool = make_pool("time", "sleep")
    pool.run([0, 0])
    assert pool._nursery is not None
    pids = [*pool.pids, pool._nursery._process.pid]
    pool.close()
    pool.close()
    assert wait_until_gone(pids, 5)


SCRIPT = """
from saidpo_plugins.verifiers.workers.pool import WorkerPool
pool = WorkerPool("time", "sleep", size=2, timeout=60.0, memory_mb=512)
pool.run([0, 0])
print(*pool.pids, pool._nursery._process.pid, flush=True)
pool.run([50])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_killed_parent_idle_or_busy(how: signal.Signals) -> None:
    """Also: it works in a script without a main guard."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment) as script:
        assert script.stdout is not None
        pids = [int(pid) for pid in script.stdout.readline().split()]
        assert len(pids) == 3
        time.sleep(0.3)
        assert script.poll() is None
        script.send_signal(how)
    assert wait_until_gone(pids, 5)
