"""Opening Hugging Face folders: safetensors only, no remote code unless asked for, errors that say what is missing."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

from saidpo_core import UsageError

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def check_checkpoint(folder: Path) -> None:
    """Raise ``UsageError`` if ``folder`` is not a causal language model with tokenizer and safetensors weights."""
    config = folder / "config.json"
    if not config.is_file():
        raise UsageError(f"{folder}: no config.json; expected a folder written by save_pretrained")
    try:
        json.loads(config.read_text())
    except ValueError as error:
        raise UsageError(f"{config}: not JSON ({error})") from error
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise UsageError(
            f"{folder}: the model folder has no tokenizer (none of {', '.join(_TOKENIZER_FILES)}); "
            "save it there with tokenizer.save_pretrained(folder)"
        )
    if not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"{folder}: no *.safetensors weights; other formats can run code when they are opened and are not read. "
            "Save the model with save_pretrained"
        )


def best_device() -> str:
    """``cuda``, ``mps`` or ``cpu``, the first that this machine has."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_tokenizer(folder: Path, *, trust_remote_code: bool) -> Any:
    """The tokenizer, with a padding token."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code, local_files_only=True)
    except Exception as error:  # tokenizers raises bare exceptions for a broken file
        raise UsageError(f"{folder}: the tokenizer cannot be loaded: {_first_line(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path, *, dtype: str, device: str, trust_remote_code: bool, **how: Any) -> Any:
    """The causal language model on ``device``; ``dtype`` ``auto`` is float32 on the CPU and bfloat16 elsewhere.

    ``how`` goes to ``from_pretrained``; with a ``device_map`` among it, that says where the model goes.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            local_files_only=True,
            **how,
        )
    except Exception as error:  # safetensors raises its own for a broken file
        raise UsageError(f"{folder}: the model cannot be loaded: {_first_line(error)}") from error
    return model if "device_map" in how else model.to(device)


def load_config(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The model's configuration."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code, local_files_only=True)
    except Exception as error:  # broken JSON, an architecture that transformers does not know
        raise UsageError(f"{folder}: the configuration cannot be read: {_first_line(error)}") from error


def load_generation_config(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The generation settings, as a model that is loaded from ``folder`` has them."""
    from transformers import GenerationConfig

    if not (folder / "generation_config.json").is_file():
        return GenerationConfig.from_model_config(load_config(folder, trust_remote_code=trust_remote_code))
    try:
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # broken JSON
        raise UsageError(f"{folder}: the generation settings cannot be read: {_first_line(error)}") from error


def free_device_memory() -> None:
    """Give back the memory of models that nothing refers to any more; those of transformers refer to themselves."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
