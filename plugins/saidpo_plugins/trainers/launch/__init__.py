"""Training in several processes: ``accelerate launch`` as a child of the run, which stays one process.

The job is written into a folder, the workers read it there, and talk to the run over a socket (``wire.py``): they
tell how far they are, ask the run's one verifier, and at the end report. A worker that loses its run ends at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from saidpo_core import TrainingJob, TrainingReport, UsageError

if TYPE_CHECKING:
    from saidpo_plugins.trainers.trl_options import TRLOptions

FITS = 0.7
"""Share of a device that weights, gradients and optimiser state may take; activations need the rest."""


class Spreadable(Protocol):
    """A trainer that can be run by each of several processes, which find each other through accelerate."""

    options: Any

    def train_here(self, job: TrainingJob) -> TrainingReport:
        """Train in this process, together with the others if there are any."""
        ...


@dataclass(frozen=True)
class Plan:
    """How to start the workers: accelerate's config file, and how many; 0: as many as the file says."""

    config: Path
    processes: int
    cpu: bool


def spread(trainer: Spreadable, job: TrainingJob) -> TrainingReport:
    """Train in this process, or in several, as the trainer's options and the machine have it."""
    plan = plan_for(trainer.options, job.policy)
    if plan is None:
        return trainer.train_here(job)
    from saidpo_plugins.trainers.launch.supervise import run_workers

    return run_workers(plan, trainer, job)


def plan_for(options: TRLOptions, policy: Path) -> Plan | None:
    """None: this process alone."""
    import torch

    devices = torch.cuda.device_count()
    launch, asked = options.launch, options.processes
    if launch == "none" and asked not in ("auto", 1):
        raise UsageError(f"--trainer.processes={asked} needs --trainer.launch=auto, ddp, fsdp2, zero3 or a file")
    if devices and asked != "auto" and asked > devices:
        raise UsageError(
            f"--trainer.processes={asked}: this machine has {devices} CUDA device(s), one for each process"
        )
    if isinstance(launch, Path):
        return Plan(_checked(launch), 0 if asked == "auto" else asked, not devices)
    count = max(1, devices) if asked == "auto" else asked
    if launch == "none" or (launch in ("auto", "ddp") and count == 1):
        return None
    kind = launch
    if launch == "auto":
        fits = not devices or training_bytes(options, policy) <= FITS * torch.cuda.get_device_properties(0).total_memory
        kind = "ddp" if fits else "fsdp2"
    return Plan(Path(__file__).with_name(f"{kind}.yaml"), count, not devices)


def training_bytes(options: TRLOptions, policy: Path) -> int:
    """Bytes of weights, gradients and AdamW's two moments on one device, with nothing in shards.

    A parameter takes 4 of these, 4 bytes each (float32, mixed) or 2 (bfloat16). With adapters only the weights count:
    4, 2 or (QLoRA) about half a byte each. Activations come on top.
    """
    parameters = parameters_in(policy)
    if options.lora_r:
        return int(parameters * (0.6 if options.qlora else 4 if options.dtype == "float32" else 2))
    return parameters * 4 * (2 if options.dtype == "bfloat16" else 4)


def parameters_in(policy: Path) -> int:
    """Counted in the headers of the folder's safetensors files."""
    from math import prod

    from safetensors import safe_open

    count = 0
    for file in sorted(policy.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            count += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return count


def _checked(file: Path) -> Path:
    """An accelerate config file for this one machine."""
    if not file.is_file():
        raise UsageError(f"--trainer.launch={file}: no such file; expected auto, none, ddp, fsdp2, zero3 or a file")
    from accelerate.commands.config.config_args import load_config_from_file

    try:
        config = load_config_from_file(str(file))
    except Exception as error:  # whatever its YAML or JSON reader raises
        first = (str(error).splitlines() or [""])[0]
        raise UsageError(f"--trainer.launch={file}: not a config file of accelerate ({first})") from error
    if int(getattr(config, "num_machines", 1) or 1) > 1:
        raise UsageError(f"--trainer.launch={file}: num_machines must be 1; the trainers use one machine's devices")
    return file.resolve()
