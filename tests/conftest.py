"""For all tests: one thread a process, and which tests may run side by side (``pytest -n 2``)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; two processes share two cores

SANDBOXED = {
    "test_sandbox.py",
    "test_programs.py",
    "test_code_pool.py",
    "test_code_domain.py",
    "test_seccomp.py",
    "test_conformance.py",
}
"""They look for processes that are left over on the machine, so no two of them at a time."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests go to one process, so what they share is made once."""
    for item in items:
        name = Path(item.path).name
        item.add_marker(pytest.mark.xdist_group("sandboxes" if name in SANDBOXED else str(item.path)))
