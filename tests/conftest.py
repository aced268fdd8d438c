"""For all tests: one thread a process, since two of them share the cores (``-n 2``, a file of tests to each)."""

from __future__ import annotations

import os
from contextlib import suppress

from tests.command import finished as finished  # fixtures: here they are made once a process, not once a file
from tests.command import saidpo as saidpo

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

with suppress(ImportError):  # it is not in the environment with vLLM
    from hypothesis import settings

    settings.register_profile("saidpo", deadline=None)  # how long an example takes is the machine's affair
    settings.load_profile("saidpo")
