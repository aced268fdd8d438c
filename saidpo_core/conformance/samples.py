"""Inputs that the checks put to components: small, fixed, and as the core would hand them over."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from saidpo_core.records import Attempts, Evidence, Problem, Response, RoundEvidence, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOPICS = ("addition", "percentages", "geometry, areas", "mean of numbers")


def problems(n: int = 24, *, domain: str = "math", answer: str = "") -> tuple[Problem, ...]:
    """Easy sums in four topics and groups; unique ids and questions."""
    return tuple(
        Problem(
            id=f"check-{i:05}",
            question=f"What is {i} + {i % 7}?",
            answer=answer or str(i + i % 7),
            tags=(TOPICS[i % 4], "arithmetic"),
            domain=domain,
            group=TOPICS[i % 4].split(",")[0],
        )
        for i in range(n)
    )


def response(rng: Random, *, right: bool, truncated: bool = False, lines: int = 0, answer: str = "7") -> Response:
    """Some lines of reasoning and a final answer, with a token id a character as a simple tokenizer would give."""
    lines = lines or rng.randint(1, 6)
    steps = [f"step {rng.randint(1, 9)}: {rng.randint(1, 99)} and {rng.randint(1, 99)}" for _ in range(lines)]
    text = "\n".join(steps) + ("" if truncated else f"\n#### {answer if right else rng.randint(100, 999)}")
    ids = tuple(map(ord, text)) + (() if truncated else (0,))
    return Response(
        text=text,
        token_ids=ids,
        logprobs=tuple(-rng.random() for _ in ids),
        finish_reason="length" if truncated else "stop",
        seconds=len(ids) * 0.001 * (1 + rng.random()),
    )


def attempts_at(problem_id: str, outcomes: str, rng: Random, *, lines: int = 0) -> Attempts:
    """One response a letter: r right, w wrong, u unverifiable, t truncated."""
    names = {"r": "right", "w": "wrong", "u": "unverifiable", "t": "unverifiable"}
    return Attempts(
        problem_id=problem_id,
        prompt_ids=(1, 2, 3),
        responses=tuple(response(rng, right=c == "r", truncated=c == "t", lines=lines) for c in outcomes),
        verdicts=tuple(Verdict(outcome=names[c]) for c in outcomes),  # type: ignore[arg-type]
    )


def attempts(n: int = 16, *, seed: int = 0) -> tuple[Attempts, ...]:
    """K = 8 responses to each of ``n`` problems, from all wrong to all right."""
    rng = Random(f"attempts {seed}")
    letters = ["".join(rng.sample("r" * right + "w" * (8 - right), 8)) for right in (1, 4, 7, 0, 8, 2, 3, 5)]
    return tuple(attempts_at(f"check-{i:05}", letters[i % len(letters)], rng) for i in range(n))


def extreme_attempts() -> tuple[Attempts, ...]:
    """What a measure of difficulty meets now and then: nothing counted, all truncated, one of each, an empty text."""
    rng = Random("extremes")
    empty = Response(text="", token_ids=(0,), logprobs=(0.0,), finish_reason="stop")
    bare = Attempts(
        problem_id="empty", prompt_ids=(1,), responses=(empty,) * 2, verdicts=(Verdict(outcome="wrong"),) * 2
    )
    kinds = ("uuuuuuuu", "tttttttt", "rw", "rrrrrrrr", "wwwwwwww", "rtttttwu")
    return (bare, *(attempts_at(f"extreme-{i}", outcomes, rng) for i, outcomes in enumerate(kinds)))


def tags(n: int) -> tuple[tuple[str, ...], ...]:
    """Every seventh problem has none."""
    return tuple(() if i % 7 == 6 else (TOPICS[i % 4], "arithmetic") for i in range(n))


def vectors(n: int, dimensions: int = 16, *, distinct: int = 0) -> NDArray[np.float32]:
    """[n, dimensions] around four centres; with ``distinct`` so many different rows, which come again and again."""
    import numpy as np

    rng = np.random.default_rng(7)
    centres = rng.normal(size=(4, dimensions))
    count = distinct or n
    rows = centres[np.arange(count) % 4] + 0.1 * rng.normal(size=(count, dimensions))
    return rows[np.arange(n) % count].astype(np.float32)


def evidence(
    n: int = 200, clusters: int = 8, *, rounds: int = 3, probed: int = 40, samples: int = 8, rates: Sequence[float] = ()
) -> Evidence:
    """Evidence of ``rounds`` rounds; cluster c has the pass rate ``rates[c]``, cluster 0 is never probed."""
    import numpy as np

    rng = np.random.default_rng(11)
    of_row = np.arange(n, dtype=np.int64) % clusters
    pass_rates = np.array(rates or np.linspace(0.05, 0.95, clusters))
    seen = np.flatnonzero(of_row > 0) if clusters > 1 else np.arange(n)
    history = []
    for t in range(1, rounds + 1):
        last = t == rounds
        count = min(probed if last else 2 * probed, len(seen))
        rows = rng.choice(seen, size=count, replace=False)
        is_probe = np.arange(count) < probed
        counted = np.full(count, samples, dtype=np.int64)
        right = rng.binomial(counted, pass_rates[of_row[rows]]).astype(np.int64)
        history.append(RoundEvidence(round=t, rows=rows, right=right, counted=counted, probed=is_probe))
    embeddings = rng.normal(size=(n, 4)).astype(np.float32) if n <= 10_000 else None
    return Evidence(clusters=of_row, n_clusters=clusters, rounds=tuple(history), samples=samples, embeddings=embeddings)


def no_progress(done: int, total: int) -> None:
    """A progress callback for nobody."""
