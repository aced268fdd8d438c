"""A run that a study started: ``saidpo`` in a process that ends when the study does, in whatever way that ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_LOOK_SECONDS = 0.5


def end_with(parent: int) -> None:
    """Kill this process once it is no child of ``parent`` any more. A killed run goes on where it was."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


if __name__ == "__main__":
    end_with(int(sys.argv.pop(1)))
    from saidpo_core.cli.entry import main

    main()
