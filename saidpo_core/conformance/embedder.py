"""Checks of embedders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import NotApplicable, Subject, check, must
from saidpo_core.contracts import blame, check_embeddings


def inputs(subject: Subject) -> dict[str, Any]:
    """Unique texts, as the core hands them over; the empty one is that of a problem without tags."""
    topics = ("", *samples.TOPICS, *(f"{topic}, level {i}" for topic in samples.TOPICS for i in range(5)))
    return {
        "ordinary": topics,
        "one": topics[1:2],
        "extremes": ("", " ", "\U0001d54f \u00e9\u0301 \u202e", "word " * 20_000),
        "huge": tuple(f"{topic} {i}" for topic in samples.TOPICS for i in range(250)),
    }


def work(subject: Subject, component: Any, given: Sequence[str], seed: int) -> Any:
    """The vectors as lists."""
    import numpy as np

    with blame(subject.offer, "embed"):
        vectors = np.asarray(component.embed(given, samples.no_progress))
    check_embeddings(vectors, len(given), subject.offer)
    return vectors.tolist()


@check("embedder")
def order_of_texts_does_not_matter(subject: Subject) -> None:
    """A text's vector is the same wherever it stands, but for rounding."""
    import numpy as np

    if subject.offer.component.order_matters:
        raise NotApplicable("says that order matters")
    given = subject.input("ordinary")
    turned = work(subject, subject.fresh(), given[::-1], 0)[::-1]
    apart = np.abs(np.array(subject.result()) - np.array(turned)).max(axis=1)
    worst = int(apart.argmax())
    must(apart[worst] < 1e-4, f"the vector of {given[worst]!r:.40} differs by {apart[worst]:.2g}")


@check("embedder")
def different_texts_differ(subject: Subject) -> None:
    """Texts about different things do not all get the same vector."""
    import numpy as np

    vectors = np.array(subject.result())
    must(bool((vectors != vectors[0]).any()), "all texts get the same vector")


@check("embedder")
def parts_give_what_the_whole_gives(subject: Subject) -> None:
    """If it is ``separable``, texts that are embedded in parts get the vectors of one call, but for rounding."""
    import numpy as np

    if not subject.offer.component.separable:
        raise NotApplicable("does not say separable=True")
    given = subject.input("ordinary")
    parts = (given[:1], given[1:3], given[3:])
    apart = np.concatenate([work(subject, subject.fresh(), part, 0) for part in parts])
    differs = np.abs(np.array(subject.result()) - apart).max(axis=1)
    worst = int(differs.argmax())
    must(differs[worst] < 1e-4, f"the vector of {given[worst]!r:.40} differs by {differs[worst]:.2g}")
