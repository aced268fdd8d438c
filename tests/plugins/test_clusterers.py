"""Clusterers ``minibatch-kmeans``, ``hdbscan`` and ``tags``: what every clusterer promises, and what each adds.

``kmeans`` and ``none`` are in ``test_embedders_clusterers.py``.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Literal

import numpy as np
import pytest
import sklearn.cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import threadpool_limits

from saidpo_core import Clusterer, MissingExtra, NoOptions
from saidpo_core.contracts import check_labels
from saidpo_core.prepare import read_only, text_of
from saidpo_core.registry import load_registry
from saidpo_plugins.clusterers.hdbscan import HDBSCAN, HDBSCANOptions
from saidpo_plugins.clusterers.minibatch_kmeans import MiniBatchKMeans, MiniBatchKMeansOptions
from saidpo_plugins.clusterers.rows import wanted_clusters
from saidpo_plugins.clusterers.tags import TagsClusterer
from saidpo_plugins.embedders.tfidf import Tfidf
from saidpo_plugins.pools.arithmetic import saidpo_pools

CLUSTERERS: dict[str, tuple[str, Clusterer]] = {
    "minibatch-kmeans": ("minibatch-kmeans", MiniBatchKMeans(MiniBatchKMeansOptions())),
    "minibatch-kmeans k=3": ("minibatch-kmeans", MiniBatchKMeans(MiniBatchKMeansOptions(k=3, batch_size=5))),
    "hdbscan": ("hdbscan", HDBSCAN(HDBSCANOptions())),
    "hdbscan 2": ("hdbscan", HDBSCAN(HDBSCANOptions(min_cluster_size=2))),
    "hdbscan own": ("hdbscan", HDBSCAN(HDBSCANOptions(min_cluster_size=3, noise="own"))),
    "tags": ("tags", TagsClusterer(NoOptions())),
}
every = pytest.mark.parametrize("name", CLUSTERERS)
REGISTRY = load_registry()
Labels = NDArray[np.int64]


def label(name: str, rows: Any, seed: int = 0, tags: Any = None) -> Labels:
    """Labels of problems whose tags follow from their rows, as in a run; some have none."""
    kind, clusterer = CLUSTERERS[name]
    vectors = np.asarray(rows, np.float32)
    if tags is None:
        tags = [(f"{row[0]:.0f}", "x") if row[0] > 0 else () for row in vectors]
    labels = clusterer.cluster(read_only(vectors), tags, np.random.default_rng(seed))
    check_labels(labels, len(vectors), REGISTRY.find("clusterer", kind, "--clusterer"))
    assert labels.dtype == np.int64
    return labels


def hdbscan(
    rows: Any, min_cluster_size: int | Literal["auto"] = 5, noise: Literal["nearest", "own"] = "nearest"
) -> Labels:
    vectors = np.asarray(rows, np.float32)
    options = HDBSCANOptions(min_cluster_size=min_cluster_size, noise=noise)
    return HDBSCAN(options).cluster(vectors, [()] * len(vectors), np.random.default_rng(0))


def blob(*centre: float, n: int = 20, seed: int = 0) -> NDArray[np.float32]:
    points = np.random.default_rng(seed).standard_normal((n, len(centre))) * 0.1 + np.array(centre)
    return points.astype(np.float32)


_tables = st.tuples(st.integers(1, 30), st.integers(1, 60), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, (shape[0], shape[2]), elements=st.floats(-1e6, 1e6, width=32) | st.integers(-2, 2)),
        st.lists(st.integers(0, shape[0] - 1), min_size=shape[1], max_size=shape[1]),
    ).map(lambda drawn: drawn[0][drawn[1]])
)
"""Up to 60 rows, of which many are equal."""


@every
@settings(deadline=None, max_examples=60)
@given(rows=_tables, seed=st.integers(0, 2**32))
def test_every_problem_has_a_label_whatever_the_order_and_equal_rows_have_the_same(
    name: str, rows: Any, seed: int
) -> None:
    before = rows.copy()
    labels = label(name, rows, seed)
    np.testing.assert_array_equal(rows, before)
    np.testing.assert_array_equal(labels, label(name, rows, seed))
    order = np.random.default_rng(seed).permutation(len(rows))
    np.testing.assert_array_equal(labels[order], label(name, rows[order], seed))
    distinct, row_of = np.unique(rows + 0.0, axis=0, return_inverse=True)
    assert len(set(zip(row_of.ravel().tolist(), labels.tolist(), strict=True))) == len(distinct)


@every
@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 2.0]],
        [[1.0, 2.0]] * 30,
        [[1.0, 2.0], [3.0, 4.0]],
        [[1.0, 2.0]] * 20 + [[3.0, 4.0]],
        [[0.0, 0.0]] * 10,
        np.eye(50) * 9,
        np.arange(40.0)[:, None] ** 4,
        np.random.default_rng(0).standard_normal((100, 384)),
        np.random.default_rng(0).standard_normal((10, 384)),
    ],
    ids=["one", "equal", "two", "one more", "zeros", "equally far", "ever farther", "wide", "wider than long"],
)
def test_odd_pools(name: str, rows: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(label(name, rows)) == len(rows)


@every
def test_the_number_of_threads_does_not_matter(name: str) -> None:
    rows = np.random.default_rng(0).standard_normal((1500, 80))
    rows[:500] *= 0.1
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(label(name, rows))
    np.testing.assert_array_equal(*found)


class TestMiniBatchKMeans:
    def cluster(self, rows: Any, k: int | Literal["auto"], seed: int = 0, batch_size: int = 64) -> Labels:
        vectors = np.asarray(rows, np.float32)
        options = MiniBatchKMeansOptions(k=k, batch_size=batch_size)
        return MiniBatchKMeans(options).cluster(vectors, [()] * len(vectors), np.random.default_rng(seed))

    def test_finds_groups_that_are_there(self) -> None:
        centres = np.random.default_rng(0).standard_normal((10, 16)) * 10
        group = np.random.default_rng(1).integers(10, size=2000)
        labels = self.cluster(centres[group] + np.random.default_rng(2).standard_normal((2000, 16)) * 0.1, 10)
        assert len(set(zip(group, labels, strict=True))) == 10

    def test_never_more_clusters_than_asked_for_or_than_distinct_rows(self) -> None:
        rows = np.random.default_rng(0).standard_normal((300, 5))
        assert len(set(self.cluster(rows, 1))) == 1
        assert 2 <= len(set(self.cluster(rows, 10))) <= 10
        assert len(set(self.cluster(rows[:7], 1000))) <= 7
        assert len(set(self.cluster(np.repeat(rows, 10, axis=0), "auto"))) <= wanted_clusters("auto", 3000)

    def test_weights_of_equal_rows_count(self) -> None:
        """Of points at 0, 1 and 2.1 two share a cluster: a light one joins its neighbour, whichever it is."""
        labels = self.cluster([[0.0]] * 1 + [[1.0]] * 1000 + [[2.1]] * 1000, 2, batch_size=1024)
        assert labels[0] == labels[1] != labels[-1]
        labels = self.cluster([[0.0]] * 1000 + [[1.0]] * 1000 + [[2.1]] * 1, 2, batch_size=1024)
        assert labels[0] != labels[1000] == labels[-1]

    def test_another_seed_may_group_otherwise(self) -> None:
        rows = np.random.default_rng(0).standard_normal((300, 5))
        assert not np.array_equal(self.cluster(rows, 10, seed=0), self.cluster(rows, 10, seed=1))

    def test_one_thread_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Threads change the last bits of the centres, which few data show; so look at how many work."""
        used = []
        fit = sklearn.cluster.MiniBatchKMeans.fit

        def spying_fit(*args: Any, **kwargs: Any) -> Any:
            used.append(_openmp_effective_n_threads())
            return fit(*args, **kwargs)

        monkeypatch.setattr(sklearn.cluster.MiniBatchKMeans, "fit", spying_fit)
        with threadpool_limits(2):
            self.cluster(np.random.default_rng(0).standard_normal((100, 4)), 5)
        assert used == [1]


