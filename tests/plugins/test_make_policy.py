"""The command that makes the embedded policy, and the one that was made by it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from saidpo_plugins.embedded.make_policy import make_tokenizer
from saidpo_plugins.policies.embedded import saidpo_policies

SHIPPED = saidpo_policies()[0].folder


@pytest.mark.slow
def test_a_few_steps_of_it_give_an_ordinary_small_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "saidpo_plugins.embedded.make_policy", "--out", str(tmp_path / "p")]
    done = subprocess.run([*command, "--steps", "10", "--seed", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "balanced accuracy" in done.stdout
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "p")
    shipped = AutoModelForCausalLM.from_pretrained(SHIPPED)
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == {
        name: tensor.shape for name, tensor in shipped.state_dict().items()
    }


def test_the_shipped_policy_is_small_and_its_recipe_is_the_default_one(tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 3e6
    assert not [path for path in SHIPPED.iterdir() if path.suffix not in (".json", ".safetensors")]
    made = json.loads((SHIPPED / "made.json").read_text())
    assert (made["seed"], made["steps"], made["batch"], made["lr"]) == (0, 14_000, 32, 2e-3)
    make_tokenizer(seed=0).save_pretrained(tmp_path)
    made_now, shipped = (json.loads((folder / "tokenizer.json").read_text()) for folder in (tmp_path, SHIPPED))
    assert made_now["model"] == shipped["model"]
    assert made_now["pre_tokenizer"] == shipped["pre_tokenizer"]


def test_the_tokenizer_gives_back_any_text_and_keeps_digits_apart() -> None:
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    for text in ("7*38=266\n#### 266", "naïve café ☃", "\t  x\n\n"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("12345")["input_ids"]) == 5
