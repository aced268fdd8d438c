"""The run directory: stages are whole or not there, made once, and noticed when they were changed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from saidpo_core import SaidpoError, UsageError
from saidpo_core.components import Progress
from saidpo_core.events import Observers, StageEvent
from saidpo_core.hookspecs import hookimpl
from saidpo_core.registry import load_registry
from saidpo_core.run_dir import RunDir, disk_errors, locked, write_atomically


def open_run(path: Path) -> RunDir:
    """As a new process would open it."""
    return RunDir(path, Observers(load_registry([]).manager))


def writes(text: str) -> Callable[[Path, Progress], None]:
    def make(folder: Path, progress: Progress) -> None:
        (folder / "data.txt").write_text(text)

    return make


def fails(folder: Path, progress: Progress) -> None:
    (folder / "half.txt").write_text("half")
    raise SaidpoError("no more")


def unwanted(folder: Path, progress: Progress) -> None:
    raise AssertionError("this stage was made already")


def text_in(folder: Path) -> str:
    return (folder / "data.txt").read_text()


def make_two(path: Path) -> None:
    run = open_run(path)
    run.keep(0, "01-pool", writes("pool"), text_in)
    run.keep(1, "01-probe", writes("probe"), text_in)


def everything_in(path: Path) -> set[str]:
    return {str(item.relative_to(path)) for item in path.rglob("*") if item.is_file()}


# Made once


def test_a_stage_is_made_once_and_read_back_later(tmp_path: Path) -> None:
    make_two(tmp_path)
    again = open_run(tmp_path)
    assert again.keep(0, "01-pool", unwanted, text_in) == "pool"
    assert again.keep(1, "01-probe", unwanted, text_in) == "probe"
    assert again.made == 0
    assert [timing["reused"] for timing in again.timings] == [True, True]
    files = {
        f"{stage}/{name}" for stage in ("start/01-pool", "round-1/01-probe") for name in ("data.txt", "stage.json")
    }
    assert everything_in(tmp_path) == files


def test_a_stage_that_fails_leaves_nothing_and_is_made_by_the_next_call(tmp_path: Path) -> None:
    with pytest.raises(SaidpoError, match="no more"):
        open_run(tmp_path).keep(1, "01-probe", fails, text_in)
    assert everything_in(tmp_path) == set()
    assert open_run(tmp_path).keep(1, "01-probe", writes("probe"), text_in) == "probe"


def test_what_a_stage_that_goes_on_has_made_before_it_failed_is_found_again(tmp_path: Path) -> None:
    def goes_on(folder: Path, progress: Progress) -> None:
        assert (folder / "half.txt").read_text() == "half"
        (folder / "data.txt").write_text("whole")

    with pytest.raises(SaidpoError):
        open_run(tmp_path).keep(1, "01-probe", fails, text_in, goes_on=True)
    assert open_run(tmp_path).keep(1, "01-probe", goes_on, text_in, goes_on=True) == "whole"
    assert everything_in(tmp_path / "round-1") == {"01-probe/data.txt", "01-probe/half.txt", "01-probe/stage.json"}


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_a_killed_process_left_is_wiped_unless_it_goes_on_from_the_same_data(
    tmp_path: Path, goes_on: bool
) -> None:
    def from_nothing(folder: Path, progress: Progress) -> None:
        assert not (folder / "half.txt").exists()
        writes("made")(folder, progress)

    partial = tmp_path / "round-1" / "01-probe.partial"
    partial.mkdir(parents=True)
    (partial / "half.txt").write_text("half")
    (partial / ".after").write_text("the chain of other data")
    assert open_run(tmp_path).keep(1, "01-probe", from_nothing, text_in, goes_on=goes_on) == "made"
    assert not partial.exists()


def test_equal_data_give_equal_chains_whatever_the_times(tmp_path: Path) -> None:
    def timed(seconds: str) -> Callable[[Path, Progress], None]:
        def make(folder: Path, progress: Progress) -> None:
            writes("data")(folder, progress)
            (folder / "timing-0.jsonl").write_text(seconds)

        return make

    chains = []
    for name, seconds, data in (("a", "[1]", "next"), ("b", "[2]", "next"), ("c", "[2]", "other")):
        run = open_run(tmp_path / name)
        run.keep(1, "01-probe", timed(seconds), text_in)
        run.keep(1, "02-weigh", writes(data), text_in)
        chains.append(run._chain)
    assert chains[0] == chains[1] != chains[2]


# Changed since


def test_a_changed_file_is_named_and_refused(tmp_path: Path) -> None:
    make_two(tmp_path)
    (tmp_path / "start/01-pool/data.txt").write_text("POOL")
    with pytest.raises(
        SaidpoError, match=r"start/01-pool/data\.txt was changed since it was written; remove .*01-pool"
    ):
        open_run(tmp_path).keep(0, "01-pool", unwanted, text_in)
    assert text_in(tmp_path / "start/01-pool") == "POOL"


def test_a_missing_file_is_named_and_refused(tmp_path: Path) -> None:
    make_two(tmp_path)
    (tmp_path / "start/01-pool/data.txt").unlink()
    with pytest.raises(SaidpoError, match=r"start/01-pool/data\.txt is missing; remove"):
        open_run(tmp_path).keep(0, "01-pool", unwanted, text_in)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"files": {}}'])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    make_two(tmp_path)
    manifest = tmp_path / "start/01-pool/stage.json"
    manifest.unlink() if content is None else manifest.write_text(content)
    with pytest.raises(SaidpoError, match=r"start/01-pool/stage\.json cannot be read"):
        open_run(tmp_path).keep(0, "01-pool", unwanted, text_in)


def test_a_stage_made_from_other_data_is_refused(tmp_path: Path) -> None:
    make_two(tmp_path)
    make = open_run(tmp_path / "other")
    make.keep(0, "01-pool", writes("another pool"), text_in)
    os.rename(tmp_path / "round-1", tmp_path / "other" / "round-1")
    again = open_run(tmp_path / "other")
    again.keep(0, "01-pool", unwanted, text_in)
    with pytest.raises(SaidpoError, match="round-1/01-probe was made from other data than the stages before it"):
        again.keep(1, "01-probe", unwanted, text_in)


# One process at a time


def test_a_run_that_another_process_holds_is_refused_until_that_process_ends(tmp_path: Path) -> None:
    source = f"""
        import sys
        from pathlib import Path
        from saidpo_core.run_dir import locked
        with locked(Path({str(tmp_path)!r})):
            print("held", flush=True)
            sys.stdin.read()
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="another saidpo process is running here"), locked(tmp_path):
            pass
        holder.kill()  # SIGKILL: nothing is cleaned up, and the lock is free all the same
    with locked(tmp_path):
        pass


