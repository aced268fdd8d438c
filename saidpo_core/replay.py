"""``saidpo replay RUN``: the selection of a run once more, from its stored responses, under other hooks (**ours**).

Nothing is generated or trained, so it takes seconds. What it can say: which problems other weights would have drawn,
which pairs another difficulty, pair builder or limit would have kept of *these* responses. What it cannot: what would
have become of the policy. From round 2 on, the run's policy has learnt from the run's pairs, not from the replay's; and
of problems that only the replay would draw, there are no responses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import codecs
from saidpo_core.errors import UsageError, readable
from saidpo_core.hookspecs import KINDS
from saidpo_core.parts import Parts
from saidpo_core.prepare import Knowledge, cluster_labels, read_labels, read_tags, read_vectors
from saidpo_core.problem_file import ProblemFile, outline_of
from saidpo_core.records import Attempts, Pair, ProblemSets, RoundEvidence
from saidpo_core.registry import Registry
from saidpo_core.rollouts import read_attempts
from saidpo_core.run_dir import gone_from, round_of
from saidpo_core.run_record import run_file
from saidpo_core.selection import build_pairs, evidence_of, weigh_and_draw
from saidpo_core.settings import Settings, differences, over, read_toml, resolve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOOKS = ("clusterer", "difficulty", "sampler", "pair-builder")
"""What may be another in a replay."""
OPTIONS = ("max_pairs", "draw")


@dataclass(frozen=True)
class PairsFacts:
    """What pairs are like; tokens and nats are means."""

    pairs: int
    problems: int
    chosen_tokens: float
    rejected_tokens: float
    margin: float
    """Mean log-probability a token of the chosen minus that of the rejected response, in nats, under their policy."""


@dataclass(frozen=True)
class Round:
    """One round of the run against its replay."""

    round: int
    drawn: int
    """Problems that the replay would draw."""
    drawn_too: int
    """Of these, drawn by the run as well."""
    moved: float
    """Share of the draw that goes to other clusters: half the sum of the differences, in [0, 1]."""
    yield_run: float
    """Share of usable problems that a draw like each one's can expect, by what became of the run's drawn problems in
    each cluster; NaN if none was drawn."""
    yield_replay: float
    covered: float
    """Share of the replay's draw that falls into clusters of which the run drew at least five problems."""
    run: PairsFacts
    replay: PairsFacts
    same_pairs: int
    """Equal in prompt, chosen and rejected tokens."""


@dataclass(frozen=True)
class Replay:
    changed: list[str]
    rounds: list[Round]


def replay_run(registry: Registry, run: Path, changes: Mapping[str, Any]) -> Replay:
    """``changes`` are settings (``sampler.alpha``); raises ``UsageError`` for those that a replay cannot heed."""
    before, after = _settings(registry, run, {}), _settings(registry, run, changes)
    rounds_made = [t for path in run.glob("round-*/04-pair") if (t := round_of(path.parent))]
    if not rounds_made:
        raise UsageError(f"{run}: no round of this run has built its pairs yet, so there is nothing to replay")
    parts = Parts(after, registry)
    knowledge = _knowledge(run, parts, before, after)
    history: list[RoundEvidence] = []
    rounds = []
    for t in range(1, max(rounds_made) + 1):  # what a later one knows comes from all before it
        folder = run / f"round-{t}"
        _whole(folder, "01-probe", "02-weigh", "03-explore", "04-pair")
        probe, drawn = read_attempts(folder / "01-probe"), read_attempts(folder / "03-explore")
        probed = {item.problem_id for item in probe}
        so_far = [*history, evidence_of(t, knowledge, probe, probed)]
        rounds.append(_round(t, folder, parts, after, knowledge, probe, drawn, so_far))
        history.append(evidence_of(t, knowledge, [*probe, *drawn], probed))
    return Replay(differences(before.as_tree(), after.as_tree()), rounds)


