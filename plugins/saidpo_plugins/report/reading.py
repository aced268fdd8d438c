"""What a run directory holds, as the sections need it: counts and lengths of each attempt, some pairs, no tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import UsageError
from saidpo_core.errors import readable
from saidpo_core.run_record import recorded
from saidpo_plugins.report.text import label, visible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAIRS_A_ROUND = 120
"""Pairs shown of each round, evenly spread over it; with texts cut at ``TEXT`` characters the page stays small."""
TEXT = 2500


@dataclass(frozen=True, eq=False)
class Tried:
    """The problems that one round tried, a row each; all arrays [m]."""

    row: NDArray[np.int64]
    """Of the problem in the pool."""
    right: NDArray[np.int64]
    counted: NDArray[np.int64]
    rate: NDArray[np.float64]
    """Pass rate, of responses that were asked for whatever came of others; NaN if nothing could be counted."""
    probed: NDArray[np.bool_]
    lengths: Mapping[str, NDArray[np.int64]]
    """Tokens of the probe's responses, by outcome: right, wrong, unverifiable. Probes compare over rounds."""


@dataclass(frozen=True)
class PairText:
    """One preference pair, to be read."""

    round: int
    row: int
    chosen: str
    rejected: str


class RunData:
    """One run. What is not in its folder (an old run, files removed to save space) is empty or None."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with readable(path / "summary.json", "the command of the run writes it anew, once it is deleted"):
            self.record = dict[str, Any](json.loads((path / "summary.json").read_text(encoding="utf-8")))
        if not self.record.get("rounds"):
            raise UsageError(f"{path}/summary.json holds no round yet; the report can be written after the first one")
        for key in ("warnings", "findings"):  # what was said before the first round; what detectors found in rounds
            self.record.setdefault(key, [])
        self.settings, self.about = _settings(path)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Of all rounds; the first is the policy before training."""
        return list(self.record["rounds"])

    @property
    def trained(self) -> list[dict[str, Any]]:
        return self.rows[1:]

    @property
    def clusters(self) -> list[dict[str, Any]]:
        return list(self.record["clusters"])

    @cached_property
    def names(self) -> list[str]:
        """Of the clusters, for people."""
        return [visible(cluster["name"]) for cluster in self.clusters]

    @cached_property
    def labels_of_clusters(self) -> list[str]:
        """The same for Plotly."""
        return [label(cluster["name"]) for cluster in self.clusters]

    @cached_property
    def tried(self) -> list[Tried]:
        """Of each round with attempts in its folder, from the first on."""
        found = []
        for row in self.trained:
            folder = self.path / f"round-{row['round']}"
            parts = [(folder / "01-probe", True), (folder / "03-explore", False)]
            attempts = [(item, probed) for stage, probed in parts for item in _lines(stage, "attempts-*.jsonl")]
            if not attempts or not self.row_of:
                break
            with readable(folder):
                found.append(self._tried(attempts))
        return found

    def _tried(self, attempts: list[tuple[dict[str, Any], bool]]) -> Tried:
        import numpy as np

        outcomes = [[verdict[0] for verdict in item["verdicts"]] for item, _ in attempts]
        right, wrong = (np.array([kinds.count(kind) for kinds in outcomes], np.int64) for kind in ("right", "wrong"))
        # Where asking stops at the first pair, only what was asked for whatever came of it tells a pass rate.
        first = 2 if self.settings.get("generator", {}).get("early_stop", "no") != "no" else None
        sure = [kinds if probed else kinds[:first] for kinds, (_, probed) in zip(outcomes, attempts, strict=True)]
        counted = np.array([len(kinds) - kinds.count("unverifiable") for kinds in sure])
        rate = np.array([kinds.count("right") for kinds in sure]) / np.where(counted, counted, np.nan)
        lengths: dict[str, list[int]] = {"right": [], "wrong": [], "unverifiable": []}
        for (item, probed), kinds in zip(attempts, outcomes, strict=True):
            for response, kind in zip(item["responses"] if probed else (), kinds if probed else (), strict=True):
                lengths[kind].append(len(response["token_ids"]))
        return Tried(
            row=np.array([self.row_of[item["problem_id"]] for item, _ in attempts], dtype=np.int64),
            right=right,
            counted=right + wrong,
            rate=rate,
            probed=np.array([probed for _, probed in attempts], dtype=np.bool_),
            lengths={kind: np.array(values, dtype=np.int64) for kind, values in lengths.items()},
        )

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Problem id -> row in the pool."""
        return {item["id"]: row for row, item in enumerate(self._problems)}

    @cached_property
    def _problems(self) -> list[dict[str, Any]]:
        rows = _lines(self.path / "start/01-pool", "problems.jsonl")
        with readable(self.path / "start/01-pool/problems.jsonl"):
            return [{key: item[key] for key in ("id", "question", "answer")} for item in rows]

    def problem(self, row: int) -> dict[str, str]:
        return {key: visible(value) for key, value in self._problems[row].items()}

    @cached_property
    def tags(self) -> list[tuple[str, ...]]:
        return [tuple(item) for item in _lines(self.path / "start/02-tag", "tags.jsonl")]

    @cached_property
    def cluster_of(self) -> NDArray[np.int64] | None:
        """[N], the cluster of each problem."""
        return _tensors(self.path / "start/04-cluster/clusters.safetensors").get("labels")

    @cached_property
    def embeddings(self) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
        """Vectors of the unique tag texts [u, d], and for each problem the row of its text [N]."""
        import numpy as np

        folder = self.path / "start/03-embed"
        with readable(folder):
            parts = [np.load(path, allow_pickle=False) for path in sorted(folder.glob("vectors-*.npy"))]
            if parts and (folder / "index.npy").is_file():
                return np.concatenate(parts), np.load(folder / "index.npy", allow_pickle=False)
        tensors = _tensors(folder / "embeddings.safetensors")  # as runs kept them before
        return (tensors["vectors"], tensors["index"]) if tensors else None

    @cached_property
    def pairs(self) -> tuple[list[PairText], int]:
        """Some pairs of each round, and how many there are in all."""
        shown, total = [], 0
        for row in self.trained:
            mine = list(_lines(self.path / f"round-{row['round']}/04-pair", "pairs.jsonl"))
            total += len(mine)
            step = max(1, -(-len(mine) // PAIRS_A_ROUND))
            with readable(self.path / f"round-{row['round']}/04-pair/pairs.jsonl"):
                shown += [self._pair(row["round"], pair) for pair in mine[::step] if self.row_of]
        return shown, total

    def _pair(self, t: int, pair: dict[str, Any]) -> PairText:
        chosen, rejected = (visible(pair[side]["text"]) for side in ("chosen", "rejected"))
        return PairText(t, self.row_of[pair["problem_id"]], _cut(chosen), _cut(rejected))

    @cached_property
    def stages(self) -> list[dict[str, Any]]:
        """Name, hash of the chain so far, and files of every finished stage, in order."""
        folders = [self.path / "start", *(self.path / f"round-{row['round']}" for row in self.trained)]
        found = []
        for folder in folders:
            for file in sorted(folder.glob("*/stage.json")):
                manifest = _json(file) or {}
                name = f"{folder.name}/{file.parent.name}"
                found.append({"stage": name, "chain": manifest.get("chain", ""), "files": manifest.get("files", {})})
        return found


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}\n… {len(text) - TEXT:,} more characters are not shown here"


def _settings(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings, and what else the run depends on; a report is written without them, too."""
    try:
        return recorded(run)
    except UsageError:
        return {}, {}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _lines(folder: Path, pattern: str) -> Iterator[Any]:
    for path in sorted(folder.glob(pattern)):
        with readable(path), path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def _tensors(path: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    with readable(path):
        return load_file(path) if path.is_file() else {}
