"""The shape of a model without its weights: counted from files and tables, as transformers counts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from saidpo_core import UsageError
from saidpo_core.planning.shapes import from_config, known_models, shape_of
from saidpo_core.registry import load_registry
from tests.byte_policy import make_byte_policy


def built(config: dict[str, object]) -> int:
    """Parameters of the model that transformers makes of it, without memory for them."""
    values = {key: value for key, value in config.items() if key != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **values))
    model.tie_weights()
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen2.5-Math-1.5B", "Qwen/Qwen2.5-Math-7B"])
def test_a_known_model_has_the_parameters_that_transformers_gives_it(name: str) -> None:
    assert from_config(known_models()[name], name, "table").parameters == built(known_models()[name])


def test_known_models_are_planned_without_being_here() -> None:
    shapes = {name: shape_of(name, None, None, []) for name in known_models()}
    assert {f"{shapes[name].parameters / 1e9:.2f}B" for name in shapes if "7B" in name} == {"7.62B"}
    assert shapes["Qwen/Qwen2.5-Math-7B"].kv_bytes_per_value * 2 == 57_344  # a token in bfloat16
    assert all(shape.bytes_on_disk is None for shape in shapes.values())


@pytest.mark.parametrize(
    "more",
    [
        {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
        {"model_type": "llama", "head_dim": 24, "tie_word_embeddings": True},
        {"model_type": "mistral"},
        {"model_type": "qwen2"},
        {"model_type": "qwen3", "head_dim": 16},  # counted on an empty model
    ],
)
def test_parameters_of_a_config_are_counted(more: dict[str, object]) -> None:
    config = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    config |= {"num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": False} | more
    assert from_config(config, "x", "here").parameters == built(config)


def test_a_folder_is_counted_from_the_headers_of_its_weights(tmp_path: Path) -> None:
    folder = make_byte_policy(tmp_path / "policy")
    shape = shape_of(str(folder), None, None, [])
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.bytes_on_disk == 4 * shape.parameters
    config = json.loads((folder / "config.json").read_text())
    assert from_config(config, "x", "here").parameters == shape.parameters
    assert (shape.layers, shape.hidden, shape.kv_heads, shape.head_size, shape.positions) == (2, 32, 1, 16, 3072)


def test_the_embedded_policy_has_a_shape() -> None:
    policy = next(item for item in load_registry().policies if item.name == "embedded")
    assert shape_of("embedded", policy, None, []).parameters > 100_000


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "cannot be read as JSON"), ("[]", "expected a JSON object"), ("{}", "hidden_size"),
     ('{"hidden_size": 8, "num_attention_heads": "two"}', "num_attention_heads"),
     ('{"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 9, "model_type": "none"}',
      "cannot be counted")],
)  # fmt: skip
def test_a_config_that_says_no_shape_is_refused_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        shape_of("some/model", None, file, [])
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("junk", [b"", b"\0" * 8, b"\xff" * 8 + b"{}", b"\x02\0\0\0\0\0\0\0[]"])
def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path, junk: bytes) -> None:
    folder = make_byte_policy(tmp_path / "policy")
    (folder / "model.safetensors").write_bytes(junk)
    with pytest.raises(UsageError, match="not a safetensors file"):
        shape_of(str(folder), None, None, [])