def _settings(registry: Registry, run: Path, changes: Mapping[str, Any]) -> Settings:
    """The run's settings with changes. Hooks that take no part are the defaults: a replay needs no GPU and no extra."""
    file = run_file(run)
    for key in changes:
        if key.partition(".")[0] not in HOOKS and key not in OPTIONS:
            allowed = ", ".join(f"--{name.replace('_', '-')}" for name in (*HOOKS, *OPTIONS))
            raise UsageError(f"--{key.replace('_', '-')}: a replay neither generates nor trains; it heeds {allowed}")
    values, where = read_toml(file)
    aside = {"prompt", *KINDS} - set(HOOKS)
    merged = over({key: value for key, value in values.items() if key.partition(".")[0] not in aside}, changes)
    where |= {key: f"--{key.replace('_', '-')}" for key in changes}  # also of what the file says otherwise
    return resolve(registry, merged, where)


def _knowledge(run: Path, parts: Parts, before: Settings, after: Settings) -> Knowledge:
    """As the run kept it; clustered anew if the clusterer is another."""
    start = run / "start"
    _whole(start, "01-pool", "02-tag", "03-embed", "04-cluster")
    with readable(start / "01-pool" / "problems.jsonl"):
        problems = ProblemFile(start / "01-pool" / "problems.jsonl")
        outline = outline_of(problems)
    with readable(start / "02-tag" / "tags.jsonl"):
        tags = read_tags(start / "02-tag")
    with readable(start / "03-embed"):
        vectors = read_vectors(start / "03-embed")
    with readable(start / "04-cluster" / "clusters.safetensors"):
        labels = read_labels(start / "04-cluster")
    if not len(outline.row) == len(tags) == len(vectors) == len(labels):
        raise UsageError(f"{start}: as many problems, tags, vectors and clusters were expected; take it from a copy")
    if before.as_tree()["clusterer"] != after.as_tree()["clusterer"]:
        labels = cluster_labels(parts, vectors, tags, after.run.seed)
    return Knowledge(ProblemSets(problems=problems), outline, tags, labels, vectors)


def _whole(folder: Path, *stages: str) -> None:
    """Refuse to replay a part of what the run had: without one file of responses the figures would be other ones."""
    for stage in stages:
        for path in gone_from(folder / stage):
            raise UsageError(f"{path} is missing; a replay needs all that was made up to the pairs")


def _round(
    t: int,
    folder: Path,
    parts: Parts,
    settings: Settings,
    knowledge: Knowledge,
    probe: Sequence[Attempts],
    drawn: Sequence[Attempts],
    evidence: Sequence[RoundEvidence],
) -> Round:
    import numpy as np

    mine = np.array([knowledge.row[item.problem_id] for item in probe], dtype=np.int64)
    draw = weigh_and_draw(parts, settings.run, t, knowledge, evidence, mine)
    with readable(folder / "02-weigh" / "draw.json"):
        stored = codecs.read_json(folder / "02-weigh" / "draw.json")
        rows = np.array([knowledge.row[item] for item in stored["drawn"]], dtype=np.int64)
    was, now = (
        np.bincount(knowledge.labels[some], minlength=knowledge.n_clusters) / len(some) for some in (rows, draw.rows)
    )
    expected = _expected_yield(knowledge, drawn)
    pairs = build_pairs(parts, settings.run, t, [*probe, *drawn])
    with readable(folder / "04-pair" / "pairs.jsonl"):
        before = list(codecs.read_lines(folder / "04-pair" / "pairs.jsonl", codecs.pair_from_json))
    return Round(
        round=t,
        drawn=len(draw.rows),
        drawn_too=len(np.intersect1d(rows, draw.rows)),
        moved=float(np.abs(now - was).sum() / 2),
        yield_run=float((was * expected.rates).sum()),
        yield_replay=float((now * expected.rates).sum()),
        covered=float(now[expected.seen >= 5].sum()),
        run=facts_of(before),
        replay=facts_of(pairs),
        same_pairs=len(set(map(_identity, before)) & set(map(_identity, pairs))),
    )


