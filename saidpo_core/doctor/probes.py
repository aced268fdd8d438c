"""Questions that only another process may be asked: a broken package must not break the doctor, nor keep it waiting.

Each answers with one line of JSON. They run beside each other, one a core, until a common deadline.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from saidpo_core.planning.machine import cores

_IMPORT = """
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
facts = {}
if sys.argv[1] == "torch":
    build, cuda = module.version.cuda, module.cuda
    facts = {"cuda_build": build, "cuda_available": cuda.is_available(), "cuda_devices": cuda.device_count()}
print(json.dumps(facts))
"""
_DIAGNOSE = """
import json, sys
from saidpo_core.doctor.probes import diagnose
print(json.dumps(diagnose(*sys.argv[1:])))
"""


@dataclass(frozen=True)
class Answer:
    """``facts`` if it answered, else ``problem``; neither if it was not done in time."""

    facts: Mapping[str, Any] | None = None
    problem: str = ""


@contextmanager
def asked(modules: list[str], components: list[tuple[str, str]], deadline: float) -> Iterator[dict[str, Any]]:
    """Starts to import ``modules`` and to diagnose ``components`` (kind, qualified name), each in its own process.

    The dictionary that it hands over has the futures of the answers, by module and by ``kind/name``; all are there
    when it ends, ``deadline`` (of ``time.monotonic``) at the latest.
    """
    diagnoses: dict[str, tuple[str, ...]] = {f"{kind}/{name}": (_DIAGNOSE, kind, name) for kind, name in components}
    imports: dict[str, tuple[str, ...]] = {module: (_IMPORT, module) for module in modules}
    first = dict.fromkeys(modules[:1])  # torch: what the default run needs most
    questions = {**{name: imports[name] for name in first}, **diagnoses, **imports}
    with ThreadPoolExecutor(max(2, cores())) as pool:
        yield {name: pool.submit(_ask, deadline, *question) for name, question in questions.items()}


def _ask(deadline: float, code: str, *arguments: str) -> Answer:
    left = deadline - time.monotonic()
    if left <= 0.05:
        return Answer()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    try:
        out, errors = process.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        return Answer()
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever it has started, too
        process.communicate()
    lines = out.strip().splitlines()
    try:
        facts = json.loads(lines[-1]) if process.returncode == 0 else None
    except (IndexError, ValueError):
        facts = None
    if isinstance(facts, dict):
        return Answer(facts=facts)
    said = [line.strip() for line in errors.strip().splitlines() if line.strip()]
    return Answer(problem=said[-1] if said else f"its process ended with status {process.returncode}")


def diagnose(kind: str, name: str) -> dict[str, str]:
    """What a component says of itself on this machine, or what is to be done."""
    from saidpo_core.errors import SaidpoError, first_line
    from saidpo_core.registry import load_registry

    try:
        offer = load_registry().find(kind, name, "saidpo doctor")
        asked_of = offer.component.diagnose
        return {"works": str(asked_of()) if asked_of else ""}
    except SaidpoError as error:
        return {"problem": str(error)}
    except Exception as error:
        return {"problem": first_line(error)}
