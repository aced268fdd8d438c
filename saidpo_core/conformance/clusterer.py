"""Checks of clusterers."""

from __future__ import annotations

from typing import Any

from saidpo_core.conformance import samples
from saidpo_core.conformance.kit import NotApplicable, Subject, check, must
from saidpo_core.contracts import blame, check_labels
from saidpo_core.seeds import keyed_rng


def inputs(subject: Subject) -> dict[str, Any]:
    """(vectors [N, d], tags) of pools of several sizes."""
    import numpy as np

    def of(vectors: Any) -> tuple[Any, Any]:
        return vectors, samples.tags(len(vectors))

    return {
        "ordinary": of(samples.vectors(120)),
        "one": of(samples.vectors(1)),
        "duplicates": (np.ones((40, 8), np.float32), (("same",),) * 40),
        "extremes": (samples.vectors(30, distinct=2), ((),) * 30),
        "huge": of(samples.vectors(20_000, 32, distinct=1500)),
    }


def work(subject: Subject, component: Any, given: tuple[Any, Any], seed: int) -> Any:
    """The label of each problem."""
    import numpy as np

    vectors, tags = given
    with blame(subject.offer, "cluster"):
        labels = np.asarray(component.cluster(vectors, tags, keyed_rng(seed, "cluster")))
    check_labels(labels, len(vectors), subject.offer)
    return labels.tolist()


@check("clusterer")
def order_of_problems_does_not_matter(subject: Subject) -> None:
    """Which problems are together does not depend on where they stand; the numbers of the clusters may."""
    import numpy as np

    if subject.offer.component.order_matters:
        raise NotApplicable("says that order matters")
    vectors, tags = subject.input("ordinary")
    order = np.random.default_rng(3).permutation(len(vectors))
    turned = work(subject, subject.fresh(), (vectors[order], tuple(tags[i] for i in order)), 0)
    pairs = {(subject.result()[row], label) for row, label in zip(order.tolist(), turned, strict=True)}
    clusters = len(set(subject.result()))
    must(len(pairs) == clusters == len(set(turned)), "in another order other problems are put together")


@check("clusterer")
def works_with_any_seed(subject: Subject) -> None:
    """With any other seed it keeps the contract too."""
    for seed in (1, 2, 3):
        subject.work(subject.fresh(), "ordinary", seed)
