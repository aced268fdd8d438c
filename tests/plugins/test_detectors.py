"""Each failure signature: a run that has it is named, with advice; one that has not is left in peace."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_plugins.common.record_statistics import balanced_error, probe_signal, wilson
from saidpo_plugins.detectors import collapse, filtered, noisy_probe, stagnation, truncated, unverifiable
from tests.report.made_up import MadeUp

LOOP = (1, 2, 3, 4, 5) * 12
"""Token ids of a response that says the same again and again."""

RUNS: dict[str, tuple[MadeUp, MadeUp]] = {
    "collapse": (
        MadeUp(accuracy=lambda t: (0.6, 0.8, 0.5, 0.4)[t]),
        MadeUp(accuracy=lambda t: (0.6, 0.8, 0.76, 0.8)[t]),
    ),
    "collapse by the probe": (
        MadeUp(held_out=0, pass_rate=lambda c, t: 0.9 - 0.25 * t, probe=120),
        MadeUp(held_out=0, pass_rate=lambda c, t: 0.3 if c < 2 else 0.9),
    ),
    "collapse of log-probabilities": (
        MadeUp(training=lambda t: {"chosen_logp_drift": -2.5}),  # 20 tokens
        MadeUp(training=lambda t: {"chosen_logp_drift": -1.5}),
    ),
    "collapse into repetition": (
        MadeUp(ids=lambda t: tuple(range(20)) if t == 1 else LOOP),
        MadeUp(ids=lambda t: tuple(range(20 if t == 1 else 60))),  # longer, without repetition
    ),
    "stagnation": (
        MadeUp(weight=lambda c, t: 1.0 + 0.05 * (c == 0), pass_rate=lambda c, t: 0.3 + 0.1 * c),
        MadeUp(weight=lambda c, t: 1.0, settings={"sampler": "uniform"}),
    ),
    "noisy-probe": (
        MadeUp(clusters=30, probe=60, pass_rate=lambda c, t: 0.7, problems=600),
        MadeUp(clusters=30, probe=240, pass_rate=lambda c, t: 0.2 if c < 8 else 0.95, problems=600),
    ),
    "filtered": (MadeUp(pass_rate=lambda c, t: 0.5 if c == 5 and t == 1 else 1.0, weight=lambda c, t: 1.0), MadeUp()),
    "truncated": (MadeUp(truncated=0.1), MadeUp(truncated=0.01)),
    "unverifiable": (MadeUp(unverifiable=0.1), MadeUp(unverifiable=0.005, truncated=0.3)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("signature", RUNS)
def test_a_run_that_has_it_is_named_and_one_that_has_not_is_left_in_peace(tmp_path: Path, signature: str) -> None:
    name = signature.split()[0]
    bad, good = RUNS[signature]
    warnings = [w for w in bad.write(tmp_path / "bad")["findings"] if w["name"] == name]
    assert warnings
    assert "--" in warnings[0]["advice"]
    assert any(letter.isdigit() for letter in warnings[0]["message"])
    assert not [w for w in good.write(tmp_path / "good")["findings"] if w["name"] == name]


def test_a_run_in_which_all_is_well_gives_no_warning(tmp_path: Path) -> None:
    assert MadeUp(rounds=2).write(tmp_path / "well")["findings"] == []


# The single signs, on small records


def record(**row: Any) -> dict[str, Any]:
    """Of two rounds; ``row`` changes the last one."""
    facts = {"pass_rate": 0.7, "pass_rate_error": 0.03, "length": 50.0, "repetition": 0.02, "truncated": 0.0}
    plain = {
        "accuracy_balanced": None, "accuracy_pool": None, "explored": 100, "usable": 30, "too_easy": 50, "too_hard": 20,
        "unknown": 0, "responses": 800, "truncated": 0, "unverifiable": 0, "probe": facts,
        "lengths": {"right": 50.0, "wrong": 60.0}, "training": {},
    }  # fmt: skip
    start = {"round": 0, "accuracy_balanced": None, "accuracy_pool": None, "explored": 0}
    settings = {
        "sampler": {"name": "error-weighted", "alpha": 1.0, "eps": 0.1, "decay": 0.5}, "truncated": "drop",
        "generator": {"max_new_tokens": 64}, "probe_share": 0.01, "probe_min": 120,
    }  # fmt: skip
    rounds = [start, {"round": 1, **copy.deepcopy(plain)}, {"round": 2, **copy.deepcopy(plain), **row}]
    return {"rounds": rounds, "groups": {}, "clusters": [], "settings": settings, "warnings": []}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"truncated": 40}, 1), ({"truncated": 39}, 0),
    ],
)  # fmt: skip
def test_truncated_at_its_threshold(row: dict[str, Any], found: int) -> None:
    assert len(truncated.saidpo_diagnose(record(**row))) == found


def test_truncated_says_what_became_of_them_and_the_limit() -> None:
    (finding,) = truncated.saidpo_diagnose(record(truncated=100))
    assert finding.message == "100 of 800 responses were cut off at the token limit and dropped"
    assert finding.advice == "raise --generator.max_new_tokens (now 64)"


def test_dropped_truncated_responses_are_not_called_unverifiable_twice() -> None:
    assert not unverifiable.saidpo_diagnose(record(unverifiable=100, truncated=100))
    assert len(unverifiable.saidpo_diagnose(record(unverifiable=116, truncated=100))) == 1
    rejected = record(unverifiable=16, truncated=100)
    rejected["settings"]["truncated"] = "reject"
    assert len(unverifiable.saidpo_diagnose(rejected)) == 1


@pytest.mark.parametrize("cause", ["too_easy", "too_hard", "unknown"])
def test_filtered_advises_by_its_cause(cause: str) -> None:
    counts = {"usable": 4, "too_easy": 0, "too_hard": 0, "unknown": 0, cause: 96}
    (finding,) = filtered.saidpo_diagnose(record(**counts))
    assert finding.message.startswith("4 of 100 explored problems")
    advice = {"too_easy": "harder problems", "too_hard": "easier problems", "unknown": "max_new_tokens"}
    assert advice[cause] in finding.advice
    assert not filtered.saidpo_diagnose(record(**{**counts, "usable": 5, cause: 95}))


def test_a_run_that_stopped_because_nothing_was_left_is_filtered() -> None:
    stopped = record()
    stopped["stopped"] = {"round": 3, "explored": 50, "usable": 0, "too_easy": 50, "too_hard": 0, "unknown": 0}
    (finding,) = filtered.saidpo_diagnose(stopped)
    assert "0 of 50" in finding.message


def test_a_fall_within_chance_is_no_collapse() -> None:
    groups = {f"g{i}": {"held_out": 25, "accuracy": [0.6, 0.8, 0.76]} for i in range(4)}
    falling = record()
    falling["groups"] = groups
    for row, value in zip(falling["rounds"], (0.6, 0.8, 0.76), strict=True):
        row["accuracy_balanced"] = value
    assert not collapse.saidpo_diagnose(falling)
    for group in groups.values():
        group["held_out"] = 5000  # now it is certain, and more than two points
    assert len(collapse.saidpo_diagnose(falling)) == 1


def test_detectors_say_nothing_before_there_is_a_round_and_of_records_of_before() -> None:
    first = record()
    first["rounds"] = [{**first["rounds"][0], "explored": 0}]
    old = record()
    for row in old["rounds"]:
        row.pop("probe", None), row.pop("lengths", None)
    for module in (collapse, filtered, noisy_probe, stagnation, truncated, unverifiable):
        assert module.saidpo_diagnose(first) == []
        assert module.saidpo_diagnose(old) == []


# The statistics under them


def layout(rates: list[list[float]], decay: float = 0.5) -> dict[str, Any]:
    """A record whose one probe found these errors, a list a cluster."""
    sums = [[len(errors), sum(errors), sum(e * e for e in errors)] for errors in rates]
    clusters = [{"size": 10, "rounds": [{"probe_errors": item}]} for item in sums]
    return {"clusters": clusters, "settings": {"sampler": {"name": "error-weighted", "decay": decay}}}


def test_reliability_is_that_of_the_one_way_layout() -> None:
    from scipy import stats

    rng = np.random.default_rng(0)
    errors = [rng.random(size).tolist() for size in (5, 9, 4, 7, 12)]
    signal = probe_signal(layout(errors), 1)
    assert signal is not None
    f = float(stats.f_oneway(*errors).statistic)
    assert signal.reliability == pytest.approx(max(0.0, 1 - 1 / f))
    assert signal.clusters == 5


def test_noise_alone_is_mostly_called_so_and_a_clear_signal_never() -> None:
    rng = np.random.default_rng(1)
    noise, clear = [], []
    for _ in range(200):
        noise.append(probe_signal(layout([(rng.random(5) < 0.3).astype(float).tolist() for _ in range(24)]), 1))
        clear.append(
            probe_signal(
                layout([(rng.random(5) < (0.9 if c < 6 else 0.05)).astype(float).tolist() for c in range(24)]), 1
            )
        )
    low = [signal for signal in noise if signal is not None and signal.reliability < noisy_probe.RELIABILITY]
    assert len(low) > 0.95 * len(noise)
    assert all(signal is not None and signal.reliability >= noisy_probe.RELIABILITY for signal in clear)


def test_older_probes_count_as_much_as_the_sampler_counts_them() -> None:
    record = layout([[0.0, 1.0], [1.0, 0.5]])
    for cluster, later in zip(record["clusters"], ([4, 1.0, 1.0], [0, 0, 0]), strict=True):
        cluster["rounds"].append({"probe_errors": later})
    signal = probe_signal(record, 2)
    assert signal is not None
    assert signal.problems == 0.5 * 4 + 4


@pytest.mark.parametrize("decay", [0.2, 0.5, 1.0])
def test_reliability_is_unbiased_whatever_the_weights_of_older_probes(decay: float) -> None:
    """Clusters whose means spread as 0.15 around 0.5, five problems of each a round, four rounds."""
    rng = np.random.default_rng(2)
    found, true = [], []
    for _ in range(300):
        rates = np.clip(rng.normal(0.5, 0.15, 40), 0, 1)
        record = layout([[] for _ in rates], decay)
        for cluster, rate in zip(record["clusters"], rates, strict=True):
            cluster["rounds"] = [{"probe_errors": [5, n, n]} for n in rng.binomial(5, rate, 4).tolist()]
        signal = probe_signal(record, 4)
        assert signal is not None
        found.append(signal.reliability)
        weights = 5 * decay ** np.arange(4)
        noise = (rates * (1 - rates)).mean() * (weights * decay ** np.arange(4)).sum() / weights.sum() ** 2
        true.append(rates.var() / (rates.var() + noise))
    assert np.mean(found) == pytest.approx(np.mean(true), abs=0.03)


def test_the_weights_of_static_rest_on_the_first_probe_alone() -> None:
    record = layout([[0.0, 0.1, 0.0], [1.0, 0.9, 1.0]])
    for cluster in record["clusters"]:
        cluster["rounds"].append({"probe_errors": [40, 20.0, 20.0]})
    aged = probe_signal(record, 2)
    record["settings"]["sampler"] = {"name": "static"}
    first = probe_signal(record, 2)
    assert aged is not None
    assert first is not None
    assert (first.problems, aged.problems) == (6, 83)
    assert first.reliability > 0.95 > aged.reliability


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=20))
def test_the_error_of_balanced_accuracy_is_positive_and_falls_with_the_number_of_problems(
    groups: list[tuple[int, int]],
) -> None:
    def tree(times: int) -> dict[str, Any]:
        scores = {str(i): {"held_out": n * times, "accuracy": [min(r, n) / n]} for i, (r, n) in enumerate(groups)}
        return {"groups": scores}

    one, many = balanced_error(tree(1), 0), balanced_error(tree(100), 0)
    assert one is not None
    assert many is not None
    assert 0 < many < one < 1


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilsons_interval_is_that_of_statsmodels_formula_and_holds_the_share(right: int, n: int) -> None:
    from scipy.stats import binomtest

    right = min(right, n)
    low, high = wilson(right, n)
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-4)
