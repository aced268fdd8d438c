"""The draw: problems without replacement, each next one with chance proportional to its weight, exactly.

An exponential race: row i finishes at time E_i / w_i with E_i standard exponential; the order of finishing has the
law of a sequential weighted draw without replacement (the same law as Gumbel top-n). One pass over the pool, then
only the winners are sorted: about 10 ms for a million problems.

Weights are divided by their maximum first, so any constant weights give the very draw that all ones give: that is
what makes ``alpha = 0`` exactly IDPO.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from saidpo_core.records import BoolArray, FloatArray, IntArray


def draw(weights: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """``n`` different rows of ``weights`` [N] in the order in which they were drawn.

    Rows of weight zero (or below 1e-300 times the largest) are never drawn; fewer than ``n`` rows come back if fewer
    are left. Weights have to be finite and not negative.
    """
    return _race_order(_finishing_times(weights, rng), n)


def draw_new(weights: FloatArray, n: int, already: BoolArray, rng: np.random.Generator) -> IntArray:
    """Draw on until ``n`` rows outside ``already`` [N] have come up; all rows drawn so far, in draw order.

    **Ours**: rows of ``already`` (probed this round) that come up on the way are drawn as well and reuse the
    responses that they have, so every arm of a comparison explores the same number of new problems, whatever
    its weights. If fewer than ``n`` such rows can be drawn, every row that can be drawn comes back.
    """
    import numpy as np

    times = _finishing_times(weights, rng)
    new_times = times[~already]
    if n <= 0 or n > len(new_times):
        return _race_order(times, 0 if n <= 0 else len(times))
    last = np.partition(new_times, n - 1)[n - 1]  # infinite if fewer than n of them can be drawn
    return _in_order(times, np.flatnonzero(times <= last))


def _finishing_times(weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """[N], infinite for rows that cannot be drawn. Always uses one number a row, so equal seeds race alike."""
    import numpy as np

    times = rng.standard_exponential(len(weights))
    largest = weights.max(initial=0.0)
    if largest == 0:
        return np.full(len(weights), np.inf)
    shares = weights / largest
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(times, shares, out=times)
    times[shares < 1e-300] = np.inf
    return times


def _race_order(times: FloatArray, n: int) -> IntArray:
    """The rows of the ``n`` smallest finite times, smallest first."""
    import numpy as np

    n = min(n, len(times))
    if n <= 0:
        return np.empty(0, dtype=np.int64)
    winners = np.argpartition(times, n - 1)[:n] if n < len(times) else np.arange(n)
    winners.sort()
    return _in_order(times, winners)


def _in_order(times: FloatArray, winners: IntArray) -> IntArray:
    """Those of the ascending rows ``winners`` that have a finite time, smallest first.

    The sort is stable: equal times are settled the same way everywhere.
    """
    import numpy as np

    winners = winners[np.isfinite(times[winners])]
    return winners[np.argsort(times[winners], kind="stable")].astype(np.int64, copy=False)
