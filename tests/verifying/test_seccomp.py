"""The filter, run by an interpreter of classic BPF, for both machines; the kernel's own is asked in test_programs."""

from __future__ import annotations

import errno
import struct

import pytest

from saidpo_plugins.verifiers.sandbox.seccomp import filter_program

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
X86_64, AARCH64 = 0xC000003E, 0xC00000B7
MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}
CALLS = {  # x86_64, aarch64
    "read": (0, 63),
    "execve": (59, 221),
    "ptrace": (101, 117),
    "mount": (165, 40),
    "unshare": (272, 97),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "clone3": (435, 435),
}


def run(program: bytes, arch: int, number: int, argument: int = 0) -> int:
    data = struct.pack("<IIQ6Q", number, arch, 0, argument, 0, 0, 0, 0, 0)
    lines = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        code, if_true, if_false, operand = lines[at]
        at += 1
        if code == 0x20:
            [value] = struct.unpack_from("<I", data, operand)
        elif code == 0x06:
            return int(operand)
        else:
            yes = {0x15: value == operand, 0x25: value > operand, 0x45: bool(value & operand)}[code]
            at += if_true if yes else if_false


@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_what_the_filter_says(machine: str, column: int) -> None:
    program, arch = filter_program(machine), MACHINES[machine]

    def says(name: str, argument: int = 0) -> int:
        return run(program, arch, CALLS[name][column], argument)

    assert says("read") == says("execve") == ALLOW
    for name in ("ptrace", "mount", "unshare", "bpf", "keyctl", "io_uring_setup"):
        assert says(name) == EPERM
    assert says("clone3") == ENOSYS


@pytest.mark.parametrize(("machine", "clone"), [("x86_64", 56), ("aarch64", 220)])
def test_new_processes_and_threads_but_no_new_namespaces(machine: str, clone: int) -> None:
    program, arch = filter_program(machine), MACHINES[machine]
    assert run(program, arch, clone, 17) == ALLOW  # fork: SIGCHLD
    assert run(program, arch, clone, 0x3D0F00) == ALLOW  # pthread_create
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(program, arch, clone, flag | 17) == EPERM
        assert run(program, arch, clone, flag | 17 | 1 << 40) == EPERM


@pytest.mark.parametrize(("machine", "socket", "socketpair"), [("x86_64", 41, 53), ("aarch64", 198, 199)])
def test_sockets_within_the_sandbox_only(machine: str, socket: int, socketpair: int) -> None:
    program, arch = filter_program(machine), MACHINES[machine]
    for number in (socket, socketpair):
        assert run(program, arch, number, 1) == ALLOW
        for family in (0, 2, 10, 16, 17, 38, 40):  # inet, inet6, netlink, packet, alg, vsock
            assert run(program, arch, number, family) == EPERM


def test_other_architectures_and_calls_that_came_later() -> None:
    for machine, arch in MACHINES.items():
        program = filter_program(machine)
        for other in {0x40000003, 0xC000003E, 0xC00000B7, 0x40000028} - {arch}:
            assert run(program, other, 0) == KILL
        assert run(program, arch, 457) == ENOSYS
        assert run(program, arch, 2**30 + 1) == ENOSYS  # the x32 write
        assert run(program, arch, 456) == ALLOW
