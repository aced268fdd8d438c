"""Which examples make up an optimiser step, and how a step is dealt out to processes and micro-batches.

The steps are TRL's: a permutation that follows from the seed and the epoch, cut every ``batch_size`` examples. Nothing
but rounding depends on the number of processes or on ``micro_batch_size``. Within a step (**ours**) examples of like
length share a micro-batch, and micro-batches of like length run at the same time on all processes, so that padding
falls while every step still sees the same examples. Grouping by length across steps, as transformers' samplers do,
saves a little more but makes steps of long examples only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from saidpo_core import UsageError


def split_batch(batch: int, largest: int, processes: int, smallest: int = 1) -> tuple[int, int]:
    """(micro-batch a process, micro-batches a step): the fewest equal ones, of at most ``largest`` examples each."""
    if batch % processes:
        raise UsageError(f"--trainer.batch_size={batch} must be a multiple of the {processes} processes that train")
    share = batch // processes
    fitting = [size for size in range(smallest, min(largest, share) + 1) if share % size == 0]
    if not fitting:
        raise UsageError(
            f"--trainer.batch_size={batch} on {processes} process(es) has no divisor between {smallest} and "
            f"--trainer.micro_batch_size={largest}"
        )
    return fitting[-1], share // fitting[-1]


def deal(rows: Sequence[int], lengths: Sequence[int], micro: int, processes: int) -> list[list[list[int]]]:
    """The rows of one step, by process and micro-batch; as many micro-batches of at most ``micro`` rows for each.

    No process may be without: where there are fewer rows than that takes, some come again as ``~row``, which are
    negative and alone in their micro-batch, and are to count for nothing.
    """
    rounds = -(-len(rows) // (micro * processes))
    groups = rounds * processes
    if groups == 1:
        return [[list(rows)]]
    rows = sorted(rows, key=lambda row: -lengths[row])
    if groups >= len(rows):
        parts = [[row] for row in rows] + [[~rows[i % len(rows)]] for i in range(groups - len(rows))]
    else:
        ends = [len(rows) * (group + 1) // groups for group in range(groups)]
        parts = [rows[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [parts[process::processes] for process in range(processes)]


class StepBatches:
    """Micro-batches of one process, step after step: what torch calls a batch sampler.

    Args:
        lengths: tokens of each example.
        batch: examples a step, over all processes.
        micro: examples a micro-batch at most.
        processes, rank: how many train, and which of them this is.
        seed: with the epoch, what the order follows from; the order is that of TRL's own sampler.
    """

    def __init__(self, lengths: Sequence[int], *, batch: int, micro: int, processes: int, rank: int, seed: int) -> None:
        self.lengths, self.batch, self.micro = lengths, batch, micro
        self.processes, self.rank, self.seed = processes, rank, seed
        self.epoch = 0

    def __len__(self) -> int:
        sizes = [min(self.batch, len(self.lengths) - start) for start in range(0, len(self.lengths), self.batch)]
        return sum(-(-size // (self.micro * self.processes)) for size in sizes)

    def __iter__(self) -> Iterator[list[int]]:
        import torch

        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            yield from deal(rows, self.lengths, self.micro, self.processes)[self.rank]

    def set_epoch(self, epoch: int) -> None:
        """Called by transformers at the beginning of each pass over the data, counted from 0."""
        self.epoch = epoch


def loader(dataset: Any, batches: StepBatches, collate: Callable[[list[Any]], Any], pin_memory: bool) -> Any:
    """A torch ``DataLoader`` of these micro-batches. Each says under ``rows`` how many of its examples count."""
    from torch.utils.data import DataLoader, Dataset

    class StepLoader(DataLoader[int]):
        set_epoch = staticmethod(batches.set_epoch)

    class Rows(Dataset[int]):
        """Hands out the rows' numbers, so that one that is to count for nothing is known to ``batch``."""

        def __len__(self) -> int:
            return len(dataset)

        def __getitem__(self, row: int) -> int:
            return row

    def batch(rows: list[int]) -> Any:
        made = collate([dataset[row if row >= 0 else ~row] for row in rows])
        made["rows"] = sum(row >= 0 for row in rows)
        if not made["rows"] and "labels" in made:
            made["labels"].fill_(-100)
        return made

    return StepLoader(Rows(), batch_sampler=batches, collate_fn=batch, pin_memory=pin_memory)
