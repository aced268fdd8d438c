"""Paired comparison of two arms over the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Paired:
    """Differences ``arm - reference`` of runs with the same seed."""

    n: int
    mean: float
    low: float
    """Lower end of the 95% interval of the mean difference (Student's t)."""
    high: float
    p: float
    """Two-sided p of the paired t-test that the mean difference is 0."""

    @property
    def significant(self) -> bool:
        return self.p < 0.05


def paired_difference(arm: Sequence[float], reference: Sequence[float]) -> Paired:
    """Student's paired t-test; needs at least two pairs. Differences without any spread give p = 0 or 1."""
    import numpy as np
    from scipy import stats

    differences = np.asarray(arm, dtype=float) - np.asarray(reference, dtype=float)
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / n**0.5
    if error == 0:
        return Paired(n, mean, mean, mean, 1.0 if mean == 0 else 0.0)
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Paired(n, mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, n - 1)))


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for one value)."""
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1) if len(values) > 1 else 0.0
    return mean, spread**0.5
