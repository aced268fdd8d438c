"""LoRA (arXiv 2106.09685) and QLoRA (arXiv 2305.14314) by peft: small adapters are trained, and merged at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saidpo_plugins.trainers.trl_options import TRLOptions


def adapters(options: TRLOptions) -> Any:
    """peft's configuration. ``all-linear`` is every linear layer but the output head."""
    from peft import LoraConfig

    targets = options.lora_targets
    return LoraConfig(
        r=options.lora_r,
        lora_alpha=2 * options.lora_r if options.lora_alpha == "auto" else options.lora_alpha,
        target_modules="all-linear" if targets == ("all-linear",) else list(targets),
        task_type="CAUSAL_LM",
    )


def quantization(config: Any) -> dict[str, Any]:
    """What ``from_pretrained`` needs for weights in 4 bits (NormalFloat, doubly quantised) on this process's device."""
    import torch
    from transformers import BitsAndBytesConfig

    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_quant_storage=torch.bfloat16,
        ),
        "device_map": {"": config.device},
    }


def merged(base: Any, options: TRLOptions, state: Mapping[str, Any]) -> Any:
    """``base`` with the adapters of ``state`` (as ``get_peft_model_state_dict`` names them) added to its weights."""
    from peft import get_peft_model, set_peft_model_state_dict

    model = get_peft_model(base, adapters(options))
    missing = set_peft_model_state_dict(model, dict(state)).unexpected_keys
    if missing:
        raise AssertionError(f"adapters that belong nowhere: {missing}")
    return model.merge_and_unload()
