"""Writing the trained policy: a plain Hugging Face folder, whichever way the training was spread over processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from saidpo_core import SaidpoError, TrainingJob
from saidpo_plugins.common.checkpoints import load_model
from saidpo_plugins.trainers.lora import merged

if TYPE_CHECKING:
    from saidpo_plugins.trainers.trl_options import TRLOptions


def save_policy(trainer: Any, job: TrainingJob, options: TRLOptions) -> None:
    """Write the weights to ``job.out``; every process takes part, the first one writes.

    Weights are kept in the precision that they were trained in: rounded to bfloat16 between rounds, what a round at a
    small rate has learnt would be lost. Adapters are added, in float32, to the weights that they were trained on.
    """
    accelerator = trainer.accelerator
    model = accelerator.unwrap_model(trainer.model)
    state = _whole(trainer)
    if not accelerator.is_main_process:
        return
    require_finite(model.named_parameters() if state is None else state.items())
    if options.lora_r:
        from peft import get_peft_model_state_dict
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        unset_hf_deepspeed_config()  # or the weights would come in shards, and wait for the other processes
        small = get_peft_model_state_dict(model, state_dict=state)
        small = {key: value.detach().float().cpu() for key, value in small.items()}
        base = load_model(job.policy, dtype="float32", device="cpu", trust_remote_code=options.trust_remote_code)
        model, state = merged(base, options, small), None
        if options.dtype == "bfloat16":
            model = model.bfloat16()
    if state is not None:
        dtype = "bfloat16" if options.dtype == "bfloat16" else "float32"
        state = _untied(model, {key: value.to(_torch(dtype)) for key, value in state.items()})
    model.save_pretrained(job.out, state_dict=state)


def require_finite(weights: Iterable[tuple[str, Any]]) -> None:
    """Of a sharded model, the shards of this process."""
    import torch

    for _, tensor in weights:
        shard = getattr(tensor, "ds_tensor", getattr(tensor, "_local_tensor", tensor))
        if shard.is_floating_point() and not bool(torch.isfinite(shard).all()):
            raise SaidpoError("training ended with weights that are not finite; lower --trainer.lr")


def _whole(trainer: Any) -> dict[str, Any] | None:
    """All weights, in the CPU's memory of the first process; None if the model itself has them as they were trained."""
    accelerator = trainer.accelerator
    if trainer.is_fsdp_enabled:
        return dict(accelerator.get_state_dict(trainer.model_wrapped))
    if trainer.is_deepspeed_enabled:
        return _whole_of_deepspeed(trainer.model, accelerator.is_main_process)
    return None


def _whole_of_deepspeed(model: Any, main: bool) -> dict[str, Any]:
    """The optimiser's weights in float32: those of the model itself may be their copies in 16 bits."""
    import deepspeed
    from deepspeed.utils import safe_get_full_fp32_param

    state = {}
    for name, parameter in model.named_parameters():
        whole = safe_get_full_fp32_param(parameter) if parameter.requires_grad else None
        if whole is not None:
            if main:
                state[name] = whole.detach().cpu()
            continue
        with deepspeed.zero.GatheredParameters([parameter]):
            if main:
                state[name] = parameter.detach().cpu().clone()
    return state


def _untied(model: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Without the second name of weights that are tied: they were one tensor before they were gathered."""
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    return {name: tensor for name, tensor in state.items() if not (name in tied and tied[name] in state)}


def _torch(dtype: str) -> Any:
    import torch

    return getattr(torch, dtype)
