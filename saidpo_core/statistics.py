"""Paired comparison of two arms over the same seeds, and intervals of accuracies."""

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


def accuracy_interval(right: Sequence[int], samples: int = 1) -> tuple[float, float]:
    """95% interval of an accuracy: ``right[i]`` of the ``samples`` responses to problem i are right.

    With one response a problem this is Wilson's score interval. With more, the responses to one problem are not
    independent, so they count as fewer: Wilson's interval at the effective number of responses that the variance
    between problems leaves (its design effect; at least one a problem), with Student's t for few problems, as in
    surveys drawn by clusters (Korn and Graubard 1998; Dean and Pagano 2015). In [0, 1] whatever the counts.
    """
    from scipy import stats

    m = len(right)
    rates = [count / samples for count in right]
    p = sum(rates) / m
    if samples == 1 or m == 1:
        return _wilson(p, m, float(stats.norm.ppf(0.975)))
    variance = sum((rate - p) ** 2 for rate in rates) / (m - 1) / m
    effective = p * (1 - p) / variance if variance else (m if p in (0, 1) else m * samples)
    effective = min(max(effective, m), m * samples)
    return _wilson(p, effective, float(stats.t.ppf(0.975, m - 1)))


def mean_interval(means: Sequence[float], intervals: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Interval of the mean of independent accuracies from their own intervals (MOVER, Zou and Donner 2008)."""
    n = len(means)
    mean = sum(means) / n
    below = sum((value - low) ** 2 for value, (low, _) in zip(means, intervals, strict=True)) ** 0.5 / n
    above = sum((high - value) ** 2 for value, (_, high) in zip(means, intervals, strict=True)) ** 0.5 / n
    return max(0.0, mean - below), min(1.0, mean + above)


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for one value)."""
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1) if len(values) > 1 else 0.0
    return mean, spread**0.5