# Errors of the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, of which 200 KiB are taken by a file called ballast."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a small disk")
    try:
        (disk / "ballast").write_bytes(bytes(200 * 1024))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def with_python(folder: Path, progress: Progress) -> None:
    (folder / "data.txt").write_text("x" * 100_000)


def with_safetensors(folder: Path, progress: Progress) -> None:
    """Its errors are not ``OSError``; they say what happened in their text."""
    save_file({"x": np.zeros(12_500)}, folder / "x.safetensors")
    writes("x")(folder, progress)


@pytest.mark.parametrize("make", [with_python, with_safetensors])
def test_on_a_full_disk_the_place_is_named_and_once_there_is_space_the_same_call_goes_on(
    small_disk: Path, make: Callable[[Path, Progress], None]
) -> None:
    run = open_run(small_disk / "run")
    run.keep(0, "01-pool", writes("pool"), text_in)
    with pytest.raises(
        SaidpoError, match=r"no space left while writing .*/disk/run/start/02-tag.*give the same command"
    ):
        run.keep(0, "02-tag", make, text_in)
    assert everything_in(small_disk) == {"ballast", "run/start/01-pool/data.txt", "run/start/01-pool/stage.json"}
    (small_disk / "ballast").unlink()
    again = open_run(small_disk / "run")
    again.keep(0, "01-pool", unwanted, text_in)
    assert again.keep(0, "02-tag", make, text_in)


