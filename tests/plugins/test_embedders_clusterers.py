"""Embedders ``sentence-transformers`` and ``tfidf``, clusterers ``kmeans`` and ``none``, with the real libraries."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import threadpool_limits

from saidpo_core import Embedder, NoOptions, UsageError
from saidpo_plugins.clusterers.kmeans import KMeans, KMeansOptions
from saidpo_plugins.clusterers.none import OneCluster
from saidpo_plugins.clusterers.rows import wanted_clusters
from saidpo_plugins.embedders.sentence_transformers import (
    SentenceTransformers,
    SentenceTransformersOptions,
    _default_folder,
)
from saidpo_plugins.embedders.tfidf import Tfidf

TOPICS = ["ratios", "prime numbers", "linear equations", "area of a circle"]
TEXTS = [f"{topic}; {level}" for topic in TOPICS for level in ("easy", "hard", "word problem")]


def quiet(done: int, total: int) -> None:
    pass


def cluster(embeddings: Any, k: Any = "auto", seed: int = 0) -> Any:
    rows = np.asarray(embeddings, np.float32)
    return KMeans(KMeansOptions(k=k)).cluster(rows, [()] * len(rows), np.random.default_rng(seed))


@pytest.fixture(params=["sentence-transformers", "tfidf"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "tfidf":
        return Tfidf(NoOptions())
    return SentenceTransformers(SentenceTransformersOptions(device="cpu"))


class TestEmbedders:
    def test_rows_are_finite_of_length_one_and_in_order(self, embedder: Embedder) -> None:
        vectors = embedder.embed(TEXTS, quiet)
        assert vectors.dtype == np.float32
        assert vectors.shape[0] == len(TEXTS)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, :3]
        assert all(set(row) == set(range(i // 3 * 3, i // 3 * 3 + 3)) for i, row in enumerate(nearest))

    def test_the_same_texts_get_the_same_vectors(self, embedder: Embedder) -> None:
        np.testing.assert_array_equal(embedder.embed(TEXTS, quiet), embedder.embed(TEXTS, quiet))

    @pytest.mark.parametrize("texts", [["a"], [""], ["", " ", "ratios"], ["same"] * 5, ["é→½ 数", "x" * 5000]])
    def test_odd_texts(self, embedder: Embedder, texts: list[str]) -> None:
        vectors = embedder.embed(texts, quiet)
        assert vectors.shape[0] == len(texts)
        assert vectors.shape[1] >= 1
        assert np.isfinite(vectors).all()
        for row, text in enumerate(texts):
            np.testing.assert_allclose(vectors[row], vectors[texts.index(text)], atol=1e-6)

    def test_no_text(self, embedder: Embedder) -> None:
        assert embedder.embed([], quiet).shape[0] == 0

    def test_progress_ends_at_the_total_and_nothing_is_printed(
        self, embedder: Embedder, capfd: pytest.CaptureFixture[str]
    ) -> None:
        seen: list[tuple[int, int]] = []
        embedder.embed(TEXTS, lambda done, total: seen.append((done, total)))
        assert seen[-1] == (len(TEXTS), len(TEXTS))
        assert capfd.readouterr() == ("", "")


class TestTfidf:
    def test_at_most_64_dimensions_and_equal_texts_equal_to_the_bit(self) -> None:
        texts = [f"text number {number}" for number in range(200)]
        vectors = Tfidf(NoOptions()).embed([*texts, *texts], quiet)
        assert vectors.shape == (400, 64)
        np.testing.assert_array_equal(vectors[:200], vectors[200:])

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
    def test_any_texts(self, texts: list[str]) -> None:
        vectors = Tfidf(NoOptions()).embed(texts, quiet)
        lengths = np.linalg.norm(vectors, axis=1)
        assert vectors.shape[0] == len(texts)
        assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()


class TestSentenceTransformers:
    def test_batches_do_not_change_rows(self) -> None:
        whole = SentenceTransformers(SentenceTransformersOptions(device="cpu")).embed(TEXTS, quiet)
        small = SentenceTransformers(SentenceTransformersOptions(device="cpu", batch_size=2)).embed(TEXTS, quiet)
        np.testing.assert_allclose(whole, small, atol=1e-5)

    def test_a_folder_of_ones_own(self, tmp_path: Path) -> None:
        shutil.copytree(_default_folder(), tmp_path / "model")
        own = SentenceTransformersOptions(model=str(tmp_path / "model"), device="cpu")
        vectors = SentenceTransformers(own).embed(TEXTS, quiet)
        default = SentenceTransformers(SentenceTransformersOptions(device="cpu")).embed(TEXTS, quiet)
        np.testing.assert_array_equal(vectors, default)

    def test_a_model_that_cannot_be_found_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        (tmp_path / "empty").mkdir()
        for name in (str(tmp_path / "none"), "./none", str(tmp_path / "empty"), "nobody/no-such-model"):
            with pytest.raises(UsageError, match=rf"--embedder\.model.*{name}"):
                SentenceTransformers(SentenceTransformersOptions(model=name, device="cpu")).embed(TEXTS, quiet)

    def test_a_device_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(UsageError, match="device nonsense"):
            SentenceTransformers(SentenceTransformersOptions(device="nonsense")).embed(TEXTS, quiet)


_tables = st.tuples(st.integers(1, 12), st.integers(1, 40), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, (shape[0], shape[2]), elements=st.floats(-1e6, 1e6, width=32)),
        st.lists(st.integers(0, shape[0] - 1), min_size=shape[1], max_size=shape[1]),
    ).map(lambda drawn: drawn[0][drawn[1]])
)
"""Up to 40 rows, of which many are equal."""


class TestKMeans:
    @settings(deadline=None, max_examples=80)
    @given(rows=_tables, k=st.integers(1, 15) | st.just("auto"), seed=st.integers(0, 2**32))
    def test_promises(self, rows: Any, k: Any, seed: int) -> None:
        before = rows.copy()
        labels = cluster(rows, k, seed)
        assert labels.dtype == np.int64
        assert labels.shape == (len(rows),)
        np.testing.assert_array_equal(rows, before)
        distinct, row_of = np.unique(rows + 0.0, axis=0, return_inverse=True)
        used = np.unique(labels)
        np.testing.assert_array_equal(used, np.arange(len(used)))  # compact, every label used
        assert len(used) <= min(wanted_clusters(k, len(rows)), len(distinct))
        assert len(set(zip(row_of.ravel(), labels, strict=True))) == len(distinct)  # equal rows, equal labels
        np.testing.assert_array_equal(labels, cluster(rows, k, seed))
        order = np.random.default_rng(seed).permutation(len(rows))
        np.testing.assert_array_equal(labels[order], cluster(rows[order], k, seed))

    @pytest.mark.parametrize("k", ["auto", 1, 5])
    def test_one_problem_and_all_equal(self, k: Any) -> None:
        assert cluster([[1.0, 2.0]], k).tolist() == [0]
        assert cluster([[1.0, 2.0]] * 30, k).tolist() == [0] * 30

    def test_as_many_clusters_as_asked_for(self) -> None:
        rows = np.random.default_rng(0).standard_normal((300, 5))
        for k in (1, 2, 10, 300, 1000):
            assert len(set(cluster(rows, k))) == min(k, 300)

    @pytest.mark.parametrize(("problems", "k"), [(1, 8), (1_000, 8), (5_000, 25), (30_000, 150), (1_000_000, 150)])
    def test_auto_is_the_papers_150_for_large_pools(self, problems: int, k: int) -> None:
        assert wanted_clusters("auto", problems) == k

    def test_finds_groups_that_are_there(self) -> None:
        centres = np.random.default_rng(0).standard_normal((10, 16)) * 10
        group = np.random.default_rng(1).integers(10, size=500)
        labels = cluster(centres[group] + np.random.default_rng(2).standard_normal((500, 16)) * 0.1, 10)
        assert len(set(zip(group, labels, strict=True))) == 10

    def test_weights_of_equal_rows_count(self) -> None:
        """Of points at 0, 1 and 2.1 two share a cluster: a light one joins its neighbour, whichever it is."""
        rows = [[0.0]] * 1 + [[1.0]] * 1000 + [[2.1]] * 1000
        labels = cluster(rows, 2)
        assert labels[0] == labels[1] != labels[-1]
        rows = [[0.0]] * 1000 + [[1.0]] * 1000 + [[2.1]] * 1
        labels = cluster(rows, 2)
        assert labels[0] != labels[1000] == labels[-1]

    def test_the_number_of_threads_does_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Threads change the last bits of the centres, which few data show; so look at how many work as well."""
        used = []
        fit = sklearn.cluster.KMeans.fit

        def spying_fit(*args: Any, **kwargs: Any) -> Any:
            used.append(_openmp_effective_n_threads())
            return fit(*args, **kwargs)

        monkeypatch.setattr(sklearn.cluster.KMeans, "fit", spying_fit)
        rows = np.random.default_rng(0).standard_normal((2000, 16))
        found = []
        for threads in (1, 2):
            with threadpool_limits(threads):
                found.append(cluster(rows, 20))
        np.testing.assert_array_equal(found[0], found[1])
        assert used == [1, 1]

    def test_another_seed_may_group_otherwise(self) -> None:
        rows = np.random.default_rng(0).standard_normal((300, 5))
        assert not np.array_equal(cluster(rows, 10, seed=0), cluster(rows, 10, seed=1))


def test_none_puts_everything_into_one_cluster() -> None:
    labels = OneCluster(NoOptions()).cluster(np.eye(4, dtype=np.float32), [()] * 4, np.random.default_rng(0))
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 0, 0, 0]
