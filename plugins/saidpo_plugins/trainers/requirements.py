"""What some options need of the machine, asked for before a run starts rather than after its first rollouts."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from saidpo_core import MissingExtra, UsageError

if TYPE_CHECKING:
    from saidpo_plugins.trainers.trl_options import TRLOptions

T = TypeVar("T", bound="TRLOptions")


def usable(options: T) -> T:
    """``options``, if this machine has what they need."""
    packages = {
        "--trainer.lora_r": ("peft", "peft", options.lora_r > 0),
        "--trainer.qlora": ("bitsandbytes", "qlora", options.qlora),
        "--trainer.liger": ("liger_kernel", "liger", options.liger),
        "--trainer.launch=zero3": ("deepspeed", "deepspeed", options.launch == "zero3"),
    }
    on_cuda = {
        "--trainer.qlora": options.qlora,
        "--trainer.liger": options.liger,
        f"--trainer.launch={options.launch}": options.launch in ("fsdp2", "zero3"),  # accelerate shards nothing on CPUs
    }
    for flag, asked in on_cuda.items():
        if asked and not _cuda():
            raise UsageError(f"{flag} needs a CUDA device, and this machine has none; leave it out")
    for flag, (package, extra, asked) in packages.items():
        if asked and find_spec(package) is None:
            raise MissingExtra(flag, package, extra)
    return options


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()
