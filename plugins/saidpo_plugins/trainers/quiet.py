"""Keeping the libraries below to themselves: their chatter and the global random state that they set."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def same_random_state() -> Iterator[None]:
    """Put the global random state back at the end: transformers and TRL seed Python's, NumPy's and torch's."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def quiet() -> Iterator[None]:
    """Progress is ours to show: silence the chatter of the libraries below."""
    from transformers.utils import logging as transformers_logging

    trl, deepspeed = logging.getLogger("trl"), logging.getLogger("DeepSpeed")
    verbosity, level = transformers_logging.get_verbosity(), trl.level
    transformers_logging.set_verbosity_error()
    trl.setLevel(logging.ERROR)
    deepspeed.addFilter(_errors)  # it sets its level itself, when transformers imports it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        trl.setLevel(level)
        deepspeed.removeFilter(_errors)


def _errors(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
