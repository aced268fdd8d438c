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


def spin(seconds: float) -> None:
    """Use so much processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.fixture
def spinners() -> Iterator[WorkerPool]:
    """Requests are seconds of processor time."""
    pool = make_pool("tests.plugins.test_workers", "spin")
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


def test_only_the_stuck_worker_dies_at_its_deadline(spinners: WorkerPool) -> None:
    spinners.run([0, 0])
    first = spinners.pids
    start = time.monotonic()
    replies = spinners.run([60, *[0.01] * 20])
    assert time.monotonic() - start < 15
    assert [reply.problem for reply in replies] == ["timeout", *[""] * 20]
    assert replies[0].seconds == 1.0
    assert max(reply.seconds for reply in replies[1:]) < 1, "the others did not wait for it"
    assert len(set(first) & set(spinners.pids)) == 1


def test_successor_of_a_killed_worker_is_there_at_once(spinners: WorkerPool) -> None:
    spinners.run([0])
    nursery = spinners._nursery
    assert [reply.problem for reply in spinners.run([60, 60, 0, 0])] == ["timeout", "timeout", "", ""]
    assert spinners._nursery is nursery, "no second start of an interpreter"


def test_deadline_holds_while_the_parent_is_busy(spinners: WorkerPool) -> None:
    with spinners.session() as session:
        session.submit(60)
        [pid] = spinners.pids
        assert wait_until_gone([pid], 10), "the parent does not look at its workers"
        assert [(reply.problem, reply.seconds) for reply in session.finish()] == [("timeout", 1.0)]


def test_a_busy_machine_decides_no_verdict() -> None:
    """What a worker waits for does not count, up to five times its seconds."""
    pool = make_pool("time", "sleep", size=1, timeout=0.5)
    assert pool.run([1.0])[0].problem == ""
    start = time.monotonic()
    assert pool.run([60])[0].problem == "timeout"
    assert 2.4 < time.monotonic() - start < 5
    pool.close()


def test_crashed_worker_costs_its_own_request_only(spinners: WorkerPool) -> None:
    spinners.start()
    [pid] = spinners.pids
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    crashed, other = spinners.run([0.9, 0.1])
    assert (crashed.problem, other.problem) == ("worker crashed", "")
    assert pid not in spinners.pids


def test_worker_that_died_between_two_calls_is_replaced(spinners: WorkerPool) -> None:
    spinners.run([0])
    [pid] = spinners.pids
    os.kill(pid, signal.SIGKILL)
    assert wait_until_gone([pid], 5)
    assert spinners.run([0])[0].problem == ""
    assert spinners.pids != [pid]


def test_killed_nursery_is_replaced(spinners: WorkerPool) -> None:
    spinners.run([0, 0])
    old = spinners.pids
    assert spinners._nursery is not None
    spinners._nursery._process.kill()
    assert wait_until_gone(old, 5), "its workers end with it"
    assert [reply.problem for reply in spinners.run([0, 0, 0])] == ["", "", ""]


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


def test_interrupted_call_leaves_no_answer_for_the_next_one(spinners: WorkerPool) -> None:
    def interrupted() -> None:
        with spinners.session() as session:
            session.submit(0.2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [reply.problem for reply in spinners.run([0, 0])] == ["", ""]


def test_pool_in_a_forked_child_has_workers_of_its_own(spinners: WorkerPool) -> None:
    spinners.run([0])
    before = spinners.pids
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        reply = spinners.run([0])[0].problem or "fine"
        os.write(writer, f"{reply} {spinners.pids != before}".encode())
        spinners.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"fine True"
    assert spinners.pids == before
    assert spinners.run([0])[0].problem == ""


def test_pickled_pool_starts_workers_of_its_own(spinners: WorkerPool) -> None:
    spinners.run([0])
    copy = pickle.loads(pickle.dumps(spinners))
    assert copy.run([0])[0].problem == ""
    assert copy.pids != spinners.pids
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
