"""Policy ``embedded``: the small Llama (about 0.3 million parameters) that ships with saidpo, for the first run.

**Ours**, not the paper's. It was made by ``python -m saidpo_plugins.embedded.make_policy`` and its weaknesses were
planted: see ``saidpo_plugins/embedded/corpus.py``.
"""

from __future__ import annotations

from pathlib import Path

from saidpo_core import Policy, hookimpl

# Tuned on the held-out split ``dev`` and two policies made with other seeds: examples/tune_embedded.sh.
_SETTINGS = {
    "generator.max_new_tokens": 64,
    "trainer.lr": 1e-4,
    "trainer.nll": 0.5,
    "trainer.batch_size": 32,
    "trainer.micro_batch_size": 32,
    "trainer.steps": 30,
    "trainer.scheduler": "constant",
    "trainer.warmup": 0.0,
    "trainer.max_new_tokens": 64,
}


@hookimpl
def saidpo_policies() -> list[Policy]:
    return [
        Policy(
            name="embedded",
            summary="a small arithmetic policy that ships with saidpo, with planted weaknesses",
            folder=Path(__file__).parents[1] / "embedded" / "policy",
            settings=_SETTINGS,
            notes=(
                "The weaknesses of the embedded policy were planted: its training corpus holds typical misconceptions "
                "in some families of problems. Its gains show that the method works, not what it gains on your model.",
            ),
            default=True,
        )
    ]