@dataclass(frozen=True, eq=False)
class _Expected:
    rates: NDArray[np.float64]
    """[C], share of usable ones of the drawn problems of each cluster, shrunk to that of all by four problems."""
    seen: NDArray[np.int64]
    """[C], drawn problems that were asked."""


def _expected_yield(knowledge: Knowledge, drawn: Sequence[Attempts]) -> _Expected:
    """The probe is left out: the weights were made to fit it."""
    import numpy as np

    labels = knowledge.labels[[knowledge.row[item.problem_id] for item in drawn]] if drawn else np.array([], np.int64)
    seen = np.bincount(labels, minlength=knowledge.n_clusters)
    usable = np.bincount(labels, [item.usable for item in drawn], minlength=knowledge.n_clusters)
    mean = usable.sum() / seen.sum() if len(drawn) else float("nan")
    return _Expected((usable + 4 * mean) / (seen + 4), seen)


def facts_of(pairs: Sequence[Pair]) -> PairsFacts:
    import numpy as np

    if not pairs:
        return PairsFacts(0, 0, *([float("nan")] * 3))
    chosen, rejected = [p.chosen for p in pairs], [p.rejected for p in pairs]
    margins = [_mean(c.logprobs) - _mean(r.logprobs) for c, r in zip(chosen, rejected, strict=True)]
    return PairsFacts(
        pairs=len(pairs),
        problems=len({pair.problem_id for pair in pairs}),
        chosen_tokens=float(np.mean([len(c.token_ids) for c in chosen])),
        rejected_tokens=float(np.mean([len(r.token_ids) for r in rejected])),
        margin=float(np.mean(margins)),
    )


def _mean(logprobs: Sequence[float]) -> float:
    return sum(logprobs) / len(logprobs) if logprobs else 0.0


def _identity(pair: Pair) -> tuple[Any, ...]:
    return pair.problem_id, pair.prompt_ids, pair.chosen.token_ids, pair.rejected.token_ids


def as_text(replay: Replay) -> str:
    """For people: what changed, a table a round, and what may be concluded."""
    head = ["what is another:", *(f"  {line}" for line in replay.changed)] if replay.changed else ["nothing is another"]
    rows = [("round", "drawn too", "moved", "usable", "known", "pairs", "same", "chosen", "rejected", "margin")]
    for r in replay.rounds:
        rows.append(
            (
                str(r.round),
                f"{r.drawn_too}/{r.drawn}",
                _known(r.moved, ".0%"),
                f"{_known(r.yield_run, '.2f')} -> {_known(r.yield_replay, '.2f')}",
                _known(r.covered, ".0%"),
                f"{r.run.pairs} -> {r.replay.pairs}",
                str(r.same_pairs),
                f"{_known(r.run.chosen_tokens, '.0f')} -> {_known(r.replay.chosen_tokens, '.0f')}",
                f"{_known(r.run.rejected_tokens, '.0f')} -> {_known(r.replay.rejected_tokens, '.0f')}",
                f"{_known(r.run.margin, '+.2f')} -> {_known(r.replay.margin, '+.2f')}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*head, "", *table, "", *_LEGEND, "", *_CONCLUSIONS])


_LEGEND = (
    "drawn too: of the replay's draw, drawn by the run as well. moved: share of the draw that goes to other clusters.",
    "usable: share of usable problems to expect (run -> replay), by the run's drawn problems of each cluster. known:",
    "share of the replay's draw in clusters of which the run drew five problems or more. same: equal pairs. chosen,",
    "rejected: mean tokens. margin: mean log-probability a token of the chosen less that of the rejected, in nats.",
)
_CONCLUSIONS = (
    "This says what would have been selected of this run's responses, exactly in round 1. It cannot say what a policy",
    "would have learnt from it: from round 2 on the policy is the one that learnt from the run's own pairs, and of",
    "problems that only the replay draws there are no responses. For accuracy, run both: saidpo compare.",
)


def _known(value: float, form: str) -> str:
    """ "-" for what there is not: a mean over no pairs."""
    return format(value, form) if math.isfinite(value) else "-"
