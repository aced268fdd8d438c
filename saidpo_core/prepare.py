"""Once per pool: load it, tag its problems, embed the tags, cluster them (paper: knowledge points and K-Means).

Problems stay on disk, equal tag lists are one object, and texts are embedded in parts that are kept one by one: a
million problems fit into a small machine, and a killed run goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from saidpo_core.codecs import problem_from_json, problem_to_json, read_json, read_lines, write_json, write_lines
from saidpo_core.components import EstimatingTagger, Progress
from saidpo_core.contracts import blame, check_embeddings, check_labels, check_tags, checked_problems, require
from saidpo_core.parts import Parts
from saidpo_core.problem_file import Outline, ProblemFile
from saidpo_core.records import Problem, ProblemSets
from saidpo_core.run_dir import RunDir, write_atomically
from saidpo_core.seeds import keyed_rng
from saidpo_core.values import is_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


EMBEDDED_TOGETHER = 16384
"""Texts that are embedded and kept together: what a kill can cost."""


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The pool and what is known of its problems before any policy has seen them."""

    sets: ProblemSets
    outline: Outline
    tags: list[tuple[str, ...]]
    labels: NDArray[np.int64]
    """[N], the cluster of each problem."""
    embeddings: NDArray[np.float32]
    """[N, d], of each problem's tag text."""
    notes: tuple[str, ...] = ()
    """What finding it out took, for people."""

    @property
    def problems(self) -> Sequence[Problem]:
        return self.sets.problems

    @property
    def row(self) -> dict[str, int]:
        """Problem id -> row in the pool."""
        return self.outline.row

    @cached_property
    def n_clusters(self) -> int:
        return int(self.labels.max()) + 1

    @cached_property
    def group_shares(self) -> dict[str, float]:
        """Share of each reporting group in the pool."""
        return {group: count / len(self.problems) for group, count in self.outline.groups.items()}

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
        with blame(offer, "load"):  # a pool may make its problems one by one while they are written
            sets = parts.pool.load(keyed_rng(seed, "pool"))
            write_lines(folder / "problems.jsonl", map(problem_to_json, checked_problems(sets, offer)))
        write_lines(folder / "held-out.jsonl", map(problem_to_json, sets.held_out))
        write_json(folder / "notes.json", list(sets.notes))

    def read(folder: Path) -> ProblemSets:
        return ProblemSets(
            problems=ProblemFile(folder / "problems.jsonl"),
            held_out=tuple(read_lines(folder / "held-out.jsonl", problem_from_json)),
            notes=tuple(read_json(folder / "notes.json")),
        )

    return run_dir.keep(0, "01-pool", make, read, unit="problems", describe=_describe_pool)


def _describe_pool(sets: ProblemSets) -> dict[str, Any]:
    return {"problems": len(sets.problems), "held_out": len(sets.held_out), "notes": list(sets.notes)}


def find_knowledge(run_dir: RunDir, parts: Parts, sets: ProblemSets, outline: Outline, seed: int) -> Knowledge:
    """Tags, embeddings and clusters of the pool's problems."""
    tags, notes = _tag(run_dir, parts, sets)
    vectors = _embed(run_dir, parts, tags)
    labels = _cluster(run_dir, parts, vectors, tags, seed)
    return Knowledge(sets, outline, tags, labels, vectors, notes)