def test_on_a_full_disk_the_finished_chunks_of_a_stage_that_goes_on_are_kept(small_disk: Path) -> None:
    made: list[int] = []

    def chunks(folder: Path, progress: Progress) -> None:
        for number in range(5):
            path = folder / f"chunk-{number}.txt"
            if not path.exists():
                write_atomically(path, "x" * 20_000)
                made.append(number)
        (folder / "data.txt").write_text("done")

    with pytest.raises(SaidpoError, match="no space left"):
        open_run(small_disk / "run").keep(1, "01-probe", chunks, text_in, goes_on=True)
    before = list(made)
    assert 0 < len(before) < 5
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "ballast").unlink()
    assert open_run(small_disk / "run").keep(1, "01-probe", chunks, text_in, goes_on=True) == "done"
    assert made == [0, 1, 2, 3, 4]


def test_when_only_the_manifest_did_not_fit_nothing_that_was_made_is_lost(small_disk: Path) -> None:
    calls: list[str] = []

    def fills_the_disk(folder: Path, progress: Progress) -> None:
        if not (folder / "data.txt").exists():
            calls.append("made")
            (folder / "data.txt").write_text("data")
            with suppress(OSError), (small_disk / "more").open("wb") as file:
                while True:
                    file.write(bytes(4096))
                    file.flush()

    with pytest.raises(SaidpoError, match="no space left"):
        open_run(small_disk / "run").keep(1, "01-probe", fills_the_disk, text_in, goes_on=True)
    (small_disk / "more").unlink()
    assert open_run(small_disk / "run").keep(1, "01-probe", fills_the_disk, text_in, goes_on=True) == "data"
    assert calls == ["made"]


def test_at_the_limit_of_the_file_size_the_same_holds_without_root(tmp_path: Path) -> None:
    source = """
        import resource, sys
        from pathlib import Path
        from saidpo_core import SaidpoError
        from tests.core.test_run_dir import open_run, with_python, with_safetensors, text_in
        path = Path(sys.argv[1])
        for name, make in (("01-python", with_python), ("02-safetensors", with_safetensors)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
            try:
                open_run(path / name).keep(0, name, make, text_in)
            except SaidpoError as error:
                print(error)
            print([str(item) for item in path.rglob("*") if item.is_file() and name in str(item)])
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(bool(open_run(path / name).keep(0, name, make, text_in)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), str(tmp_path)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6, lines
    for said, left, again in (lines[:3], lines[3:]):
        assert said.startswith(f"no space left while writing {tmp_path}")
        assert (left, again) == ("[]", "True")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"file.* cannot be written \(.*\); choose another place"), locked(path):
            pass


def test_other_errors_are_not_taken_for_the_disks() -> None:
    for error in (FileNotFoundError(2, "No such file"), ConnectionError("refused"), KeyError("k")):
        with pytest.raises(type(error)), disk_errors(Path("here")):
            raise error


def test_a_file_is_replaced_whole_or_not_at_all(small_disk: Path) -> None:
    path = small_disk / "summary.json"
    write_atomically(path, "old")
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "x" * 100_000)
    assert path.read_text() == "old"
    assert everything_in(small_disk) == {"ballast", "summary.json"}


def test_processes_that_share_a_file_do_not_meet_in_a_temporary_one(tmp_path: Path) -> None:
    path, contents = tmp_path / "vectors.npy", [f"{i}" * 50_000 for i in range(8)]
    with ThreadPoolExecutor(8) as writers:
        for _ in range(5):
            list(writers.map(lambda content: write_atomically(path, content, shared=True), contents))
            assert path.read_text() in contents
    assert everything_in(tmp_path) == {"vectors.npy"}


@pytest.mark.parametrize("error", [ValueError("no screen"), SystemExit(0)])
def test_an_observer_that_fails_or_exits_is_named_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    class Failing:
        @hookimpl
        def saidpo_before_stage(self, event: StageEvent) -> None:
            raise error

    hub = Observers(load_registry([]).manager)
    hub.add(Failing(), "bad-neighbour 1.0 (bad)")
    run = RunDir(tmp_path, hub)
    for stage in ("01-probe", "02-weigh"):
        assert run.keep(1, stage, writes("one"), text_in) == "one"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saidpo: observer bad-neighbour 1.0 (bad) failed in saidpo_before_stage and is ignored")
