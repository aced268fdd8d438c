"""Preparing a pool: problems stay on disk, texts are embedded in parts that are kept, equal tag lists are shared."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import PluginError, Problem, ProblemSets, prepare
from saidpo_core.codecs import problem_to_json, write_lines
from saidpo_core.events import Observers
from saidpo_core.parts import Parts
from saidpo_core.prepare import find_knowledge, load_pool
from saidpo_core.problem_file import ProblemFile, outline_of
from saidpo_core.registry import load_registry
from saidpo_core.run_dir import RunDir
from saidpo_core.settings import resolve

REGISTRY = load_registry()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def make(number: int, **fields: Any) -> Problem:
    return Problem(id=f"p{number}", question=f"{number}?", answer="1", tags=(f"tag {number % 30}", "sums"), **fields)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Parts:
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path / "cache"))
    given = {"model": "m", "embedder": "tfidf", "clusterer": "minibatch-kmeans"}
    return Parts(resolve(REGISTRY, given, {key: key for key in given}), REGISTRY)


def run_dir(path: Path) -> RunDir:
    return RunDir(path, Observers(REGISTRY.manager))


class TestProblemFile:
    @given(st.lists(st.tuples(TEXTS, TEXTS, st.lists(TEXTS).map(tuple)), min_size=1, max_size=20))
    def test_is_the_sequence_that_was_written(self, rows: list[Any]) -> None:
        import tempfile

        problems = [Problem(id=str(n), question=q, answer=a, tags=t) for n, (q, a, t) in enumerate(rows)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "problems.jsonl")
            write_lines(path, map(problem_to_json, problems))
            file = ProblemFile(path)
            assert list(file) == problems
            assert [file[row] for row in range(len(problems))] == problems
            assert file[-1] == problems[-1]
            assert file[::-1] == tuple(problems[::-1])
            assert list(pickle.loads(pickle.dumps(file))) == problems
            with pytest.raises(IndexError):
                file[len(problems)]

    def test_what_is_done_to_a_problem_is_not_done_to_the_file(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "p.jsonl", [problem_to_json(make(1))])
        file = ProblemFile(tmp_path / "p.jsonl")
        file[0].extra["seen"] = True  # type: ignore[index]
        assert file[0].extra == {}


class Lazy(Sequence[Problem]):
    """Problems that are made while they are gone through, as a pool of many offers them."""

    def __init__(self, n: int, broken: int = -1) -> None:
        self.n, self.broken = n, broken

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, row: Any) -> Any:
        return make(row)

    def __iter__(self) -> Iterator[Problem]:
        for row in range(self.n):
            if row == self.broken:
                raise ZeroDivisionError("no such row")
            yield make(row, group="odd" if row % 2 else "even")


class FixedPool:
    def __init__(self, sets: ProblemSets) -> None:
        self.sets = sets

    def load(self, rng: np.random.Generator) -> ProblemSets:
        return self.sets


class TestLoadPool:
    def test_a_pool_may_make_its_problems_one_by_one(self, parts: Parts, tmp_path: Path) -> None:
        parts.pool = FixedPool(ProblemSets(problems=Lazy(100), held_out=(make(200),)))
        sets = load_pool(run_dir(tmp_path / "run"), parts, 0)
        assert list(sets.problems) == list(Lazy(100))
        outline = outline_of(sets.problems)
        assert outline.groups == {"even": 50, "odd": 50}
        assert outline.ids[outline.row["p7"]] == "p7"
        assert outline.domains == {"math"}

    @pytest.mark.parametrize(
        ("sets", "why"),
        [
            (ProblemSets(problems=Lazy(9, broken=5)), "failed in load: ZeroDivisionError: no such row"),
            (ProblemSets(problems=Lazy(9), held_out=(make(3),)), "the id 'p0?3' occurs twice"),
            (
                ProblemSets(problems=Lazy(9), held_out=(Problem(id="h", question="3?", answer="1"),)),
                "the held-out problem h is in the pool too",
            ),
            (ProblemSets(problems=[make(1), make(1)]), "the id 'p1' occurs twice"),
            (ProblemSets(problems="text"), "problems must be a sequence, got str"),  # type: ignore[arg-type]
            (ProblemSets(problems=()), "the pool is empty"),
        ],
    )
    def test_what_breaks_on_the_way_is_the_pools_and_leaves_no_stage(
        self, parts: Parts, tmp_path: Path, sets: ProblemSets, why: str
    ) -> None:
        parts.pool = FixedPool(sets)
        with pytest.raises(PluginError, match=why):
            load_pool(run_dir(tmp_path / "run"), parts, 0)
        assert not list((tmp_path / "run").rglob("*.jsonl"))


class Counting:
    """Embeds a text as its numbers; counts what it is asked, and fails at the call of number ``fails``."""

    def __init__(self, fails: int = -1) -> None:
        self.asked: list[str] = []
        self.calls, self.fails = 0, fails

    def embed(self, texts: Sequence[str], progress: Any) -> Any:
        self.calls += 1
        if self.calls == self.fails:
            raise RuntimeError("killed")
        self.asked += texts
        progress(len(texts), len(texts))
        return np.array([[len(text), sum(map(ord, text))] for text in texts], np.float32)


class TestEmbedding:
    @pytest.fixture
    def many(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Parts:
        """Thirty different texts, embedded seven at a time."""
        given = {"model": "m"}  # the default embedder can do with parts
        made = Parts(resolve(REGISTRY, given, given), REGISTRY)
        made.pool = FixedPool(ProblemSets(problems=Lazy(90)))
        monkeypatch.setattr(prepare, "EMBEDDED_TOGETHER", 7)
        return made

    def find(self, parts: Parts, path: Path) -> Any:
        run = run_dir(path)
        sets = load_pool(run, parts, 0)
        return find_knowledge(run, parts, sets, outline_of(sets.problems), 0)

    def test_each_problem_has_the_vector_of_its_text(self, many: Parts, tmp_path: Path) -> None:
        many.embedder = embedder = Counting()
        knowledge = self.find(many, tmp_path / "run")
        expected = [embedder.embed([prepare.text_of(tags)], lambda *_: None)[0] for tags in knowledge.tags]
        assert np.array_equal(knowledge.embeddings, expected)
        assert len({id(tags) for tags in knowledge.tags}) == 30

    def test_a_part_that_was_finished_is_never_made_again(
        self, many: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SAIDPO_CACHE", "/dev/null/no-cache")  # it rests on the run directory alone
        many.embedder = first = Counting(fails=4)
        with pytest.raises(PluginError, match="killed"):
            self.find(many, tmp_path / "run")
        many.embedder = second = Counting()
        knowledge = self.find(many, tmp_path / "run")
        assert len(first.asked) == 21
        assert sorted(first.asked + second.asked) == sorted({prepare.text_of(tags) for tags in knowledge.tags})

    def test_another_run_takes_the_parts_from_the_cache(self, many: Parts, tmp_path: Path) -> None:
        many.embedder = Counting()
        one = self.find(many, tmp_path / "one")
        many.embedder = again = Counting()
        assert np.array_equal(self.find(many, tmp_path / "two").embeddings, one.embeddings)
        assert not again.asked

    def test_progress_counts_all_texts(self, many: Parts, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        many.embedder = Counting()
        run = run_dir(tmp_path / "run")
        run.observers.progress = lambda event, done, total: seen.append((done, total))  # type: ignore[method-assign]
        sets = load_pool(run, many, 0)
        find_knowledge(run, many, sets, outline_of(sets.problems), 0)
        embedding = [item for item in seen if item[1] == 30]
        assert embedding == sorted(embedding)
        assert embedding[-1] == (30, 30)

    def test_an_embedder_that_looks_at_all_texts_gets_all_at_once(self, parts: Parts, tmp_path: Path) -> None:
        prepare_parts = parts
        prepare_parts.pool = FixedPool(ProblemSets(problems=Lazy(90)))
        prepare_parts.embedder = embedder = Counting()
        self.find(prepare_parts, tmp_path / "run")
        assert embedder.calls == 1

    def test_vectors_of_another_length_are_the_embedders_fault(self, many: Parts, tmp_path: Path) -> None:
        class Growing(Counting):
            def embed(self, texts: Sequence[str], progress: Any) -> Any:
                return np.zeros((len(texts), 1 + len(texts)), np.float32)

        many.embedder = Growing()
        with pytest.raises(PluginError, match="differ in length"):
            self.find(many, tmp_path / "run")


def test_stages_hold_plain_data(parts: Parts, tmp_path: Path) -> None:
    parts.pool = FixedPool(ProblemSets(problems=Lazy(40)))
    run = run_dir(tmp_path / "run")
    sets = load_pool(run, parts, 0)
    find_knowledge(run, parts, sets, outline_of(sets.problems), 0)
    lines = (tmp_path / "run/start/01-pool/problems.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"p{n}" for n in range(40)]
