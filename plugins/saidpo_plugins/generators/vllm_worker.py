"""The engine's process: one vLLM engine in it, JSON lines in and out. ``vllm_process`` is the parent's side.

The parent's first line says what to load; the answer is ``{"ready": {...}}`` or ``{"problem": "..."}``. Each further
line is one call: prompts as token ids, and rows of (prompt, seed or null, token limit). Responses are sent as they are
finished, ``{"row": ..., "ids": ..., "logprobs": ..., "finish": ...}``, so that the parent decodes while the engine
goes on; ``{"done": true}`` ends the call. The process ends with its channel or its parent.

Facts about vLLM 0.32 that are heeded here (``docs/vllm.md`` says more):

* Its engine core runs in this very process, so that all requests of a call are there before the first step: the
  scheduling, and with it the rounding of batched products, is the same each time.
* The prefix cache is emptied before each call, so that nothing depends on the calls before.
* A seeded request whose prompt is computed in pieces crashes on a CPU, so there it is not.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def main(descriptor: str, parent: str, log: str, make_engine: Callable[[dict[str, Any]], Any] | None = None) -> None:
    """Serve the socket ``descriptor`` until it, or the process ``parent``, is gone. Never returns.

    ``log`` is where output goes; the parent's to remove, if it lives.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with, args=(int(parent), log), daemon=True).start()
    channel = socket.socket(fileno=int(descriptor))
    engine = None
    lines = channel.makefile("r", encoding="utf-8")
    answers = channel.makefile("w", encoding="utf-8")
    try:
        engine = (make_engine or _Engine)(json.loads(lines.readline() or "{}"))
        say(answers, ready=engine.facts())
        for line in lines:
            engine.answer(json.loads(line), answers)
            say(answers, done=True)
    except BrokenPipeError:
        pass
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        with suppress(OSError):
            say(answers, problem=_in_a_line(error))
    if engine is not None:
        engine.close()
    os._exit(0)  # nothing is left to be tidied up, and it would take seconds


def _end_with(parent: int, log: str) -> None:
    """A process of the same group for every device may have been started: the group ends, whoever is in it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    with suppress(OSError):
        os.unlink(log)
    os.killpg(0, signal.SIGKILL)


class _Engine:
    def __init__(self, asked: dict[str, Any]) -> None:
        from vllm import LLM
        from vllm.platforms import current_platform

        cpu = current_platform.is_cpu()
        dtype = ("float32" if cpu else "bfloat16") if asked["dtype"] == "auto" else asked["dtype"]
        several = asked["tensor_parallel_size"] > 1
        llm = LLM(
            asked["policy"],
            skip_tokenizer_init=True,  # token ids in, token ids out
            trust_remote_code=False,
            load_format="safetensors",
            generation_config="vllm",  # what is sampled how is said with each request, and nowhere else
            dtype=dtype,
            max_model_len=asked["max_model_len"],
            gpu_memory_utilization=asked["gpu_memory_utilization"],
            tensor_parallel_size=asked["tensor_parallel_size"],
            distributed_executor_backend="mp" if several else "uni",
            logprobs_mode="raw_logprobs",  # before temperature and top-p
            enforce_eager=cpu or asked["enforce_eager"],
            disable_log_stats=True,
            seed=0,
            **({"enable_chunked_prefill": False} if cpu else {}),
        )
        self._engine = llm.llm_engine
        self._facts = {
            "device": "cpu" if cpu else current_platform.device_type,
            "dtype": dtype,
            "max_model_len": self._engine.model_config.max_model_len,
        }
        if cpu:
            self._check_heads()

    def close(self) -> None:
        """End the processes that it has started for its devices."""
        with suppress(Exception):
            self._engine.engine_core.shutdown()

    def facts(self) -> dict[str, Any]:
        return self._facts

    def _check_heads(self) -> None:
        from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

        size, sizes = self._engine.model_config.get_head_size(), CPUAttentionBackend.get_supported_head_sizes()
        if size not in sizes:
            raise ValueError(f"attention heads of size {size}; on a CPU it has {', '.join(map(str, sizes))}")

    def answer(self, call: dict[str, Any], answers: Any) -> None:
        """Generate all rows of ``call``, and send each response when it is finished."""
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        engine = self._engine
        engine.reset_prefix_cache()
        for row, (prompt, seed, limit) in enumerate(call["rows"]):
            # temperature 0 is greedy to vLLM, and heeds neither top_p nor a seed
            chosen = {"temperature": 0.0} if seed is None else {**call["random"], "seed": seed}
            parameters = SamplingParams(
                **chosen,
                max_tokens=limit,
                stop_token_ids=call["stop_ids"],
                ignore_eos=True,  # the end tokens are among those
                logprobs=0,  # of the sampled token alone
                flat_logprobs=True,
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            engine.add_request(str(row), TokensPrompt(prompt_token_ids=call["prompts"][prompt]), parameters)
        while engine.has_unfinished_requests():
            finished = [output for output in engine.step() if output.finished]
            for output in finished:
                say(answers, flush=False, row=int(output.request_id), **_plain(output.outputs[0]))
            if finished:
                answers.flush()


def _in_a_line(error: Exception) -> str:
    """vLLM's errors have many lines, of which the first says least; pydantic's end with what no user wrote."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text.split(" [type=")[0][:1000]


def _plain(output: Any) -> dict[str, Any]:
    return {
        "ids": list(output.token_ids),
        "logprobs": list(output.logprobs.logprobs),
        "finish": output.finish_reason,
    }


def say(answers: Any, *, flush: bool = True, **message: Any) -> None:
    answers.write(json.dumps(message, separators=(",", ":")) + "\n")
    if flush:
        answers.flush()