def _tag(run_dir: RunDir, parts: Parts, sets: ProblemSets) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The tags of each problem, and what the tagger said before it began."""
    offer = parts.offer("tagger")

    def make(folder: Path, progress: Progress) -> None:
        if hasattr(type(parts.tagger), "estimate"):
            with blame(offer, "estimate"):
                estimate = cast(EstimatingTagger, parts.tagger).estimate(sets.problems)
            require(is_text(estimate), offer, "estimate", f"expected a text, got {estimate!r:.80}")
            run_dir.note(estimate)
            write_json(folder / "timing-estimate.json", estimate)  # a run that goes on has less to do
        with blame(offer, "tag"):  # the problems lie on disk: what a tagger does to one that it got is lost
            tags = parts.tagger.tag(sets.problems, progress)
        check_tags(tags, len(sets.problems), offer)
        write_lines(folder / "tags.jsonl", tags)

    def read(folder: Path) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
        estimates = folder.glob("timing-estimate.json")
        return read_tags(folder), tuple(f"tagging, as estimated before: {read_json(path)}" for path in estimates)

    return run_dir.keep(
        0, "02-tag", make, read, unit="problems", describe=lambda made: {"tag_lists": len(set(made[0]))}
    )


def _embed(run_dir: RunDir, parts: Parts, tags: list[tuple[str, ...]]) -> NDArray[np.float32]:
    """[N, d], of each problem's tag text. Unique texts are embedded, in parts that are kept one by one."""
    import numpy as np

    offer = parts.offer("embedder")
    text = {item: text_of(item) for item in set(tags)}
    unique = sorted(set(text.values()))
    together = EMBEDDED_TOGETHER if offer.component.separable else len(unique)

    def make(folder: Path, progress: Progress) -> None:
        for start in range(0, len(unique), together):
            path = folder / f"vectors-{start:07}.npy"
            if not path.exists():
                vectors = _embedded(parts, unique[start : start + together], _within(progress, start, len(unique)))
                write_atomically(path, _npy(vectors))
            progress(min(start + together, len(unique)), len(unique))
        place = {text: row for row, text in enumerate(unique)}
        index = np.fromiter((place[text[item]] for item in tags), dtype=np.int64, count=len(tags))
        write_atomically(folder / "index.npy", _npy(index))

    def read(folder: Path) -> Any:
        lengths = {part.shape[1] for part in _vector_parts(folder)}
        require(len(lengths) == 1, offer, "embed", "vectors of texts differ in length")
        return read_vectors(folder)

    def describe(vectors: Any) -> dict[str, Any]:
        return {"texts": len(unique), "dimensions": vectors.shape[1]}

    return run_dir.keep(0, "03-embed", make, read, unit="texts", goes_on=True, describe=describe)


def read_tags(folder: Path) -> list[tuple[str, ...]]:
    """Of each problem; equal lists are one object."""
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    return [known.setdefault(tags, tags) for tags in read_lines(folder / "tags.jsonl", tuple)]


def read_vectors(folder: Path) -> NDArray[np.float32]:
    """[N, d], of each problem's tag text."""
    import numpy as np

    return _rows_of(_vector_parts(folder), np.load(folder / "index.npy", allow_pickle=False))


def _vector_parts(folder: Path) -> list[NDArray[np.float32]]:
    import numpy as np

    return [np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("vectors-*.npy"))]


def _within(progress: Progress, start: int, total: int) -> Progress:
    """Progress of a part of the texts as that of all of them."""
    return lambda done, _: progress(start + done, total)


def _rows_of(parts: Iterable[NDArray[Any]], index: NDArray[np.int64]) -> NDArray[np.float32]:
    """``concatenate(parts)[index]``, without a copy of all parts."""
    import numpy as np

    rows: NDArray[np.float32] | None = None
    start = 0
    for part in parts:
        rows = np.empty((len(index), part.shape[1]), np.float32) if rows is None else rows
        mine = np.flatnonzero((index >= start) & (index < start + len(part)))
        for some in np.array_split(mine, 1 + len(mine) // 65536):
            rows[some] = part[index[some] - start]
        start += len(part)
    assert rows is not None  # a pool is not empty
    return rows


def _npy(array: NDArray[Any]) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


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
        write_atomically(cached, _npy(vectors), shared=True)
    except OSError:
        pass
    return vectors


def _cluster(
    run_dir: RunDir, parts: Parts, vectors: NDArray[np.float32], tags: list[tuple[str, ...]], seed: int
) -> NDArray[np.int64]:
    import numpy as np
    from safetensors.numpy import save_file

    def make(folder: Path, progress: Progress) -> None:
        save_file({"labels": cluster_labels(parts, vectors, tags, seed)}, folder / "clusters.safetensors")

    def describe(labels: Any) -> dict[str, Any]:
        sizes = np.bincount(labels)
        return {"clusters": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max())}

    return run_dir.keep(0, "04-cluster", make, read_labels, unit="problems", describe=describe)


def cluster_labels(
    parts: Parts, vectors: NDArray[np.float32], tags: Sequence[tuple[str, ...]], seed: int
) -> NDArray[np.int64]:
    """[N], the cluster of each problem, checked."""
    import numpy as np

    offer = parts.offer("clusterer")
    with blame(offer, "cluster"):
        labels = np.asarray(parts.clusterer.cluster(read_only(vectors), tuple(tags), keyed_rng(seed, "cluster")))
    check_labels(labels, len(tags), offer)
    return labels.astype(np.int64)


def read_labels(folder: Path) -> NDArray[np.int64]:
    from safetensors.numpy import load_file

    labels: NDArray[np.int64] = load_file(folder / "clusters.safetensors")["labels"]
    return labels


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
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "saidpo"
