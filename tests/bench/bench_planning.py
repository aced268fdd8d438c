"""The constants of ``saidpo_plugins/common/estimates.py`` that are measured, measured again on this CPU (one thread).

python tests/bench/bench_planning.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from saidpo_plugins.common.estimates import LAYER_SECONDS, PROCESS, TRL
from tests.byte_policy import make_byte_policy

PEAK = "from tests.memory import own_peak; print(own_peak())"


def peak_of(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{PEAK}"], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def layer_seconds() -> float:
    """From the step times of models of 2 and of 12 layers that are too small for their arithmetic to matter."""
    return (step_seconds(12) - step_seconds(2)) / 10


def step_seconds(layers: int) -> float:
    """Of the processor, so that others who work here do not count."""
    from transformers import LlamaForCausalLM

    from saidpo_core import Problem, Request
    from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions

    with tempfile.TemporaryDirectory() as folder:
        policy = make_byte_policy(Path(folder))
        config = json.loads((policy / "config.json").read_text()) | {"num_hidden_layers": layers}
        LlamaForCausalLM(LlamaForCausalLM.config_class(**config)).save_pretrained(policy)
        with TransformersGenerator(TransformersOptions(max_new_tokens=100)).load(policy) as engine:
            request = Request(problem=Problem(id="p", question="?", answer="1"), seeds=(0,))
            times = []
            for _ in range(6):
                started = time.process_time()
                (answer,) = engine.generate([request])
                times.append((time.process_time() - started) / len(answer.responses[0].token_ids))
    return min(times)


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    generation = peak_of("import torch; from transformers import AutoModelForCausalLM, LlamaForCausalLM, AutoTokenizer")
    training = peak_of("import torch; from transformers import LlamaForCausalLM; from trl import DPOTrainer")
    print(f"process that generates: {generation / 1e9:.2f} GB before any model (PROCESS = {PROCESS / 1e9:g})")
    print(f"process that trains: {(training - generation) / 1e9:.2f} GB more (TRL = {TRL / 1e9:g})")
    print(f"a layer of a decoding step: {layer_seconds() * 1e3:.3f} ms (LAYER_SECONDS = {LAYER_SECONDS * 1e3:g} ms)")


if __name__ == "__main__":
    main()
