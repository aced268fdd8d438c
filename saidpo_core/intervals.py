"""95% intervals of accuracies: of one benchmark, greedy or avg@n, and of the mean over several."""

from __future__ import annotations

from collections.abc import Sequence


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
