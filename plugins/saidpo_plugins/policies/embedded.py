"""Policies ``embedded``, ``embedded-1``, ``embedded-2``: small Llamas (0.35 million parameters) that ship with saidpo.

**Ours**, not the paper's. They were made by ``python -m saidpo_plugins.embedded.make_policy --seed 0`` (1, 2), and
their weaknesses were planted: see ``saidpo_plugins/embedded/corpus.py``. ``embedded`` is for the first run; a study on
all three tells luck with one policy from what holds for policies made in this way.
"""

from __future__ import annotations

from pathlib import Path

from saidpo_core import Policy, hookimpl

# Tuned on the held-out split ``dev`` with the first two: examples/tune_embedded.sh.
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


_NOTE = (
    "The weaknesses of the embedded policy were planted: its training corpus holds typical misconceptions "
    "in some families of problems. Its gains show that the method works, not what it gains on your model."
)


def _policy(name: str, folder: str, summary: str, *, default: bool = False) -> Policy:
    return Policy(
        name=name,
        summary=summary,
        folder=Path(__file__).parents[1] / "embedded" / folder,
        settings=_SETTINGS,
        notes=(_NOTE,),
        default=default,
    )


@hookimpl
def saidpo_policies() -> list[Policy]:
    return [
        _policy(
            "embedded",
            "policy",
            "a small arithmetic policy that ships with saidpo, with planted weaknesses",
            default=True,
        ),
        _policy("embedded-1", "policy-1", "the same, made with another seed: for studies"),
        _policy("embedded-2", "policy-2", "the same, made with a third seed: for studies"),
    ]
