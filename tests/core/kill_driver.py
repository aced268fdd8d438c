"""Runs ``saidpo`` once to the end, and again in another folder where it is killed over and over.

    python kill_driver.py REFERENCE_DIR KILLED_DIR MOMENTS FLAGS...

Every kill is a real SIGKILL of a real process: a child, forked so that torch is imported once, that kills itself at a
chosen moment. The moments are: in the middle of each stage of a round that reports progress, and between the writing of
a stage and its renaming; of these, those that match MOMENTS, a regular expression. Prints one line a kill.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pluggy

from saidpo_core import run_dir
from saidpo_core.cli.entry import cli
from saidpo_core.events import StageEvent

hookimpl = pluggy.HookimplMarker("saidpo")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """An observer that ends its process at a moment that has not been survived yet."""

    def __init__(self, moments: str, survived: set[str]) -> None:
        self.moments = re.compile(moments)
        self.survived = survived

    def maybe(self, moment: str) -> None:
        if moment not in self.survived and self.moments.search(moment):
            os.write(self.pipe, moment.encode())
            die()

    pipe = -1

    @hookimpl
    def saidpo_stage_progress(self, event: StageEvent, done: int, total: int) -> None:
        if event.round and done < total:
            self.maybe(f"amid {event.round} {event.stage}")


def child(arguments: list[str], killer: Killer | None) -> Callable[[], None]:
    def work() -> None:
        import saidpo_core.events as events

        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        if killer is not None:
            plain = events.Observers.__init__

            def with_killer(self: events.Observers, manager: pluggy.PluginManager) -> None:
                plain(self, manager)
                self.add(killer, "killer")

            events.Observers.__init__ = with_killer  # type: ignore[method-assign]
            rename = os.rename

            def rename_or_die(source: Path, target: Path) -> None:
                if Path(source).suffix == ".partial":
                    killer.maybe(f"renaming {Path(target).parent.name} {Path(target).name}")
                rename(source, target)

            run_dir.os.rename = rename_or_die  # type: ignore[attr-defined]
        cli.main(arguments, prog_name="saidpo", standalone_mode=False)

    return work


def run_child(work: Callable[[], None], killer: Killer | None) -> tuple[int, str]:
    """(wait status, the moment at which it was killed)"""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if killer is not None:
                killer.pipe = writable
            work()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    os.close(writable)
    _, status = os.waitpid(pid, 0)
    moment = os.read(readable, 1000).decode()
    os.close(readable)
    return status, moment


def main() -> None:
    reference, killed, moments, *flags = sys.argv[1:]
    flags.append("--generator.chunk=8")  # several chunks in a small run
    import sklearn.cluster  # noqa: F401
    import torch
    import trl.trainer.dpo_trainer  # noqa: F401

    torch.set_num_threads(1)
    status, _ = run_child(child(["run", "--run-dir", reference, *flags], None), None)
    if status != 0:
        sys.exit("the reference run failed")
    survived: set[str] = set()
    for _ in range(200):
        killer = Killer(moments, survived)
        status, moment = run_child(child(["run", "--run-dir", killed, *flags], killer), killer)
        if status == 0:
            return
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"not killed, but failed: {status}")
        print("killed", moment, flush=True)
        survived.add(moment)
    sys.exit("never came to an end")


if __name__ == "__main__":
    main()
