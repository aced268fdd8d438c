"""Once per pool: load it, tag its problems, embed the tags, cluster them (paper: knowledge points and K-Means)."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core.codecs import problem_from_json, problem_to_json, read_json, read_lines, write_json, write_lines
from saidpo_core.components import Progress
from saidpo_core.contracts import blame, check_embeddings, check_labels, check_problems, check_tags, unchanged
from saidpo_core.parts import Parts
from saidpo_core.records import Problem, ProblemSets
from saidpo_core.run_dir import RunDir
from saidpo_core.seeds import keyed_rng

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The pool and what is known of its problems before any policy has seen them."""

    sets: ProblemSets
    tags: list[tuple[str, ...]]
    labels: NDArray[np.int64]
    """[N], the cluster of each problem."""
    embeddings: NDArray[np.float32]
    """[N, d], of each problem's tag text."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.sets.problems

    @cached_property
    def n_clusters(self) -> int:
        return int(self.labels.max()) + 1

    @cached_property
    def row(self) -> dict[str, int]:
        """Problem id -> row in the pool."""
        return {problem.id: row for row, problem in enumerate(self.problems)}

    @cached_property
    def group_shares(self) -> dict[str, float]:
        """Share of each reporting group in the pool."""
        counts = Counter(problem.group or problem.domain for problem in self.problems)
        return {group: count / len(self.problems) for group, count in counts.items()}

    @cached_property
    def cluster_names(self) -> list[str]:
        """For people: the most frequent tags of each cluster."""
        counters: list[Counter[str]] = [Counter() for _ in range(self.n_clusters)]
        for label, tags in zip(self.labels.tolist(), self.tags, strict=True):
            counters[label].update(tags)
        return [
            ", ".join(tag for tag, _ in counter.most_common(2)) or f"cluster {i}" for i, counter in enumerate(counters)
        ]


def load_pool(run_dir: RunDir, parts: Parts, seed: int) -> ProblemSets:
    offer = parts.offer("pool")

    def make(folder: Path, progress: Progress) -> None:
        with blame(offer, "load"):
            sets = parts.pool.load(keyed_rng(seed, "pool"))
        check_problems(sets, offer)
        write_lines(folder / "problems.jsonl", map(problem_to_json, sets.problems))
        write_lines(folder / "held-out.jsonl", map(problem_to_json, sets.held_out))
        write_json(folder / "notes.json", list(sets.notes))

    def read(folder: Path) -> ProblemSets:
        return ProblemSets(
            problems=tuple(read_lines(folder / "problems.jsonl", problem_from_json)),
            held_out=tuple(read_lines(folder / "held-out.jsonl", problem_from_json)),
            notes=tuple(read_json(folder / "notes.json")),
        )

    return run_dir.keep(0, "01-pool", make, read, unit="problems", describe=_describe_pool)


def _describe_pool(sets: ProblemSets) -> dict[str, Any]:
    return {"problems": len(sets.problems), "held_out": len(sets.held_out), "notes": list(sets.notes)}


def find_knowledge(run_dir: RunDir, parts: Parts, sets: ProblemSets, seed: int) -> Knowledge:
    """Tags, embeddings and clusters of the pool's problems."""
    tags = _tag(run_dir, parts, sets)
    unique, index = _embed(run_dir, parts, tags)
    labels = _cluster(run_dir, parts, unique[index], tags, seed)
    return Knowledge(sets, tags, labels, unique[index])


def _tag(run_dir: RunDir, parts: Parts, sets: ProblemSets) -> list[tuple[str, ...]]:
    offer = parts.offer("tagger")

    def make(folder: Path, progress: Progress) -> None:
        with blame(offer, "tag"), unchanged(offer, "tag", sets.problems):
            tags = parts.tagger.tag(sets.problems, progress)
        check_tags(tags, len(sets.problems), offer)
        write_lines(folder / "tags.jsonl", tags)

    def read(folder: Path) -> list[tuple[str, ...]]:
        return list(read_lines(folder / "tags.jsonl", tuple))

    return run_dir.keep(0, "02-tag", make, read, unit="problems", describe=lambda tags: {"tag_lists": len(set(tags))})


def _embed(run_dir: RunDir, parts: Parts, tags: list[tuple[str, ...]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors of the unique tag texts [u, d], and for each problem the row of its text [N]."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    texts = [text_of(item) for item in tags]
    unique = sorted(set(texts))
    place = {text: row for row, text in enumerate(unique)}

    def make(folder: Path, progress: Progress) -> None:
        vectors = _embedded(parts, unique, progress)
        index = np.array([place[text] for text in texts], dtype=np.int64)
        save_file({"vectors": vectors, "index": index}, folder / "embeddings.safetensors")

    def read(folder: Path) -> tuple[Any, Any]:
        data = load_file(folder / "embeddings.safetensors")
        return data["vectors"], data["index"]

    def describe(data: tuple[Any, Any]) -> dict[str, Any]:
        return {"texts": len(data[0]), "dimensions": data[0].shape[1]}

    return run_dir.keep(0, "03-embed", make, read, unit="texts", describe=describe)


def _embedded(parts: Parts, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
    """From the cache that runs share if these texts were embedded with these options before, else computed."""
    import numpy as np

    offer = parts.offer("embedder")
    options = repr(parts.options("embedder"))
    key = hashlib.sha256("\0".join([offer.qualified, offer.owner.version, options, *texts]).encode()).hexdigest()
    cached = cache_folder() / "embeddings" / f"{key}.npy"
    if cached.is_file():
        vectors: NDArray[np.float32] = np.load(cached, allow_pickle=False)
        return vectors
    with blame(offer, "embed"):
        vectors = np.ascontiguousarray(parts.embedder.embed(tuple(texts), progress), dtype=np.float32)
    check_embeddings(vectors, len(texts), offer)
    try:  # a cache that cannot be written costs time, nothing else
        cached.parent.mkdir(parents=True, exist_ok=True)
        temporary = cached.with_name(f"{key}.{os.getpid()}.npy")
        np.save(temporary, vectors, allow_pickle=False)
        os.replace(temporary, cached)
    except OSError:
        pass
    return vectors


def _cluster(
    run_dir: RunDir, parts: Parts, vectors: NDArray[np.float32], tags: list[tuple[str, ...]], seed: int
) -> NDArray[np.int64]:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    offer = parts.offer("clusterer")

    def make(folder: Path, progress: Progress) -> None:
        with blame(offer, "cluster"):
            labels = np.asarray(parts.clusterer.cluster(read_only(vectors), tuple(tags), keyed_rng(seed, "cluster")))
        check_labels(labels, len(tags), offer)
        save_file({"labels": labels.astype(np.int64)}, folder / "clusters.safetensors")

    def read(folder: Path) -> Any:
        return load_file(folder / "clusters.safetensors")["labels"]

    def describe(labels: Any) -> dict[str, Any]:
        sizes = np.bincount(labels)
        return {"clusters": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max())}

    return run_dir.keep(0, "04-cluster", make, read, unit="problems", describe=describe)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array in a view that a component cannot write to."""
    view = array.view()
    view.flags.writeable = False
    return view


def text_of(tags: Sequence[str]) -> str:
    """The text that is embedded for a tag list. The order in which a tagger names them means nothing."""
    return "; ".join(sorted(tags))


def cache_folder() -> Path:
    """What runs share: ``$SAIDPO_CACHE``, or the user's cache folder."""
    named = os.environ.get("SAIDPO_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "saidpo"
