"""What a run leaves for its reader: the report, the state that ``saidpo watch`` shows, and nothing if they fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saidpo_core.run_dir import locked
from saidpo_plugins.watch.reading import look
from saidpo_plugins.watch.status import status_file
from tests.command import FLAGS, FinishedRun, Saidpo

# The report


def test_a_run_that_came_to_its_end_has_a_report_and_says_where(finished: FinishedRun) -> None:
    page = (finished.path / "report.html").read_text()
    assert f"report:  {finished.path}/report.html" in finished.done.stdout
    rounds = json.loads((finished.path / "summary.json").read_text())["rounds"]
    assert f"{100 * rounds[-1]['accuracy_balanced']:.1f}%" in page
    assert "Where was the model weak?" in page


def test_it_can_be_written_again_elsewhere_and_is_the_same(
    finished: FinishedRun, saidpo: Saidpo, tmp_path: Path
) -> None:
    done = saidpo("report", str(finished.path), "--out", "mine.html", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine.html\n", "")
    assert (tmp_path / "mine.html").read_bytes() == (finished.path / "report.html").read_bytes()


def test_a_folder_without_a_run_and_a_place_that_cannot_be_written_are_named(
    finished: FinishedRun, saidpo: Saidpo, tmp_path: Path
) -> None:
    done = saidpo("report", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"saidpo: {tmp_path} is neither a run nor a study of saidpo: there is no {tmp_path}/summary.json and no "
        f"{tmp_path}/study.json\n"
    )
    done = saidpo("report", str(finished.path), "--out", "missing/mine.html", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "saidpo: --out=missing/mine.html: there is no folder missing; make it, or choose another place\n"
    )
    (tmp_path / "folder").mkdir()
    done = saidpo("report", str(finished.path), "--out", "folder", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "saidpo: --out=folder is a folder; name a file, such as --out=folder/report.html\n"


@pytest.mark.slow
def test_a_report_that_fails_is_a_warning_and_no_end_of_the_run(
    finished: FinishedRun, saidpo: Saidpo, tmp_path: Path
) -> None:
    """Plotly is hidden from it, as if it had been taken away."""
    (tmp_path / "plotly").mkdir()
    (tmp_path / "plotly/__init__.py").write_text("raise ImportError('taken away')\n")
    done = saidpo(*FLAGS, "--rounds=1", f"--run-dir={tmp_path}/run", cwd=tmp_path, path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "observer saidpo" in done.stderr
    assert "failed in saidpo_after_run and is ignored there: ImportError('taken away')" in done.stderr
    assert not (tmp_path / "run/report.html").exists()


def test_warnings_of_a_round_are_on_the_screen_and_in_the_record(finished: FinishedRun) -> None:
    """24 probed problems are far too few for its clusters."""
    record = json.loads((finished.path / "summary.json").read_text())
    warning = next(item for item in record["findings"] if item["name"] == "noisy-probe")
    assert f"warning noisy-probe: {warning['message']}" in finished.done.stdout.replace("\n", " ").replace("  ", " ")
    assert "--probe-min, now 24" in warning["advice"]


# saidpo watch


def test_a_finished_run_is_seen_as_such(finished: FinishedRun, saidpo: Saidpo, tmp_path: Path) -> None:
    done = saidpo("watch", str(finished.path), cwd=tmp_path)
    assert done.returncode == 0
    assert f"{finished.path}  finished: 2 rounds" in done.stdout
    assert "warning noisy-probe" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_run_that_has_not_started_is_seen_as_such(saidpo: Saidpo, tmp_path: Path) -> None:
    done = saidpo("watch", "--once", "nowhere", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout == "nowhere  not started: waiting for a run of saidpo here\n"


def started(path: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SAIDPO_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "saidpo_core.cli", *FLAGS, "--rounds=50", f"--run-dir={path}"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_run_is_followed_while_it_goes_on_and_its_death_is_noticed(saidpo: Saidpo, tmp_path: Path) -> None:
    path = tmp_path / "run"
    process = started(path, tmp_path)
    seen: list[str] = []
    try:
        deadline = time.monotonic() + 200
        while "train" not in seen:  # by then a round has been probed and explored
            assert process.poll() is None
            assert time.monotonic() < deadline, seen
            state = look(path)
            assert state.state in ("not started", "running")
            seen += [state.status["stage"]] if state.status.get("stage") not in (*seen, None) else []
            time.sleep(0.05)
        shown = saidpo("watch", "--once", str(path), cwd=tmp_path)
        assert shown.returncode == 0
        assert "running" in shown.stdout
        assert "round 1 of 50" in shown.stdout or "round 2 of 50" in shown.stdout
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        process.kill()
        process.wait()
    assert {"evaluate", "explore", "train"} <= set(seen)
    time.sleep(2.1)  # what it said last has to be old
    shown = saidpo("watch", "--once", str(path), cwd=tmp_path)
    assert shown.returncode == 1
    assert "killed in round" in shown.stdout
    assert "the same command goes on where it was" in shown.stdout


@pytest.mark.slow
def test_a_run_that_failed_says_why(saidpo: Saidpo, tmp_path: Path) -> None:
    """Nothing can be judged where every response is cut off."""
    done = saidpo(*FLAGS, "--generator.max_new_tokens=2", f"--run-dir={tmp_path}/run", cwd=tmp_path)
    assert done.returncode == 1
    shown = saidpo("watch", "--once", f"{tmp_path}/run", cwd=tmp_path)
    assert shown.returncode == 1
    assert "failed: SaidpoError: none of the" in shown.stdout


def test_whoever_looks_does_not_keep_a_run_from_starting(finished: FinishedRun, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    record = json.loads((tmp_path / "run/summary.json").read_text())
    (tmp_path / "run/summary.json").write_text(json.dumps({**record, "finished": False}))
    status_file(tmp_path / "run").unlink()
    looker = (
        "import sys, time; from pathlib import Path; from saidpo_plugins.watch.reading import look\n"
        "print('looking', flush=True)\n"
        "while True: look(Path(sys.argv[1]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", looker, str(tmp_path / "run")], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(20):
            with locked(tmp_path / "run"):
                assert look(tmp_path / "run").state == "running"
        assert look(tmp_path / "run").state == "killed"
    finally:
        process.kill()
        process.wait()