class TestHDBSCAN:
    TWO = np.concatenate([blob(0, 0), blob(10, 0, seed=1)])

    def test_finds_groups_that_are_there_in_many_dimensions_too(self) -> None:
        centres = np.random.default_rng(0).standard_normal((6, 384)) * 5
        group = np.random.default_rng(1).integers(6, size=400)
        labels = hdbscan(centres[group] + np.random.default_rng(2).standard_normal((400, 384)) * 0.1)
        assert len(set(zip(group, labels, strict=True))) == 6

    def test_noise_goes_to_the_nearest_cluster_or_stays_on_its_own(self) -> None:
        far = [[0.0, -40.0], [10.0, 60.0], [0.0, -40.0], [40.0, 90.0]]
        rows = np.concatenate([self.TWO, np.array(far, np.float32)])
        nearest, own = hdbscan(rows, noise="nearest"), hdbscan(rows, noise="own")
        left, right = nearest[0], nearest[20]
        assert nearest.tolist() == [left] * 20 + [right] * 20 + [left, right, left, right]
        assert len(set(own.tolist())) == 5
        assert own[40] == own[42], "equal rows of noise stay together"

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32), st.integers(2, 8), st.integers(2, 6))
    def test_nearest_is_own_with_every_row_of_noise_moved_to_the_nearest_other(
        self, seed: int, blobs: int, min_cluster_size: int
    ) -> None:
        source = np.random.default_rng(seed)
        dense = source.uniform(-10, 10, (blobs, 1, 2)) + source.standard_normal((blobs, 12, 2)) * 0.3
        points = np.concatenate([dense.reshape(-1, 2), source.uniform(-15, 15, (25, 2))]).astype(np.float32)
        own, nearest = hdbscan(points, min_cluster_size, "own"), hdbscan(points, min_cluster_size, "nearest")
        noise = np.bincount(own)[own] == 1  # a cluster has at least two rows
        if noise.all():
            assert set(nearest.tolist()) == {0}
            return
        assert np.bincount(own[~noise]).max() >= min_cluster_size
        distances = np.linalg.norm(points[:, None].astype(float) - points[~noise].astype(float), axis=-1)
        moved = own[~noise][distances.argmin(axis=1)]
        np.testing.assert_array_equal(nearest, np.unique(moved, return_inverse=True)[1])

    def test_if_all_is_noise_it_is_one_cluster_or_each_its_own(self) -> None:
        rows = [[float(number)] for number in (1, 2, 3, 3)]
        assert hdbscan(rows, noise="nearest").tolist() == [0, 0, 0, 0]
        assert hdbscan(rows, noise="own").tolist() == [0, 1, 2, 2]

    def test_equal_rows_count_once(self) -> None:
        """Four tag lists of a hundred problems each are no cluster of at least five."""
        few = np.repeat(blob(50, 50, n=4, seed=2), 100, axis=0)
        labels = hdbscan(np.concatenate([self.TWO, few]), noise="own")
        assert len(set(labels[:40].tolist())) == 2
        assert len(set(labels[40:].tolist())) == 4
        doubled = hdbscan(np.concatenate([self.TWO, self.TWO[:7], self.TWO[:7]]))
        np.testing.assert_array_equal(doubled[:40], hdbscan(self.TWO))

    @pytest.mark.parametrize("min_cluster_size", ["auto", 10])
    def test_no_cluster_swallows_the_embedded_pool(self, min_cluster_size: int | Literal["auto"]) -> None:
        """The most stable nodes of the tree, or core distances that grow with the size, would be one that does."""
        [pool] = [offer for offer in saidpo_pools() if offer.name == "arithmetic"]
        problems = pool.build(pool.options()).load(np.random.default_rng(0)).problems
        texts, index = np.unique([text_of(problem.tags) for problem in problems], return_inverse=True)
        rows = Tfidf(NoOptions()).embed(texts.tolist(), lambda done, total: None)[index]
        sizes = np.bincount(hdbscan(rows, min_cluster_size))
        assert 15 <= len(sizes) <= 60
        assert sizes.max() < len(problems) / 5

    def test_without_the_package_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "hdbscan", None)
        with pytest.raises(MissingExtra, match=r"--clusterer=hdbscan needs .* pip install 'saidpo\[hdbscan\]'"):
            load_registry().find("clusterer", "hdbscan", "").require_package()


def test_tags_are_clusters_by_the_first_tag_in_the_order_of_their_names() -> None:
    tags = [("b", "a"), (), ("a",), ("b",), ("", "b"), (), ("B",)]
    labels = label("tags", np.zeros((7, 1)), tags=tags)
    assert labels.tolist() == [4, 0, 3, 4, 1, 0, 2]
