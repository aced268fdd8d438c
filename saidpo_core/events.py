"""What observers are told: which stage of which round begins, how far it is, how it ended; how run and study did."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy

from saidpo_core.records import Finding

OBSERVERS_FOLDER = "observers"
"""In a run directory: where observers keep files, each in a folder of its own. The run itself reads none of it."""


@dataclass(frozen=True, kw_only=True)
class StageEvent:
    """A stage of a run. ``result`` is filled when it has ended: the numbers worth showing of it."""

    run_dir: Path
    round: int
    """0 for what comes before the first round."""
    stage: str
    """pool, tag, embed, cluster and evaluate before the first round; probe, weigh, explore, pair, train and evaluate
    in each. Its folder in the run directory has the same name, after a number."""
    unit: str = ""
    """What its progress counts: problems, texts, steps."""
    reused: bool = False
    """The stage was finished by an earlier process; nothing was done now."""
    seconds: float = 0.0
    result: Mapping[str, Any] = field(default_factory=dict)


class Observers:
    """Calls the observer hooks. An observer that raises is named once on stderr; the run goes on."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._manager = manager
        self._blamed: set[str] = set()

    def add(self, observer: object, name: str) -> None:
        self._manager.register(observer, name=name)

    def before(self, event: StageEvent) -> None:
        self._call("saidpo_before_stage", event=event)

    def progress(self, event: StageEvent, done: int, total: int) -> None:
        self._call("saidpo_stage_progress", event=event, done=done, total=total)

    def note(self, event: StageEvent, text: str) -> None:
        self._call("saidpo_stage_note", event=event, text=text)

    def after(self, event: StageEvent) -> None:
        self._call("saidpo_after_stage", event=event)

    def after_round(self, row: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        self._call("saidpo_after_round", row=row, record=record)

    def after_run(self, run_dir: Path, record: Mapping[str, Any], problem: str) -> None:
        self._call("saidpo_after_run", run_dir=run_dir, record=record, problem=problem)

    def after_study(self, study_dir: Path, result: Mapping[str, Any]) -> None:
        self._call("saidpo_after_study", study_dir=study_dir, result=result)

    def diagnose(self, record: Mapping[str, Any]) -> list[Finding]:
        """What all detectors find, by name, so that the order in which plug-ins were found does not show."""
        found = self._call("saidpo_diagnose", record=record)
        return sorted(found, key=lambda finding: (finding.name, finding.message))

    def _call(self, hook: str, **arguments: Any) -> list[Finding]:
        found: list[Finding] = []
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            try:
                found += _findings(impl.function(**{name: arguments[name] for name in impl.argnames}))
            except (Exception, SystemExit) as error:
                if impl.plugin_name not in self._blamed:
                    self._blamed.add(impl.plugin_name)
                    message = f"saidpo: observer {impl.plugin_name} failed in {hook} and is ignored there: {error!r}"
                    print(message, file=sys.stderr)
        return found


def _findings(returned: Any) -> list[Finding]:
    """What a detector returned; other observers return nothing."""
    if returned is None:
        return []
    if not (isinstance(returned, list | tuple) and all(isinstance(item, Finding) for item in returned)):
        raise TypeError(f"expected a list of Finding, got {returned!r:.80}")
    return list(returned)
