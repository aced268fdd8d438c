"""A study that can be analysed at once: real settings, checked as ever, and records of runs that are made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from saidpo_core.registry import Registry, load_registry
from saidpo_core.study.analysis import analyse
from saidpo_core.study.command import write_result
from saidpo_core.study.plan import Job, Study, make_study

registry: Callable[[], Registry] = cache(load_registry)


@dataclass
class MadeUpStudy:
    """What is to be made up; the defaults are one base, three arms and five seeds, of which one arm is better."""

    arms: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {
            "uniform": {"sampler": "uniform"},
            "static": {"sampler": "static"},
            "error-weighted": {"sampler": "error-weighted", "sampler.eps": 0.2},
        }
    )
    bases: Sequence[str] = ("embedded",)
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    rounds: int = 3
    """Of arms that do not say how many they have."""
    score: str = "final"
    title: str = "Where are problems drawn?"
    texts: Mapping[str, str] = field(
        default_factory=lambda: {"question": "Does drawing by errors pay?", "about": "Made up: no run was made."}
    )
    gain: Callable[[str, str, int], float] = lambda arm, base, seed: (
        0.05 + {"error-weighted": 0.03, "static": 0.01}.get(arm, 0.0) + 0.004 * ((seed * 7 + len(arm)) % 5)
    )
    """Of accuracy a round."""
    tokens: Callable[[str], int] = lambda arm: 60_000
    """A round."""
    ended: Callable[[Job], bool] = lambda job: True

    def plan(self, out: Path) -> Study:
        return make_study(
            registry(),
            arms={name: (f"arms.{name}", values) for name, values in self.arms.items()},
            common={"settings": {"rounds": self.rounds, "samples": 4, "trainer.steps": 30}},
            bases={base: {"model": "embedded"} for base in self.bases},
            seeds=self.seeds,
            out=out,
            title=self.title,
            texts=self.texts,
            score=self.score,
            command=("study", "made up.toml", "--on=embedded"),
            where="made up.toml",
        )

    def write(self, out: Path) -> dict[str, Any]:
        """Make the folder, with ``study.json`` and ``study.md``, and return what was found."""
        study = self.plan(out)
        for job in study.jobs:
            if self.ended(job):
                job.folder.mkdir(parents=True)
                (job.folder / "summary.json").write_text(json.dumps(self._record(job)))
        out.mkdir(exist_ok=True)
        result = analyse(study)
        write_result(result, out)
        return result

    def _record(self, job: Job) -> dict[str, Any]:
        gain, start = self.gain(job.arm, job.base, job.seed), 0.4 + 0.05 * self.bases.index(job.base)
        rows = [{"accuracy_balanced": min(1.0, start + gain * t)} for t in range(job.settings.run.rounds + 1)]
        spent = {"tokens": self.tokens(job.arm), "explored": 400, "steps": 30, "pairs": 100 + job.seed, "seconds": 20.5}
        return {"finished": True, "rounds": [rows[0], *({**row, **spent} for row in rows[1:])]}
