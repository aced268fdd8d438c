"""The shape of a model: from config.json and the headers of its safetensors files. No weight is read."""

from __future__ import annotations

import json
import struct
import tomllib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from saidpo_core.errors import UsageError, first_line
from saidpo_core.models import locate_folder
from saidpo_core.planning.records import ModelShape
from saidpo_core.records import Policy

_LONGEST_HEADER = 100_000_000
_GATED = ("llama", "mistral", "qwen2")
"""Architectures whose parameters are counted here; others are counted on an empty model of transformers."""


def shape_of(model: str, policy: Policy | None, config: Path | None, policies: list[str]) -> ModelShape:
    """The shape of a named policy, a folder, or a hub model that need not be here.

    ``config`` is another place of its config.json. Raises ``UsageError`` where nothing tells the shape.
    """
    if config is not None:
        return from_config(_read_json(config), model, str(config))
    known = known_models()
    folder = locate_folder(model, policy, policies)
    if folder is not None:
        return _from_folder(folder, model)
    if model in known:
        return from_config(known[model], model, "its public config.json, in saidpo's table")
    return from_config(_read_json(_fetch_config(model)), model, "config.json of the hub")


def known_models() -> dict[str, dict[str, Any]]:
    """Hub name -> what its config.json says, of the models that can be planned without being here."""
    text = Path(__file__).with_name("known_models.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def from_config(
    config: Mapping[str, Any], name: str, source: str, weights: Mapping[str, int] | None = None
) -> ModelShape:
    """``weights``: parameters and bytes, if the weights are here."""
    inner = config.get("text_config", config)  # of models that see pictures too

    def number(*keys: str, default: int | None = None) -> int:
        value = next((inner[key] for key in keys if inner.get(key) is not None), default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{source}: no whole number {keys[0]!r}, which planning needs; got {value!r:.40}")
        return value

    hidden, heads = number("hidden_size", "n_embd", "d_model"), number("num_attention_heads", "n_head")
    positions = inner.get("max_position_embeddings")
    return ModelShape(
        name=name,
        parameters=weights["parameters"] if weights else _count(inner, source),
        layers=number("num_hidden_layers", "n_layer"),
        hidden=hidden,
        intermediate=number("intermediate_size", "n_inner", default=4 * hidden),
        heads=heads,
        kv_heads=number("num_key_value_heads", default=heads),
        head_size=number("head_dim", default=max(1, hidden // heads)),
        vocabulary=number("vocab_size"),
        positions=positions if isinstance(positions, int) else None,
        bytes_on_disk=weights["bytes"] if weights else None,
        source=source,
    )


def _from_folder(folder: Path, name: str) -> ModelShape:
    config = _read_json(folder / "config.json")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return from_config(config, name, f"{folder / 'config.json'}")
    return from_config(config, name, "config.json and the headers of its weights", weights_of(files))


def weights_of(files: list[Path]) -> dict[str, int]:
    """Parameters and bytes that the headers of safetensors files name."""
    parameters = size = 0
    for file in files:
        try:
            with file.open("rb") as data:
                (length,) = struct.unpack("<Q", data.read(8))
                if length > _LONGEST_HEADER:
                    raise ValueError(f"a header of {length} bytes")
                header = json.loads(data.read(length))
            tensors = [item for key, item in header.items() if key != "__metadata__"]
            parameters += sum(prod(item["shape"]) for item in tensors)
            size += sum(item["data_offsets"][1] - item["data_offsets"][0] for item in tensors)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise UsageError(f"{file}: not a safetensors file ({first_line(error)})") from error
    return {"parameters": parameters, "bytes": size}


def _count(config: Mapping[str, Any], source: str) -> int:
    kind = config.get("model_type")
    return _count_gated(config) if kind in _GATED else _count_empty(config, source)


def _count_gated(config: Mapping[str, Any]) -> int:
    """Embeddings, output head, norms, and the linear maps of attention and of a gated feed-forward block."""
    try:
        hidden, heads, layers = config["hidden_size"], config["num_attention_heads"], config["num_hidden_layers"]
        head = config.get("head_dim") or hidden // heads
        q, kv = heads * head, (config.get("num_key_value_heads") or heads) * head
        middle, vocabulary = config["intermediate_size"], config["vocab_size"]
        biases = q + 2 * kv if config["model_type"] == "qwen2" else 0
        if config.get("attention_bias"):
            biases = q + 2 * kv + hidden
        if config.get("mlp_bias"):
            biases += 2 * middle + hidden
        layer = hidden * (2 * q + 2 * kv + 3 * middle + 2) + biases
        tables = 1 if config.get("tie_word_embeddings") else 2
        return int(layers * layer + tables * vocabulary * hidden + hidden)
    except (KeyError, TypeError) as error:
        raise UsageError(f"config.json lacks what planning needs: {first_line(error)}") from error


def _count_empty(config: Mapping[str, Any], source: str) -> int:
    """Parameters of the model as transformers builds it, without memory for any (it takes seconds to import)."""
    try:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        values = {key: value for key, value in config.items() if key not in ("model_type", "auto_map")}
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **values))
        model.tie_weights()
        return sum(parameter.numel() for parameter in model.parameters())
    except Exception as error:
        raise UsageError(f"{source}: its parameters cannot be counted: {first_line(error)}") from error


def _fetch_config(model: str) -> Path:
    from huggingface_hub import hf_hub_download

    from saidpo_core.models import hub_can_be_found

    found = hub_can_be_found()
    try:
        return Path(hf_hub_download(model, "config.json", local_files_only=not found))
    except Exception as error:  # of many sorts: no network, no such model, no access
        names = ", ".join(known_models())
        why = first_line(error) if found else "it cannot be reached from here"
        raise UsageError(
            f"--model={model}: not here, not in saidpo's table ({names}), and the model hub did not give its "
            f"config.json ({why}); name a copy of it with --model-config=FILE"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as JSON ({first_line(error)})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value
