"""The canary's statistic where all is well and where it is not: what its limits rest on.

    python tests/bench/measure_canary.py [--model FOLDER] [--dtypes float32 bfloat16]

An engine (``--generator=vllm``, in the environment that has it) answers every problem of the model's
``problems.jsonl`` with two seeds. The statistic (``disagreement``, in nats of a logit) is taken of every 256 tokens in
a row, as the canary takes it of the first 256: with the folder that the engine was started from, and with folders whose
weights are others. Those stand for stale and for garbled weights: it makes no difference to the statistic which of the
two sides has the wrong ones.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from saidpo_core import Problem, Request
from saidpo_plugins.generators.vllm import VllmGenerator, VllmOptions
from saidpo_plugins.generators.vllm_canary import TOKENS, TOKENS_EACH, Sample, disagreement, limit_of, score


def noise(share: float) -> Callable[[str, Any], Any]:
    def change(name: str, weight: Any) -> Any:
        import torch

        generator = torch.Generator().manual_seed(len(name))
        return weight + share * weight.std() * torch.randn(weight.shape, generator=generator)

    return change


def only(part: str, change: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, weight: change(weight) if part in name else weight


WRONG: dict[str, Callable[[str, Any], Any]] = {
    "every weight off by 1% of its matrix's deviation": noise(0.01),
    "every weight off by 3%": noise(0.03),
    "every weight off by 10%": noise(0.1),
    "every weight off by 30%": noise(0.3),
    "k_proj of layer 1 with its halves swapped": only("layers.1.self_attn.k_proj.w", lambda w: w.roll(len(w) // 2, 0)),
    "down_proj of layer 2 zero": only("layers.2.mlp.down_proj", lambda w: w * 0),
    "lm_head shifted by one token": only("lm_head", lambda w: w.roll(1, 0)),
    "everything random": noise(100.0),
}  # fmt: skip


def answers(folder: Path, dtype: str) -> list[Sample]:
    rows = [json.loads(line) for line in (folder / "problems.jsonl").read_text().splitlines()]
    problems = [Problem(id=row["id"], question=row["question"], answer=row["answer"]) for row in rows]
    options = VllmOptions(dtype=dtype, max_new_tokens=64, canary=False)  # type: ignore[arg-type]
    with VllmGenerator(options).load(folder) as engine:
        found = engine.generate([Request(problem=problem, seeds=(1, 2)) for problem in problems])
    return [
        Sample(item.prompt_ids, response.token_ids[:TOKENS_EACH], response.logprobs[:TOKENS_EACH])
        for item in found
        for response in item.responses
    ]


def windows(folder: Path, dtype: str, samples: Sequence[Sample]) -> list[float]:
    """The statistic of every ``TOKENS`` tokens in a row."""
    from saidpo_plugins.common.checkpoints import load_model

    model = load_model(folder, dtype=dtype, device="cpu", trust_remote_code=False).eval()
    ours = [logprob for sample in samples for logprob in sample.logprobs]
    theirs = [logprob for sample in samples for logprob in score(model, sample.prompt_ids, sample.token_ids)]
    starts = range(0, len(ours) - TOKENS + 1, TOKENS)
    return [disagreement(ours[i : i + TOKENS], theirs[i : i + TOKENS]) for i in starts]


def altered(folder: Path, out: Path, change: Callable[[str, Any], Any]) -> Path:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, out)
    weights = load_file(out / "model.safetensors")
    save_file(
        {name: change(name, weight.float()).to(weight.dtype).contiguous() for name, weight in weights.items()},
        out / "model.safetensors",
        {"format": "pt"},
    )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a folder with problems.jsonl (default: that of the tests)")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--other", type=Path, nargs="*", default=[], help="further folders to compare with")
    args = parser.parse_args()
    if args.model is None:
        from tests.models.make_chat_model import cached_chat_model

        args.model = cached_chat_model()
    for dtype in args.dtypes:
        samples = answers(args.model, dtype)
        right = windows(args.model, dtype, samples)
        print(f"{dtype}: limit {limit_of(dtype, 'cpu'):g}, {len(right)} windows of {TOKENS} tokens")
        print(f"  {'':52}{'smallest':>10}{'median':>10}{'largest':>10}")
        show("the engine's own folder", right)
        for other in args.other:
            show(str(other)[-50:], windows(other, dtype, samples[:300]))
        with tempfile.TemporaryDirectory() as folder:
            for number, (name, change) in enumerate(WRONG.items()):
                show(name, windows(altered(args.model, Path(folder, str(number)), change), dtype, samples[:300]))


def show(name: str, found: Sequence[float]) -> None:
    print(f"  {name:52}{min(found):10.2g}{statistics.median(found):10.2g}{max(found):10.2g}", flush=True)


if __name__ == "__main__":
    main()
