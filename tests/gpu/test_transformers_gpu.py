"""Generator ``transformers`` on CUDA, and the default run there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saidpo_core import Generation, Problem, Request
from tests.byte_policy import make_byte_policy
from tests.command import Saidpo
from tests.gpu.conftest import Report
from tests.tiny import TINY_RUN

QUESTIONS = ("What is 17 + 25?", "Tom has 3 bags of 4 apples. How many apples?", "What is 9 * 12?")


def embedded() -> Path:
    from saidpo_core.registry import load_registry

    return next(policy.folder for policy in load_registry().policies if policy.name == "embedded")


def requests(samples: int) -> list[Request]:
    problems = [Problem(id=f"p{n}", question=text, answer="0") for n, text in enumerate(QUESTIONS)]
    return [Request(problem=problem, seeds=tuple(range(samples))) for problem in problems]


def generate(policy: Path, **options: object) -> list[Generation]:
    from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions

    chosen = TransformersOptions(**{"max_new_tokens": 64, "device": "cuda", **options})  # type: ignore[arg-type]
    with TransformersGenerator(chosen).load(policy) as engine:
        return engine.generate(requests(16))


def test_device_memory_is_free_after_the_context(tmp_path: Path, figure: Report) -> None:
    import torch

    policy = make_byte_policy(tmp_path / "policy")
    generate(policy, max_new_tokens=8)  # what CUDA's libraries keep for ever is there after this
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated(), torch.cuda.mem_get_info()[0]
    generate(policy, max_new_tokens=256)
    torch.cuda.synchronize()
    figure("still allocated", torch.cuda.memory_allocated() - before[0], "bytes", 0)
    figure("device memory not given back", (before[1] - torch.cuda.mem_get_info()[0]) / 1e6, "MB", 64)


def test_the_same_seeds_give_the_same_responses(figure: Report) -> None:
    first, second = generate(embedded(), dtype="float32"), generate(embedded(), dtype="float32")
    pairs = [(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x.responses, y.responses, strict=True)]
    figure("responses that differ", sum(a.token_ids != b.token_ids for a, b in pairs), "of 48", 0)


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-3), ("bfloat16", 0.25)])
def test_log_probabilities_agree_with_float32_on_the_processor(dtype: str, limit: float, figure: Report) -> None:
    """The sampled tokens are scored again in one pass, by the same weights in float32 on the CPU."""
    import torch

    from saidpo_plugins.common.checkpoints import load_model

    found = generate(embedded(), dtype=dtype)
    model = load_model(embedded(), dtype="float32", device="cpu", trust_remote_code=False).eval()
    gaps: list[float] = []
    with torch.inference_mode():
        for generation in found:
            for response in generation.responses:
                ids = torch.tensor([[*generation.prompt_ids, *response.token_ids]])
                logprobs = torch.log_softmax(model(ids).logits[0, len(generation.prompt_ids) - 1 : -1], dim=-1)
                own = logprobs.gather(1, torch.tensor(response.token_ids)[:, None])[:, 0]
                gaps += (own - torch.tensor(response.logprobs)).abs().tolist()
    gaps.sort()
    figure("mean difference", sum(gaps) / len(gaps), "nats a token", limit / 10)
    figure("99th percentile", gaps[int(0.99 * (len(gaps) - 1))], "nats a token", limit)


def test_the_default_run_works_on_cuda(tmp_path: Path, saidpo: Saidpo, figure: Report) -> None:
    done = saidpo(*TINY_RUN, "--embedder=tfidf", "--run-dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    tree = json.loads((tmp_path / "run/summary.json").read_text())
    assert tree["finished"]
    figure("seconds of the run", sum(tree["time"].values()), "s")
    figure("tokens generated a second", sum(r["tokens"] for r in tree["rounds"]) / tree["time"]["generate"], "1/s")


def test_what_was_planned_is_what_was_taken(tmp_path: Path, figure: Report) -> None:
    """Peak memory of generation against the plan, without the context, which the allocator does not count."""
    import torch

    from saidpo_core import GenerationWork, Machine
    from saidpo_core.planning.shapes import shape_of
    from saidpo_plugins.generators.planning import plan_transformers
    from saidpo_plugins.generators.transformers import TransformersOptions

    policy = make_byte_policy(tmp_path / "policy")
    torch.cuda.reset_peak_memory_stats()
    generate(policy, max_new_tokens=1024)
    peak = torch.cuda.max_memory_allocated()
    work = GenerationWork(responses=48, prompt_tokens=30.0, longest_prompt=46)
    machine = Machine(device="card", devices=1, memory=80e9)
    estimate = plan_transformers(
        TransformersOptions(max_new_tokens=1024), shape_of(str(policy), None, None, []), machine, work
    )
    planned = sum(need.bytes for need in estimate.memory if need.what != "CUDA context")
    figure("planned over taken", planned / peak, "", 0.75, at_least=True)
    figure("planned over taken, at most", planned / peak, "", 2.0)
