"""How optimiser steps are dealt out: the same examples whoever trains them, none twice, little padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch  # here, so that it is not timed as part of an example
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import UsageError
from saidpo_plugins.trainers.preferences import batches_by_length
from saidpo_plugins.trainers.step_batches import StepBatches, deal, loader, split_batch

lengths_of_rows = st.lists(st.integers(1, 50), min_size=1, max_size=40)
processes = st.integers(1, 8)
micro_batch = st.integers(1, 8)


def padded(batches: list[list[int]], lengths: list[int]) -> int:
    return sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)


@given(lengths_of_rows, micro_batch, processes)
def test_every_row_of_a_step_counts_once(lengths: list[int], micro: int, processes: int) -> None:
    dealt = deal(range(len(lengths)), lengths, micro, processes)
    assert len(dealt) == processes
    assert len({len(batches) for batches in dealt}) == 1
    batches = [batch for own in dealt for batch in own]
    assert sorted(row for batch in batches for row in batch if row >= 0) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= micro
        assert all(row >= 0 for row in batch) or (len(batch) == 1 and 0 <= ~batch[0] < len(lengths))


@given(st.data(), micro_batch, processes, st.integers(1, 4))
def test_no_other_equal_micro_batches_have_less_padding(
    data: st.DataObject, micro: int, processes: int, rounds: int
) -> None:
    size = micro * processes * rounds
    lengths = data.draw(st.lists(st.integers(1, 50), min_size=size, max_size=size))
    other = data.draw(st.permutations(range(size)))
    batches = [batch for own in deal(range(size), lengths, micro, processes) for batch in own]
    assert padded(batches, lengths) <= padded(
        [other[start : start + micro] for start in range(0, size, micro)], lengths
    )


@given(lengths_of_rows, st.integers(1, 12), micro_batch, processes, st.integers(0, 3))
def test_steps_are_the_same_however_they_are_dealt_out(
    lengths: list[int], batch: int, micro: int, processes: int, epoch: int
) -> None:
    def steps(micro: int, processes: int) -> list[list[int]]:
        ranks = []
        for rank in range(processes):
            mine = StepBatches(lengths, batch=batch, micro=micro, processes=processes, rank=rank, seed=5)
            mine.set_epoch(epoch)
            assert len(mine) == len(list(mine))
            ranks.append(list(mine))
        found, taken = [], 0
        for start in range(0, len(lengths), batch):
            size = min(batch, len(lengths) - start)
            rounds = -(-size // (micro * processes))
            own = [row for rank in ranks for part in rank[taken : taken + rounds] for row in part if row >= 0]
            found.append(sorted(own))
            taken += rounds
        return found

    assert steps(micro, processes) == steps(batch, 1)


def test_the_order_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = StepBatches([1] * 20, batch=4, micro=4, processes=1, rank=0, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


@given(st.integers(1, 200), st.integers(1, 64), processes)
def test_a_batch_is_split_into_equal_parts_or_refused(batch: int, largest: int, processes: int) -> None:
    if batch % processes:
        with pytest.raises(UsageError, match=rf"batch_size={batch} must be a multiple of the {processes} processes"):
            split_batch(batch, largest, processes)
        return
    micro, accumulation = split_batch(batch, largest, processes)
    assert micro * accumulation * processes == batch
    assert micro <= largest


def test_a_row_that_counts_for_nothing_says_so() -> None:
    """One row for two processes: the second has it again, with no label in it."""

    def collate(examples: list[int]) -> dict[str, Any]:
        return {"labels": torch.tensor([[example] for example in examples])}

    def only(rank: int) -> dict[str, Any]:
        batches = StepBatches([1], batch=2, micro=1, processes=2, rank=rank, seed=0)
        (batch,) = loader([7], batches, collate, pin_memory=False)
        return dict(batch)

    assert only(0) == {"labels": torch.tensor([[7]]), "rows": 1}
    assert only(1) == {"labels": torch.tensor([[-100]]), "rows": 0}


@given(lengths_of_rows, st.integers(1, 200))
def test_a_reference_pass_asks_for_every_row_in_batches_that_have_room(lengths: list[int], room: int) -> None:
    batches = batches_by_length(lengths, room)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= room
