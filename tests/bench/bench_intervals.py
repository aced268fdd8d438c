"""How often 95% intervals of avg@n hold the true accuracy, and how wide they are: ours, a bootstrap over problems, and
Wilson's that takes all responses for independent. 2,000 evaluations a row, difficulties from Beta(a, b).

python tests/bench/bench_intervals.py
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from saidpo_core.intervals import accuracy_interval

TRIALS, DRAWS = 2000, 400


def main() -> None:
    print("problems  n  truth   ours: held width   bootstrap: held width   independent: held")
    for problems, n, a, b in (
        (30, 32, 0.2, 0.8),
        (30, 32, 0.05, 0.45),
        (30, 32, 0.5, 0.5),
        (40, 32, 0.8, 0.4),
        (30, 32, 20, 20),
        (30, 8, 0.2, 0.8),
        (500, 4, 0.8, 0.3),
    ):
        rng = np.random.default_rng(0)
        truth = a / (a + b)
        rows = []
        for _ in range(TRIALS):
            right = rng.binomial(n, rng.beta(a, b, problems))
            low, high = accuracy_interval(right.tolist(), n)
            means = (right / n)[rng.integers(0, problems, (DRAWS, problems))].mean(1)
            left, up = np.quantile(means, [0.025, 0.975])
            flat = stats.binomtest(int(right.sum()), problems * n).proportion_ci(method="wilson")
            rows.append(
                (low <= truth <= high, high - low, left <= truth <= up, up - left, flat.low <= truth <= flat.high)
            )
        held, width, boot_held, boot_width, flat_held = np.mean(rows, axis=0)
        print(
            f"{problems:8} {n:2} {truth:6.2f} {held:12.3f} {width:5.3f} {boot_held:17.3f} {boot_width:5.3f} "
            f"{flat_held:19.3f}"
        )


if __name__ == "__main__":
    main()
