"""``--generator=vllm`` on a GPU: beside raw vLLM, its canary, and the memory that is free afterwards.

    pytest -m 'slow or not slow' tests/gpu/test_vllm_gpu.py

in an environment with the extra ``vllm``. The model is the chat model of the tests, in bfloat16 as by default.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from saidpo_core import Request, SaidpoError
from saidpo_plugins.generators.vllm import VllmGenerator, VllmOptions
from tests.builders import make_problem
from tests.models.make_chat_model import cached_chat_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA knows"),
    pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: pip install 'saidpo[vllm]'"),
]

PROBLEMS = [
    make_problem(id=f"{a}{operator}{b}", question=f"What is {a} {operator} {b}?")
    for operator, a, b in (("+", 2, 3), ("*", 7, 8), ("-", 9, 4), ("*", 3, 6), ("+", 8, 9), ("-", 6, 1))
]
SHARE = 0.3
"""Of the GPU's memory: others may be on it, too."""


def generator(**options: Any) -> VllmGenerator:
    return VllmGenerator(VllmOptions(**{"max_new_tokens": 40, "gpu_memory_utilization": SHARE, **options}))


def ask(*seeds: int) -> list[Request]:
    return [Request(problem=problem, seeds=seeds) for problem in PROBLEMS]


def free_bytes() -> int:
    """Of the whole device, whoever holds the rest; asked in a process of its own, which leaves nothing there."""
    program = "import torch; print(torch.cuda.mem_get_info()[0])"
    return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def policy() -> Path:
    return cached_chat_model()


@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_the_same_responses_twice_and_from_a_new_engine_and_a_canary_that_lives(policy: Path, dtype: str) -> None:
    results = []
    for _ in range(2):
        with generator(dtype=dtype).load(policy) as engine:
            results += [engine.generate(ask(1, 2, 3, 4)) for _ in range(2)]
    tokens = [[[r.token_ids for r in g.responses] for g in result] for result in results]
    assert all(other == tokens[0] for other in tokens[1:])
    values = [[[r.logprobs for r in g.responses] for g in result] for result in results]
    assert all(other == values[0] for other in values[1:])


def test_raw_vllm_samples_the_same_tokens(policy: Path, tmp_path: Path) -> None:
    """``LLM.generate`` in a process of its own, with the same settings: ``bench_rollouts`` asserts that."""
    bench = Path(__file__).parents[1] / "bench" / "bench_rollouts.py"
    command = [sys.executable, str(bench), f"--model={policy}", "--dtype=bfloat16", "--repeats=3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bench.parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    [row] = [line for line in done.stdout.splitlines() if line.startswith("raw, logprobs")]
    assert float(row.split()[5]) >= 0.97, done.stdout  # tokens a second, ours / it


def test_the_canary_notices_other_weights(policy: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(policy, tmp_path / "policy")
    rng = torch.Generator().manual_seed(0)
    with generator().load(folder) as stale:
        weights = load_file(folder / "model.safetensors")
        moved = {k: w + 0.5 * w.std() * torch.randn(w.shape, generator=rng) for k, w in weights.items()}
        save_file(moved, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(SaidpoError, match=r"the canary died: .* rounding in bfloat16 allows"):
            stale.generate(ask(1, 2, 3, 4))


def test_the_memory_is_free_when_the_context_ends(policy: Path) -> None:
    """Also when the engine was given up in the middle."""
    before = free_bytes()
    total = torch.cuda.get_device_properties(0).total_memory
    with generator().load(policy) as engine:
        engine.generate(ask(1))
        held = before - free_bytes()
        assert held > 0.5 * SHARE * total
    assert free_bytes() > before - 64 * 2**20
    with pytest.raises(KeyError, match="given up"), generator().load(policy):
        raise KeyError("given up")
    assert free_bytes() > before - 64 * 2**20


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_share_a_policy(policy: Path) -> None:
    before = free_bytes()
    with generator(tensor_parallel_size=2).load(policy) as engine:
        first, second = engine.generate(ask(1, 2)), engine.generate(ask(1, 2))
    assert [[r.token_ids for r in g.responses] for g in first] == [[r.token_ids for r in g.responses] for g in second]
    assert free_bytes() > before - 64 * 2**20
