from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from saidpo_core.registry import load_registry
from saidpo_spectral import Spectral, SpectralOptions


def cluster(rows: NDArray[np.float32], seed: int = 0, **options: int) -> NDArray[np.int64]:
    rows.flags.writeable = False  # as the core hands them over
    return Spectral(SpectralOptions(**options)).cluster(rows, ((),) * len(rows), np.random.default_rng(seed))


def rings(n: int = 300) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points on two circles, one around the other, and which circle each is on."""
    rng = np.random.default_rng(0)
    circle = rng.integers(2, size=n)
    angle = rng.uniform(0, 2 * np.pi, n)
    points = (1 + 2 * circle)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return points.astype(np.float32), circle


def test_areas_may_have_any_shape() -> None:
    rows, circle = rings()
    labels = cluster(rows, k=2)
    assert set(zip(labels.tolist(), circle.tolist(), strict=True)) in ({(0, 0), (1, 1)}, {(0, 1), (1, 0)})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=25),
    st.integers(1, 30),
    st.integers(2, 12),
)
def test_labels_are_compact_and_equal_rows_stay_together(points: list[tuple[int, int]], k: int, neighbors: int) -> None:
    labels = cluster(np.array(points, np.float32), k=k, neighbors=neighbors)
    assert set(labels.tolist()) == set(range(labels.max() + 1))
    assert labels.max() < k
    assert len(set(zip(points, labels.tolist(), strict=True))) == len(set(points))


@pytest.mark.parametrize("n", [1, 2, 50])
def test_equal_rows_are_one_cluster(n: int) -> None:
    assert cluster(np.ones((n, 4), np.float32), k=8).tolist() == [0] * n


def test_same_seed_same_labels_whatever_the_order() -> None:
    rows, _ = rings()
    labels = cluster(rows.copy(), k=6)
    assert np.array_equal(labels, cluster(rows.copy(), k=6))
    order = np.random.default_rng(1).permutation(len(rows))
    assert np.array_equal(labels[order], cluster(rows[order], k=6))


def test_thousands_of_points() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 32))
    area = rng.integers(20, size=3000)
    labels = cluster((centres[area] + 0.1 * rng.normal(size=(3000, 32))).astype(np.float32), k=20)
    assert len(set(zip(labels.tolist(), area.tolist(), strict=True))) == 20


def test_saidpo_finds_it() -> None:
    offer = load_registry().find("clusterer", "spectral", "--clusterer")
    assert offer.owner.distribution == "saidpo-spectral"
