"""SAI-DPO (arXiv 2505.16176), top to bottom; the comments give the steps of the paper. What is ours is marked so.

Every step is a stage of the run directory: made once, whole or not at all, and read back if a killed run goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from saidpo_core import codecs
from saidpo_core.components import Progress, TrainingJob
from saidpo_core.contracts import blame, check_training, require
from saidpo_core.errors import SaidpoError
from saidpo_core.measuring import measure, problems_to_measure, seen_in_training
from saidpo_core.parts import Parts
from saidpo_core.preflight import cut_off, preflight
from saidpo_core.prepare import Knowledge, find_knowledge, load_pool
from saidpo_core.problem_file import Joined, outline_of
from saidpo_core.records import Attempts, Evaluation, Pair, Problem, RoundEvidence, TrainingReport
from saidpo_core.rollouts import Rollouts, read_attempts
from saidpo_core.run_dir import RunDir
from saidpo_core.run_record import fingerprint
from saidpo_core.seeds import keyed_seed
from saidpo_core.selection import (
    Draw,
    build_pairs,
    counts_of,
    evidence_of,
    probe_rows,
    response_counts,
    token_limit,
    weigh_and_draw,
)
from saidpo_core.settings import RunOptions
from saidpo_core.summary import Summary


class Loop:
    """One run. ``train`` is the algorithm; the other methods are its stages."""

    def __init__(
        self, options: RunOptions, parts: Parts, run_dir: RunDir, first_policy: Path, summary: Summary
    ) -> None:
        self.options = options
        self.parts = parts
        self.run_dir = run_dir
        self.first_policy = first_policy
        self.waves = parts.rollouts.waves(options.samples)
        self.summary = summary
        self.token_limit = 0
        self.knowledge: Knowledge
        self.measured: tuple[Problem, ...]
        self.history: list[RoundEvidence] = []

    def train(self) -> Path:
        """Run all rounds and return the folder of the last policy."""
        # Once per pool: tag problems with knowledge points, embed the tags, cluster them.
        sets = load_pool(self.run_dir, self.parts, self.options.seed)
        outline = outline_of(sets.problems)
        self.measured = problems_to_measure(self.run_dir, self.parts, sets.held_out)
        self.parts.verifier.prepare(outline.domains | {problem.domain for problem in self.measured})
        seen = seen_in_training(sets.problems, self.measured) if self.measured != sets.held_out else []
        every = Joined(sets.problems, self.measured)
        self.summary.warn(preflight(self.run_dir, self.parts, self.first_policy, every, seen))
        self.knowledge = find_knowledge(self.run_dir, self.parts, sets, outline, self.options.seed)
        policy = self.first_policy
        self.summary.begin(self.knowledge, self.evaluate(0, policy))
        for t in range(1, self.options.rounds + 1):
            # 1-2. Probe 1% of the pool, K responses each, every one verified: the policy's own view of difficulty.
            probe = self.probe(t, policy)
            self.summary.warn(cut_off(probe) if t == 1 else [])
            self.token_limit = self.token_limit or token_limit(probe, len(sets.problems), self.options)
            # 3-5. Weigh clusters by where the policy errs; draw without replacement.
            draw = self.weigh(t, probe)
            # 6. Explore what was drawn; with early_stop no further than a pair (ours). Problems probed this round reuse
            # their responses.
            explored = [*probe, *self.explore(t, policy, draw, probe)]
            # 7. One right/wrong pair a problem that is neither too easy nor too hard; the hardest stay.
            pairs = self.pair(t, explored)
            if not pairs and t > 1:
                self.summary.stop(t, explored)
                break
            # 8. DPO from M_{t-1}, reference M_{t-1}.
            policy, report = self.learn(t, policy, pairs, explored)
            # 9. Measure, and keep the round's record.
            evaluation = self.evaluate(t, policy)
            self.summary.add_round(t, probe, draw, explored, pairs, report, evaluation)
        return policy

    def rollouts(self, t: int, policy: Path, waves: tuple[int, ...] = ()) -> Rollouts:
        chunk = self.parts.rollouts.chunk
        return Rollouts(self.parts, self.options, self.run_dir.clock, policy, t, chunk, waves)

    def probe(self, t: int, policy: Path) -> list[Attempts]:
        problems = [self.knowledge.problems[row] for row in probe_rows(len(self.knowledge.problems), self.options, t)]

        def make(folder: Path, progress: Progress) -> None:
            # Neither round_tokens nor early_stop cuts the probe short: the weights rest on it.
            self.rollouts(t, policy).explore(problems, folder, progress)

        def describe(probe: Sequence[Attempts]) -> dict[str, Any]:
            return {**_describe_attempts(probe), **({"warnings": cut_off(probe)} if t == 1 else {})}

        return self.run_dir.keep(t, "01-probe", make, read_attempts, unit="problems", goes_on=True, describe=describe)

    def weigh(self, t: int, probe: Sequence[Attempts]) -> Draw:
        probed = {item.problem_id for item in probe}
        this_round = evidence_of(t, self.knowledge, probe, probed)
        rows = self.knowledge.row

        def make(folder: Path, progress: Progress) -> None:
            import numpy as np

            mine = np.array([rows[item] for item in probed], dtype=np.int64)
            history = [*self.history, this_round]
            draw = weigh_and_draw(self.parts, self.options, t, self.knowledge, history, mine)
            ids = [self.knowledge.outline.ids[row] for row in (*draw.rows, *draw.reserve)]
            value = {"drawn": ids[: len(draw.rows)], "reserve": ids[len(draw.rows) :], "intended": draw.intended}
            codecs.write_json(folder / "draw.json", value)

        def read(folder: Path) -> Draw:
            import numpy as np

            value = codecs.read_json(folder / "draw.json")
            drawn, reserve = (np.array([rows[i] for i in value[key]], dtype=np.int64) for key in ("drawn", "reserve"))
            return Draw(drawn, reserve, value["intended"])

        return self.run_dir.keep(t, "02-weigh", make, read, describe=lambda draw: {"drawn": len(draw.rows)})

    def explore(self, t: int, policy: Path, draw: Draw, probe: Sequence[Attempts]) -> list[Attempts]:
        probed = {item.problem_id for item in probe}
        drawn, reserve = (
            [p for p in (self.knowledge.problems[row] for row in rows) if p.id not in probed]
            for rows in (draw.rows, draw.reserve)
        )

        def make(folder: Path, progress: Progress) -> None:
            rollouts = self.rollouts(t, policy, self.waves)
            limit = self.token_limit and max(1, self.token_limit - sum(item.tokens for item in probe))
            usable = rollouts.explore(drawn, folder, progress, limit=limit)
            if not usable and not any(item.usable for item in probe):
                # Nothing to learn from: widen the draw once, within the same limit, rather than give up (**ours**).
                rollouts.explore([*drawn, *reserve], folder, progress, limit=limit)

        attempts = self.run_dir.keep(
            t, "03-explore", make, read_attempts, unit="problems", goes_on=True, describe=_describe_attempts
        )
        self.history.append(evidence_of(t, self.knowledge, [*probe, *attempts], probed))
        return attempts

    def pair(self, t: int, explored: Sequence[Attempts]) -> list[Pair]:
        def make(folder: Path, progress: Progress) -> None:
            pairs = build_pairs(self.parts, self.options, t, explored)
            if not pairs and t == 1:
                raise SaidpoError(nothing_to_learn(explored, self.options))
            codecs.write_lines(folder / "pairs.jsonl", map(codecs.pair_to_json, pairs))

        def read(folder: Path) -> list[Pair]:
            return list(codecs.read_lines(folder / "pairs.jsonl", codecs.pair_from_json))

        return self.run_dir.keep(
            t, "04-pair", make, read, unit="problems", describe=lambda pairs: {"pairs": len(pairs)}
        )

    def learn(
        self, t: int, policy: Path, pairs: Sequence[Pair], explored: Sequence[Attempts]
    ) -> tuple[Path, TrainingReport]:
        offer = self.parts.offer("trainer")
        rows = self.knowledge.row
        problems = {item.problem_id: self.knowledge.problems[rows[item.problem_id]] for item in explored}

        def make(folder: Path, progress: Progress) -> None:
            # What else is there a trainer left beside its model, to go on from after a kill.
            shutil.rmtree(folder / "model", ignore_errors=True)
            (folder / "model").mkdir()
            job = TrainingJob(
                policy=policy,
                initial_policy=self.first_policy,
                out=folder / "model",
                pairs=tuple(pairs),
                attempts=tuple(explored),
                problems=MappingProxyType(problems),
                samples=self.options.samples,
                verifier=self.parts.verifier,
                round=t,
                seed=keyed_seed(self.options.seed, t, "train"),
                progress=progress,
            )
            self.parts.release()  # the trainer has the devices to itself
            before = fingerprint(policy)
            with self.run_dir.clock("train"), blame(offer, "train"):
                report = self.parts.trainer.train(job)
            check_training(report, job.out, offer)
            require(
                fingerprint(policy) == before, offer, "train", f"it changed the policy that it started from, {policy}"
            )
            codecs.write_json(folder / "report.json", codecs.report_to_json(report))

        def read(folder: Path) -> tuple[Path, TrainingReport]:
            return folder / "model", codecs.report_from_json(codecs.read_json(folder / "report.json"))

        return self.run_dir.keep(t, "05-train", make, read, unit="steps", goes_on=True, describe=_describe_training)

    def evaluate(self, t: int, policy: Path) -> Evaluation:
        shares = MappingProxyType(self.knowledge.group_shares)
        return measure(self.run_dir, self.parts, t, policy, self.measured, shares)


def nothing_to_learn(explored: Sequence[Attempts], options: RunOptions) -> str:
    """Why no problem gave a pair, and what to do about it."""
    counts = counts_of(explored)
    n, k = len(explored), options.samples
    head = f"none of the {n} explored problems gave a right and a wrong response"
    if counts["too_easy"] == n:
        return f"{head}: every one is too easy for this policy ({k} of {k} right); bring harder ones"
    if counts["too_hard"] == n:
        return (
            f"{head}: every one is too hard for this policy (0 of {k} right); bring easier ones, raise --samples, "
            "or see in the attempts whether the verifier understands its answers"
        )
    if counts["unknown"] == n:
        return f"{head}: no response could be judged (truncated or unverifiable); raise --generator.max_new_tokens"
    parts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
    return f"{head} ({parts}); raise --samples or --draw, or bring other problems"


def _describe_attempts(attempts: Sequence[Attempts]) -> dict[str, Any]:
    return {"tokens": sum(item.tokens for item in attempts), **counts_of(attempts), **response_counts(attempts)}


def _describe_training(made: tuple[Path, TrainingReport]) -> dict[str, Any]:
    return {"steps": made[1].steps, **codecs.report_to_json(made[1])["metrics"]}
