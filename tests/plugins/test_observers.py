"""TensorBoard and W&B: what a run tells them is what is found in their files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saidpo_core.events import Observers, StageEvent
from saidpo_core.registry import load_registry
from saidpo_plugins.observers.numbers import numbers_of
from saidpo_plugins.observers.tensorboard import TensorBoard, TensorBoardOptions
from saidpo_plugins.observers.wandb import Wandb, WandbOptions
from tests.report.made_up import MadeUp


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return MadeUp(rounds=2).write(tmp_path_factory.mktemp("made-up") / "run")


def tell(observer: object, run_dir: Path, record: dict[str, Any], rounds: int, *, end: bool = True) -> None:
    """What a run of so many rounds tells its observers."""
    hub = Observers(load_registry([]).manager)
    hub.add(observer, "observer")
    hub.before(StageEvent(run_dir=run_dir, round=0, stage="pool"))
    for row in record["rounds"][: rounds + 1]:
        hub.after_round(row, {**record, "rounds": record["rounds"][: row["round"] + 1]})
    if end:
        hub.after_run(run_dir, record, "")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_numbers_are_those_of_the_record(record: dict[str, Any]) -> None:
    row = record["rounds"][1]
    found = numbers_of(row, record)
    assert found["accuracy/balanced"] == row["accuracy_balanced"]
    assert found["cost/tokens_so_far"] == row["tokens"]
    assert found["draw/usable"] == row["usable"] / row["explored"]
    counts = record["clusters"][3]["rounds"][0]
    assert found["pass_rate/003 " + record["clusters"][3]["name"]] == counts["right"] / counts["counted"]
    assert all(isinstance(value, float) and value == value for value in found.values())
    assert "draw/yield" not in numbers_of(record["rounds"][0], record)


@pytest.mark.slow
def test_tensorboard_files_hold_every_round_once_also_after_a_kill(tmp_path: Path, record: dict[str, Any]) -> None:
    pytest.importorskip("tensorboard")
    tell(TensorBoard(TensorBoardOptions()), tmp_path, record, 1, end=False)  # then it was killed
    tell(TensorBoard(TensorBoardOptions()), tmp_path, record, 2)
    found = scalars(tmp_path / "observers/tensorboard")
    rows = record["rounds"]
    steps, values = zip(*found["accuracy/balanced"], strict=True)
    assert steps == (0, 1, 2)
    assert values == pytest.approx([row["accuracy_balanced"] for row in rows])
    assert [step for step, _ in found["draw/yield"]] == [1, 2]
    assert len([name for name in found if name.startswith("pass_rate/")]) == len(record["clusters"])


@pytest.mark.slow
def test_tensorboard_leaves_the_files_of_others_alone(tmp_path: Path, record: dict[str, Any]) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "events.out.tfevents.1.other").write_bytes(b"")
    tell(TensorBoard(TensorBoardOptions(dir=tmp_path)), tmp_path / "run", record, 1)
    assert (tmp_path / "events.out.tfevents.1.other").exists()
    assert len(list(tmp_path.glob("events.out.tfevents.*.saidpo"))) == 1
    assert not (tmp_path / "run").exists()


def log_records(data: bytes) -> Iterator[bytes]:
    """What a file of W&B holds: LevelDB's log format behind a head of 7 bytes, blocks of 32 KiB."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # too little for a head: the rest of the block is padding
            place += 32768 - place % 32768
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


@pytest.mark.slow
def test_wandb_keeps_numbers_and_settings_offline_and_no_text(tmp_path: Path, record: dict[str, Any]) -> None:
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    tell(Wandb(WandbOptions(mode="offline")), tmp_path, record, 2)
    (file,) = (tmp_path / "observers/wandb/wandb").glob("offline-run-*/run-*.wandb")
    history: list[dict[str, Any]] = []
    config: dict[str, Any] = {}
    for data in log_records(file.read_bytes()):
        item = wandb_internal_pb2.Record()
        item.ParseFromString(data)
        for update in item.run.config.update:
            config[update.key or ".".join(update.nested_key)] = json.loads(update.value_json)
        if item.WhichOneof("record_type") == "history":
            history.append({".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in item.history.item})
    accuracy = [row["accuracy/balanced"] for row in history if "accuracy/balanced" in row]
    assert accuracy == pytest.approx([row["accuracy_balanced"] for row in record["rounds"]])
    assert config["rounds"] == record["settings"]["rounds"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "observers/wandb").rglob("*") if path.is_file())
    assert b"What is 7 + 7" not in written


@pytest.mark.slow
def test_wandb_without_a_key_is_a_warning_and_nothing_waits(
    tmp_path: Path, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    tell(Wandb(WandbOptions()), tmp_path / "run", record, 1)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("saidpo:")]
    assert "no API key of Weights & Biases: wandb login, or --observers.wandb.mode=offline" in line
