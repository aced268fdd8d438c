"""Too noisy a probe: what sets the clusters' error rates apart is mostly chance, and so are the weights.

1% of a pool leaves about three problems for each of 150 clusters. Judged by the reliability of the clusters' error
rates over all probes that the weights rest on (``saidpo_plugins.common.record_statistics``); not where uniform draws
were asked for.
"""

from __future__ import annotations

from saidpo_core import Finding, hookimpl
from saidpo_plugins.common.record_statistics import Record, number_of_clusters, probe_signal, weighs

RELIABILITY = 0.5
"""Below it more of the differences between clusters is noise than is not; the usual floor for any use of a mean is
higher (0.7)."""


@hookimpl
def saidpo_diagnose(record: Record) -> list[Finding]:
    t = len(record["rounds"]) - 1
    signal = probe_signal(record, t) if t and weighs(record) else None
    if signal is None or signal.reliability >= RELIABILITY:
        return []
    message = (
        f"weights are close to random: {100 * (1 - signal.reliability):.0f}% of the differences between clusters are "
        f"noise, the interval of {signal.overlapping} of {signal.clusters} clusters holds the pool's mean "
        f"({signal.problems / signal.clusters:.1f} probed problems a cluster)"
    )
    share, least = record["settings"]["probe_share"], record["settings"]["probe_min"]
    advice = (
        f"probe more (--probe-share, now {share:g}; --probe-min, now {least}) or use fewer clusters "
        f"({number_of_clusters(record)})"
    )
    return [Finding(name="noisy-probe", message=message, advice=advice)]
