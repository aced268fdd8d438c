"""Keyed seeds: stable, unambiguous, in range."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core.seeds import keyed_rng, keyed_seed

KEYS = st.lists(st.integers() | st.text(), max_size=4)


def test_seeds_never_change() -> None:
    # Runs that were begun with an older version go on with the same numbers.
    assert keyed_seed(0) == 7_520_536_977_032_167_579
    assert keyed_seed(0, 1, "probe", "p-7") == 6_335_712_883_333_431_416
    assert keyed_rng(0, 1, "draw").bit_generator.state == np.random.PCG64(keyed_seed(0, 1, "draw")).state


@given(st.integers(), KEYS, st.integers(), KEYS)
def test_different_keys_give_different_seeds(
    seed: int, keys: list[int | str], other: int, others: list[int | str]
) -> None:
    assert 0 <= keyed_seed(seed, *keys) < 2**63
    assert (keyed_seed(seed, *keys) == keyed_seed(other, *others)) == ((seed, keys) == (other, others))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((1, 23), (12, 3)),
        ((0, "1"), (0, 1)),
        ((0, "a", "b"), (0, "ab")),
        ((0, 'a", "b'), (0, "a", "b")),
        ((0, ""), (0,)),
    ],
)
def test_keys_that_look_alike_are_not_mixed_up(one: tuple[int, ...], two: tuple[int, ...]) -> None:
    assert keyed_seed(*one) != keyed_seed(*two)


def test_whole_numbers_of_numpy_are_the_same_keys_and_fractions_are_refused() -> None:
    assert keyed_seed(np.int64(3), np.int32(4)) == keyed_seed(3, 4)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        keyed_seed(0, 1.5)  # type: ignore[arg-type]


def test_neighbouring_keys_give_unrelated_numbers() -> None:
    numbers = [
        keyed_rng(0, round, stage).random() for round, stage in itertools.product(range(1000), ("probe", "draw"))
    ]
    probes, draws = np.array(numbers[::2]), np.array(numbers[1::2])
    assert abs(np.corrcoef(probes, draws)[0, 1]) < 0.1
    assert abs(np.corrcoef(probes[1:], probes[:-1])[0, 1]) < 0.1
    assert abs(probes.mean() - 0.5) < 0.04


def test_global_random_state_is_neither_read_nor_changed() -> None:
    np.random.seed(1)
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()
    first = keyed_rng(5, "x").random(3)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before
    np.random.seed(2)
    assert (keyed_rng(5, "x").random(3) == first).all()
