"""Paired differences of arms, their intervals and tests, corrected for many (**ours**)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NOTHING = 1e-9
"""Of an accuracy: less is the rounding of floats."""


@dataclass(frozen=True)
class Difference:
    """``arm - reference`` over pairs of runs."""

    pairs: int
    mean: float
    low: float
    """Ends of the 95% interval for new seeds on these bases."""
    high: float
    p: float
    """Two-sided, uncorrected; NaN if there are too few pairs, or all differ by the same amount, other than none."""
    effect: float
    """Standardised: the mean over the standard deviation within bases (Cohen's d of paired differences)."""
    effect_low: float
    effect_high: float
    bases_low: float
    """Ends of the 95% interval for other bases of the kind; NaN with fewer than three bases."""
    bases_high: float


def difference(by_base: Mapping[str, Sequence[float]]) -> Difference:
    """From the differences of the pairs of each base. Needs two pairs of one base that differ, else only the mean is
    known: a spread of nothing, of accuracies that come in steps, says that there are few pairs and not that they agree.
    """
    import numpy as np
    from scipy import stats

    groups = [np.asarray(values, dtype=float) for values in by_base.values() if len(values)]
    n = sum(map(len, groups))
    if not n:
        return Difference(0, *([math.nan] * 9))
    mean = float(np.concatenate(groups).mean())
    free = n - len(groups)
    nan = math.nan
    if not free:
        return Difference(n, mean, nan, nan, nan, nan, nan, nan, nan, nan)
    spread = math.sqrt(sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / free)
    error = spread / math.sqrt(n)
    half = float(stats.t.ppf(0.975, free)) * error
    others = (nan, nan)
    if len(groups) > 2:
        means = np.array([g.mean() for g in groups])
        wide = float(stats.t.ppf(0.975, len(groups) - 1) * means.std(ddof=1) / math.sqrt(len(groups)))
        others = (mean - wide, mean + wide)
    if spread < _NOTHING:
        if abs(mean) < _NOTHING:  # the arms are the same
            return Difference(n, mean, mean, mean, 1.0, nan, nan, nan, *others)
        return Difference(n, mean, nan, nan, nan, nan, nan, nan, *others)
    t = mean / error
    low, high = (bound / math.sqrt(n) for bound in noncentrality(t, free))
    return Difference(
        n, mean, mean - half, mean + half, float(2 * stats.t.sf(abs(t), free)), mean / spread, low, high, *others
    )


def noncentrality(t: float, free: int) -> tuple[float, float]:
    """95% interval of the noncentrality of Student's t: those under which ``t`` is in neither tail of 2.5%.

    Sound where ``scipy.stats.nct`` gives NaN: the mean of the normal law over 10,000 quantiles of chi.
    """
    import numpy as np
    from scipy import optimize, stats

    chi = np.sqrt(stats.chi2.ppf((np.arange(10_000) + 0.5) / 10_000, free) / free)

    def bound(tail: float) -> float:
        def beyond(centre: float) -> float:
            return float(stats.norm.cdf(t * chi - centre).mean()) - tail

        reach = 5 + 5 * abs(t)  # at either end the law is certain
        return float(optimize.brentq(beyond, -reach, reach))

    return bound(0.975), bound(0.025)


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected by Holm's step-down method for as many tests as there are; NaN stays, and counts."""
    corrected, least = {}, 0.0
    order = sorted(ps, key=lambda name: (math.isnan(ps[name]), ps[name]))
    for rank, name in enumerate(order):
        value = ps[name]
        if not math.isnan(value):
            least = value = max(least, min(1.0, (len(ps) - rank) * value))
        corrected[name] = value
    return corrected


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for one value)."""
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1) if len(values) > 1 else 0.0
    return mean, spread**0.5
