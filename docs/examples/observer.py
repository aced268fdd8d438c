"""Says on stderr how long each stage took, and when a round had little to learn from."""

import sys

from saidpo_core import hookimpl


@hookimpl
def saidpo_after_stage(event):
    if not event.reused:
        print(f"round {event.round} {event.stage}: {event.seconds:.1f} s", file=sys.stderr)


@hookimpl
def saidpo_after_round(row):
    if row["round"] and row["yield"] < 0.2:
        print(f"round {row['round']}: only {row['pairs']} pairs of {row['explored']} problems", file=sys.stderr)
