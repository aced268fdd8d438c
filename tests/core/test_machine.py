"""Machines: those that are named, and this one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import UsageError
from saidpo_core.planning.machine import accelerators, cpu_speed, data_sheets, named_machine, this_machine


@given(st.integers(1, 512), st.integers(1, 200), st.sampled_from(["GB", "gb", " GiB"]))
def test_devices_and_memory_are_what_was_said(count: int, size: int, unit: str) -> None:
    machine = named_machine(f"{count}x{size}{unit}", "--plan-for")
    assert machine.devices == count
    assert machine.memory == size * (1e9 if "i" not in unit.lower() else 2**30)
    assert (machine.flops is None) == (machine.bandwidth is None)


def test_every_known_card_can_be_named() -> None:
    for row in data_sheets():
        machine = named_machine(f"4x{row['name'].lower()}", "--plan-for")
        assert (machine.devices, machine.memory) == (4, row["memory"] * 1e9)
        assert "not measured" in machine.source


def test_a_size_alone_is_given_the_speed_of_the_slowest_card_of_that_size() -> None:
    assert named_machine("24GB", "x").bandwidth == named_machine("RTX3090", "x").bandwidth
    assert "RTX3090" in named_machine("24GB", "x").source
    assert named_machine("8x17GB", "x").flops is None


@pytest.mark.parametrize("wrong", ["", "0x80GB", "x", "8x", "-1x80GB", "8xH1000", "0GB", "80"])
def test_what_is_no_machine_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="--plan-for: expected devices and memory"):
        named_machine(wrong, "--plan-for")


def test_cards_are_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho '0, GPU-a, NVIDIA L40S, 46068, 8.9, 570.1'\necho '1, GPU-b, NVIDIA L4, 23034, 8.9, 570.1'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine = this_machine()
    assert (machine.devices, machine.memory, machine.device) == (2, 23034 * 2**20, "NVIDIA L4")
    assert machine.flops == named_machine("L4", "x").flops
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert [card.name for card in accelerators()] == ["NVIDIA L40S"]
    assert this_machine().flops == named_machine("L40S", "x").flops
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert this_machine().is_cpu


def test_the_speed_of_the_processor_is_measured() -> None:
    flops, bandwidth = cpu_speed()
    assert 1e8 < flops < 1e14
    assert 1e8 < bandwidth < 1e13
