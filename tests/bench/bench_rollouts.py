"""Rollouts through ``--generator=vllm`` beside raw vLLM, alternating in one run: sampled tokens a second.

    python tests/bench/bench_rollouts.py [--model FOLDER] [--problems 64] [--samples 8] [--repeats 7]

in an environment that has vLLM (``python tests/vllm/environment.py`` prints the Python of one, for CPUs). Raw is
``LLM.generate`` in a process of its own, with the settings of the plug-in (token ids in, in-process engine core, the
same seeds and limits), timed there, around that call alone. Two kinds of it: ``logprobs`` asks for the log-probability
of every sampled token, which a round needs; ``plain`` does not. Both turn tokens into text, as their defaults have it.
Ours is timed around ``Engine.generate``: rendering, the way to the engine's process and back, text, widths.

Both engines are loaded all the time, so each gets 40% of a GPU. The order within a repeat turns round each time. A
ratio is the median over the repeats of ours / raw; the canary has run before the clock starts. Beside the time on the
clock stand the seconds of CPU that the processes took (Linux; in ours the engine's and the parent's, which decodes
while the engine goes on): a machine that is busy with other things disturbs those less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from saidpo_core import Problem, Request
from saidpo_plugins.generators.vllm import VllmEngine, VllmGenerator, VllmOptions

SHARE = 0.4


class Cost(NamedTuple):
    seconds: float
    engine_cpu: float
    parent_cpu: float

    @property
    def cpu(self) -> float:
        return self.engine_cpu + self.parent_cpu


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads; NaN where there is no ``/proc``."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Raw:
    """``LLM.generate`` in a process of its own."""

    def __init__(self, folder: Path, dtype: str) -> None:
        environment = {
            "VLLM_LOGGING_LEVEL": "ERROR",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_KVCACHE_SPACE": "4",
            **os.environ,
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--raw", str(folder), "--dtype", dtype],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def generate(self, call: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        line = next(line for line in self.process.stdout if line.startswith("{"))
        found: dict[str, Any] = json.loads(line)
        return found


def serve_raw(folder: str, dtype: str) -> None:
    """The other side of ``Raw``."""
    from vllm import LLM, SamplingParams, TokensPrompt
    from vllm.platforms import current_platform

    cpu = current_platform.is_cpu()
    llm = LLM(
        folder, dtype=dtype, load_format="safetensors", generation_config="vllm", max_model_len=-1,
        gpu_memory_utilization=SHARE, enforce_eager=cpu, seed=0, distributed_executor_backend="uni",
        **({"enable_chunked_prefill": False} if cpu else {}),
    )  # fmt: skip
    for line in sys.stdin:
        call = json.loads(line)
        llm.reset_prefix_cache()
        prompts = [TokensPrompt(prompt_token_ids=call["prompts"][prompt]) for prompt, _, _ in call["rows"]]
        parameters = [
            SamplingParams(
                temperature=1.0, seed=seed, max_tokens=limit, stop_token_ids=call["stops"], ignore_eos=True,
                **({"logprobs": 0} if call["logprobs"] else {}),
            )
            for _, seed, limit in call["rows"]
        ]  # fmt: skip
        started, used = time.perf_counter(), time.process_time()
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
        ids = [list(output.outputs[0].token_ids) for output in outputs]
        print(json.dumps({"seconds": seconds, "cpu": cpu, "ids": ids}), flush=True)


@contextmanager
def engines(folder: Path, dtype: str, limit: int) -> Iterator[tuple[VllmEngine, Raw]]:
    options = VllmOptions(max_new_tokens=limit, dtype=dtype, gpu_memory_utilization=SHARE)  # type: ignore[arg-type]
    with VllmGenerator(options).load(folder) as ours:
        raw = Raw(folder, dtype)
        try:
            yield ours, raw
        finally:
            raw.process.kill()
            raw.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a folder with problems.jsonl (default: that of the tests)")
    parser.add_argument("--problems", type=int, default=64, help="as many as a round hands over at a time")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--limit", type=int, default=256, help="tokens a response at most")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--raw", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.raw:
        serve_raw(args.raw, args.dtype)
        return
    if args.model is None:
        from tests.models.make_chat_model import cached_chat_model

        args.model = cached_chat_model()
    measure(args)


def measure(args: argparse.Namespace) -> None:
    rows = [json.loads(line) for line in (args.model / "problems.jsonl").read_text().splitlines()]
    rows = [rows[i * len(rows) // args.problems] for i in range(args.problems)]
    problems = [Problem(id=f"{i}", question=row["question"], answer=row["answer"]) for i, row in enumerate(rows)]
    requests = [Request(problem=problem, seeds=tuple(range(args.samples))) for problem in problems]
    with engines(args.model, args.dtype, args.limit) as (ours, raw):
        found = ours.generate(requests)
        ids = [list(response.token_ids) for item in found for response in item.responses]
        prompts = [list(item.prompt_ids) for item in found]
        call = {
            "prompts": prompts,
            "rows": [
                (i, seed, min(args.limit, ours.limit - len(prompts[i])))
                for i in range(len(problems)) for seed in range(args.samples)
            ],
            "stops": ours.stops,
        }  # fmt: skip

        def through_ours() -> Cost:
            cpu = cpu_seconds(ours.process.pid)
            started, used = time.perf_counter(), time.process_time()
            ours.generate(requests)
            parent, seconds = time.process_time() - used, time.perf_counter() - started
            return Cost(seconds, cpu_seconds(ours.process.pid) - cpu, parent)

        def through_raw(logprobs: bool) -> Cost:
            answer = raw.generate({**call, "logprobs": logprobs})
            assert answer["ids"] == ids, "raw vLLM sampled other tokens"
            return Cost(answer["seconds"], answer["cpu"], 0.0)

        kinds: dict[str, Callable[[], Cost]] = {
            "ours": through_ours,
            "raw, logprobs": lambda: through_raw(True),
            "raw, plain": lambda: through_raw(False),
        }
        seconds: dict[str, list[Cost]] = {name: [] for name in kinds}
        for name in kinds:
            kinds[name]()  # warm
        for repeat in range(args.repeats):
            for name in list(kinds)[:: -1 if repeat % 2 else 1]:
                seconds[name].append(kinds[name]())
    report(seconds, sum(map(len, ids)), len(ids))


def report(costs: dict[str, list[Cost]], tokens: int, responses: int) -> None:
    ours = costs["ours"]
    parent = statistics.median(cost.parent_cpu / cost.cpu for cost in ours)
    print(f"{tokens:,} tokens in {responses} responses, the same ones from both; {len(ours)} repeats")
    print(
        f"{'':16}{'tokens/s: median':>18}{'smallest':>10}{'largest':>10}{'ours / it':>11}{'CPU: us/token':>16}{'':>11}"
    )
    for name, mine in costs.items():
        rates = [tokens / cost.seconds for cost in mine]
        ratio = statistics.median(b.seconds / a.seconds for a, b in zip(ours, mine, strict=True))
        cpu = statistics.median(cost.cpu / tokens * 1e6 for cost in mine)
        cpu_ratio = statistics.median(b.cpu / a.cpu for a, b in zip(ours, mine, strict=True))
        rate = f"{statistics.median(rates):18,.0f}{min(rates):10,.0f}{max(rates):10,.0f}{ratio:11.3f}"
        print(f"{name:16}{rate}{cpu:16,.0f}{cpu_ratio:11.3f}")
    print(f"of the CPU time of ours {parent:.1%} is the parent's")


if __name__ == "__main__":
    main()
