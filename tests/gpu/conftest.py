"""For the checks that need a GPU: skipped with a reason where there is none; figures are kept for ``run.py``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import pytest

FIGURES = "SAIDPO_GPU_FIGURES"
"""Names the file to which figures are appended, one JSON object a line."""


@dataclass(frozen=True)
class Figure:
    """A measured number and what it must not go beyond."""

    check: str
    name: str
    value: float
    unit: str
    limit: float | None
    at_least: bool
    """The limit is the smallest value that is right; else the largest."""

    @property
    def good(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{self.name}: {self.value:.6g} {self.unit}" + (
            "" if self.limit is None else f" ({sign} {self.limit:g})"
        )


class Report(Protocol):
    def __call__(
        self, name: str, value: float, unit: str, limit: float | None = None, *, at_least: bool = False
    ) -> None:
        """Keep a figure, and fail the test at its end if it is beyond its limit."""
        ...


def missing_cuda() -> str:
    """Why no check can run here; empty if one can."""
    import torch

    if torch.cuda.is_available():
        return ""
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build without CUDA"
    return f"no CUDA device (torch {torch.__version__} is {built})"


@pytest.hookimpl(tryfirst=True)  # before the marks are chosen by
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mine = [
        item for item in items if Path(__file__).parent in item.path.parents and item.path.name != "test_figures.py"
    ]
    reason = missing_cuda() if mine else ""
    for item in mine:
        item.add_marker(pytest.mark.gpu)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Iterator[Report]:
    """``figure(name, value, unit, limit)``: what was measured. All of a test are kept, then bad ones fail it."""
    found: list[Figure] = []

    def report(name: str, value: float, unit: str, limit: float | None = None, *, at_least: bool = False) -> None:
        found.append(Figure(request.node.name, name, float(value), unit, limit, at_least))

    yield report
    keep(found)
    bad = [str(item) for item in found if not item.good]
    if bad:
        pytest.fail("beyond the limit: " + "; ".join(bad))


def keep(figures: list[Figure]) -> None:
    file = os.environ.get(FIGURES)
    if file:
        with Path(file).open("a", encoding="utf-8") as out:
            out.writelines(json.dumps({**asdict(item), "good": item.good}) + "\n" for item in figures)
