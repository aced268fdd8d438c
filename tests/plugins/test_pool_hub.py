"""Pool ``hub``: files with the columns and values of the published datasets, mixed, deduplicated, decontaminated."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Problem, ProblemSets, UsageError
from saidpo_core.options import build_options
from saidpo_plugins.common.gold import lacks_choices, last_box, marked_answer
from saidpo_plugins.common.overlap import Seen
from saidpo_plugins.pools.hub import Hub, HubOptions
from saidpo_plugins.pools.hub_sizes import mix_sizes

LONG = "A farmer has three fields and each of them holds exactly twelve rows of young apple trees in spring"
"""Of more than thirteen words."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path / "cache"))


def load(*dataset: str | Path, seed: int = 0, **options: Any) -> ProblemSets:
    values = {"dataset": [str(item) for item in dataset], "held_out": 0, **options}
    built = build_options(HubOptions, values, {key: f"--pool.{key}" for key in values})
    return Hub(built).load(np.random.default_rng(seed))


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sums(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(first, first + count)]


class TestReadyMaps:
    """Rows as the datasets' own viewers show them."""

    def test_gsm8k(self, tmp_path: Path) -> None:
        file = write(
            tmp_path / "train.parquet",
            {
                "question": "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in "
                "May. How many clips did Natalia sell altogether in April and May?",
                "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nNatalia sold 48+24 = <<48+24=72>>72 clips "
                "altogether in April and May.\n#### 72",
            },
        )
        (problem,) = load(f"gsm8k={file}").problems
        assert (problem.id, problem.answer, problem.group, problem.tags) == ("gsm8k-0000000", "72", "gsm8k", ())

    def test_math_of_hendrycks_in_its_seven_configurations(self, tmp_path: Path) -> None:
        def row(subject: str, solution: str) -> dict[str, Any]:
            return {"problem": f"{subject}?", "level": "Level 5", "type": subject, "solution": solution}

        write(tmp_path / "math/algebra/train.parquet", row("Algebra", r"So $x = \boxed{\frac{1}{2}}$."))
        write(
            tmp_path / "math/geometry/train.parquet",
            row("Geometry", r"Not \boxed{5}, but \boxed 4$."),
            {**row("Geometry", "no box"), "problem": "Another?"},
        )
        card = "".join(
            f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}/train.parquet\n"
            for name in ("algebra", "geometry")
        )
        (tmp_path / "math/README.md").write_text(f"---\nconfigs:\n{card}---\n")
        sets = load(f"math={tmp_path / 'math'}")
        assert [(p.answer, p.tags, p.group) for p in sets.problems] == [
            (r"\frac{1}{2}", ("Algebra", "Level 5"), "Algebra"),
            ("4", ("Geometry", "Level 5"), "Geometry"),
        ]
        assert sets.notes == ("math: 2 problems of 3 rows (dropped: 1 without an answer)",)

    def test_numina_math(self, tmp_path: Path) -> None:
        def row(
            problem: str, answer: str | None, kind: str = "math-word-problem", valid: str = "Yes"
        ) -> dict[str, Any]:
            return {
                "problem": problem,
                "solution": "...",
                "answer": answer,
                "problem_type": "Number Theory",
                "question_type": kind,
                "source": "olympiads",
                "problem_is_valid": valid,
                "solution_is_valid": "Yes",
                "synthetic": False,
            }

        file = write(
            tmp_path / "numina.parquet",
            row("How many?", "7"),
            row("Prove it.", "proof", "proof"),
            row("Lost?", "notfound"),
            row("Nothing?", None),
            row("Which is even?", "B", "MCQ"),
            row("Which is even? (A) 1 (B) 2 (C) 3", "B", "MCQ"),
            row("Half a pro", "1", valid="Incomplete"),
            row("how  many?", "7"),
        )
        sets = load(f"numina-math-1.5={file}")
        assert [p.question for p in sets.problems] == ["How many?", "Which is even? (A) 1 (B) 2 (C) 3"]
        assert sets.problems[0].tags == ("Number Theory", "olympiads")
        assert sets.problems[0].group == "olympiads"
        assert sets.notes == (
            "numina-math-1.5: 2 problems of 8 rows (dropped: 2 without an answer, 1 proofs, "
            "1 a choice without its choices, 1 marked as not valid, 1 copies of another question)",
        )

    def test_deepscaler(self, tmp_path: Path) -> None:
        file = write(
            tmp_path / "deepscaler.json",
            {"problem": "The operation?", "answer": "9", "solution": ""},
            {"problem": "Another?", "answer": "", "solution": r"thus $\boxed{-\frac{2}{3}}$"},
        )
        assert [p.answer for p in load(f"deepscaler={file}").problems] == ["9", r"-\frac{2}{3}"]

    def test_openr1_math(self, tmp_path: Path) -> None:
        row = {
            "problem": "Find $v_R$.",
            "solution": "## Solution.\n\n...",
            "answer": r"v_{R}=4\mathrm{~}/\mathrm{}",
            "problem_type": "Algebra",
            "question_type": "math-word-problem",
            "source": "olympiads",
            "uuid": "586fd646-76d6-5070-8c81-9993ab9d8559",
            "is_reasoning_complete": [True, False],
            "generations": ["<think>...", "<think>..."],
            "correctness_math_verify": [True, False],
            "finish_reasons": ["stop", "length"],
            "messages": [{"role": "user", "content": "..."}],
        }
        sets = load(f"openr1-math={write(tmp_path / 'openr1.parquet', row)}", extra=["uuid"])
        assert sets.problems[0] == Problem(
            id="openr1-math-0000000",
            question="Find $v_R$.",
            answer=r"v_{R}=4\mathrm{~}/\mathrm{}",
            tags=("Algebra", "olympiads"),
            group="olympiads",
            extra={"uuid": row["uuid"]},
        )


class TestOwnMaps:
    def test_options_name_the_columns(self, tmp_path: Path) -> None:
        row = {
            "ask": "1 + 1?",
            "gold": 2,
            "topic": "sums",
            "more": ["easy", "short"],
            "set": "a",
            "tests": [1, {"b": 2}],
        }
        file = write(tmp_path / "mine.jsonl", row)
        columns = {"question": "ask", "answer": "gold", "tags": ["topic", "more"], "group": "set", "extra": ["tests"]}
        assert list(load(file, domain="code", **columns).problems) == [
            Problem(
                id="mine-0000000",
                question="1 + 1?",
                answer="2",
                tags=("sums", "easy", "short"),
                domain="code",
                group="a",
                extra={"tests": [1, {"b": 2}]},
            )
        ]

    def test_keep(self, tmp_path: Path) -> None:
        rows = [{**row, "level": n % 4, "kind": "odd" if n % 2 else "even"} for n, row in enumerate(sums(40))]
        file = write(tmp_path / "mine.jsonl", *rows)
        assert len(load(file, keep=["kind=odd"]).problems) == 20
        assert len(load(file, keep=["level=1", "level=2", "kind=odd"]).problems) == 10
        with pytest.raises(UsageError, match="there is no colour"):
            load(file, keep=["colour=red"])

    @pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv", ".tsv", ".arrow", ".jsonl.gz", "folder"])
    def test_every_format_gives_the_same(self, tmp_path: Path, suffix: str) -> None:
        rows = [{"question": f"{LONG} {n}?", "answer": f"x{n}"} for n in range(9)]
        path = tmp_path / f"odd [1] * name{suffix}"
        table = datasets.Dataset.from_list(rows)
        if suffix in (".jsonl", ".json"):
            table.to_json(path)
        elif suffix == ".jsonl.gz":
            path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
        elif suffix == ".parquet":
            table.to_parquet(path)
        elif suffix in (".csv", ".tsv"):
            table.to_csv(path, sep="\t" if suffix == ".tsv" else ",")
        elif suffix == ".arrow":
            with pa.ipc.new_stream(str(path), table.data.table.schema) as writer:
                writer.write_table(table.data.table)
        else:
            table.save_to_disk(path)
        assert [(p.question, p.answer) for p in load(path).problems] == [tuple(row.values()) for row in rows]

    def test_a_folder_has_splits(self, tmp_path: Path) -> None:
        write(tmp_path / "set/train.jsonl", *sums(5))
        write(tmp_path / "set/test.jsonl", *sums(3, first=4))
        sets = load(tmp_path / "set", held_out="test")
        assert [p.id for p in sets.held_out] == [f"set-test-000000{n}" for n in range(3)]
        assert len(sets.problems) == 4
        assert "set: 4 problems of 5 rows (dropped: 1 in an evaluation set)" in sets.notes
        with pytest.raises(UsageError, match="split nope"):
            load(tmp_path / "set", split="nope")


class TestMix:
    def test_without_weights_all_of_all(self, tmp_path: Path) -> None:
        one, two = write(tmp_path / "one.jsonl", *sums(30)), write(tmp_path / "two.jsonl", *sums(30, first=20))
        sets = load(one, two)
        assert len(sets.problems) == 50
        assert sets.notes[2:3] == ("two: 20 problems of 30 rows (dropped: 10 copies of another question)",)

    def test_weights_are_proportions(self, tmp_path: Path) -> None:
        one, two = write(tmp_path / "one.jsonl", *sums(100)), write(tmp_path / "two.jsonl", *sums(50, first=100))
        sets = load(f"{one}:1", f"{two}:2")
        assert [sum(p.group == name for p in sets.problems) for name in ("one", "two")] == [25, 50]
        assert sets.notes[-1] == "the pool takes, chosen at random: 25 of one, 50 of two"
        assert list(load(f"{one}:1", f"{two}:2").problems) == list(sets.problems)
        assert list(load(f"{one}:1", f"{two}:2", seed=1).problems) != list(sets.problems)
        assert len(load(f"{one}:1", f"{two}:2", size=30).problems) == 30

    @given(
        st.lists(st.tuples(st.integers(0, 1000), st.floats(0.01, 100)), min_size=1, max_size=5), st.integers(0, 2000)
    )
    def test_no_dataset_gives_more_than_it_has_and_one_gives_all(
        self, parts: list[tuple[int, float]], most: int
    ) -> None:
        have, weights = [count for count, _ in parts], [weight for _, weight in parts]
        sizes = mix_sizes(have, weights, most)
        assert all(0 <= size <= count for size, count in zip(sizes, have, strict=True))
        assert not most or sum(sizes) <= most
        if not most:
            assert any(size == count for size, count in zip(sizes, have, strict=True))
        every = mix_sizes(have, [None] * len(have), most)
        assert sum(every) == (min(most, sum(have)) if most else sum(have))

    def test_two_of_one_name_have_different_ids(self, tmp_path: Path) -> None:
        one, two = write(tmp_path / "a/set.jsonl", *sums(2)), write(tmp_path / "b/set.jsonl", *sums(2, first=2))
        assert [p.id for p in load(one, two).problems] == [
            "set-0000000",
            "set-0000001",
            "set-2-0000000",
            "set-2-0000001",
        ]


class TestHeldOut:
    @pytest.mark.parametrize(("said", "count"), [("200", 10), ("7", 7), ("0.2", 20), ("0", 0)])
    def test_a_number_or_a_share(self, tmp_path: Path, said: str, count: int) -> None:
        sets = load(write(tmp_path / "one.jsonl", *sums(100)), held_out=said)
        assert len(sets.held_out) == count
        assert len(sets.problems) == 100 - count
        assert not {p.question for p in sets.held_out} & {p.question for p in sets.problems}

    def test_the_generator_decides_which(self, tmp_path: Path) -> None:
        file = write(tmp_path / "one.jsonl", *sums(100))
        assert load(file, held_out=10).held_out == load(file, held_out=10).held_out
        assert load(file, held_out=10).held_out != load(file, held_out=10, seed=1).held_out

    def test_copies_in_a_held_out_split_count_once(self, tmp_path: Path) -> None:
        write(tmp_path / "set/train.jsonl", *sums(5))
        write(tmp_path / "set/test.jsonl", *sums(2, first=50), *sums(2, first=50))
        assert len(load(tmp_path / "set", held_out="test").held_out) == 2


class TestDecontamination:
    def test_overlap_and_equality_are_told_by_set_with_an_example(self, tmp_path: Path) -> None:
        words = LONG.split()
        file = write(
            tmp_path / "pool.jsonl",
            *sums(3),
            {"question": f"In {' '.join(words[2:15]).upper()}, how many?", "answer": "1"},  # 13 words
            {"question": f"In {' '.join(words[2:14])} - how many?", "answer": "2"},  # 12
            {"question": "what is  7 - 3?", "answer": "4"},
            {"question": "What is 7 + 3?", "answer": "10"},
        )
        aime = write(tmp_path / "aime24.jsonl", {"Problem": LONG, "Answer": 1})
        short = write(tmp_path / "short.parquet", {"question": "What is 7 - 3?"}, {"question": "Untouched?"})
        sets = load(file, decontaminate=[str(aime), str(short)])
        assert [p.answer for p in sets.problems] == ["1", "2", "3", "2", "10"]
        assert sets.notes[0].endswith("(dropped: 2 in an evaluation set)")
        assert sets.notes[2].startswith(
            "aime24.jsonl (1 questions): 1 dropped from the pool for 13 words in a row in common, or as equal, such as "
            "pool-0000003 (In HAS THREE FIELDS"
        )
        assert sets.notes[3].startswith("short.parquet (2 questions): 1 dropped")
        assert sets.notes[3].endswith("such as pool-0000005 (what is 7 - 3?)")

    def test_a_set_that_touches_nothing_is_told_too(self, tmp_path: Path) -> None:
        sets = load(write(tmp_path / "a.jsonl", *sums(3)), decontaminate=[write(tmp_path / "b.jsonl", *sums(2, 9))])
        assert "0 dropped from the pool" in sets.notes[-1]

    @given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
    def test_overlap_is_what_the_definition_says(self, one: list[str], two: list[str]) -> None:
        grams = {tuple(one[i : i + 13]) for i in range(len(one) - 12)}
        shared = any(tuple(two[i : i + 13]) in grams for i in range(len(two) - 12))
        seen = Seen()
        seen.add([" ".join(one)], "set")
        assert (seen.find(" ".join(two)) == "set") == (shared or one == two)


class TestCache:
    def test_the_same_data_are_prepared_once_and_changed_ones_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import saidpo_plugins.pools.hub_prepare as hub_prepare

        file, against = write(tmp_path / "a.jsonl", *sums(20)), write(tmp_path / "b.jsonl", *sums(1))
        made: list[Path] = []
        prepare = hub_prepare.prepare
        monkeypatch.setattr(hub_prepare, "prepare", lambda path, *rest: (made.append(path), prepare(path, *rest)))
        first = load(file)
        assert list(load(file, seed=5).problems) == list(first.problems)
        assert len(load(file, held_out=2).problems) == 18
        assert len(made) == 1
        load(file, decontaminate=[against])
        write(file, *sums(21))
        assert len(load(file).problems) == 21
        assert len(made) == 3
        assert not list((tmp_path / "cache").rglob("*.tmp"))

    def test_a_failure_leaves_nothing_behind(self, tmp_path: Path) -> None:
        file = tmp_path / "a.jsonl"
        file.write_text('{"question": "1?", "answer": "1"}\n' * 5000 + '{"question": ')
        with pytest.raises(UsageError, match=r"a\.jsonl \(split train\) cannot be read"):
            load(file)
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    def test_a_cache_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(Exception, match=r"cannot be kept there: .*--pool\.cache=DIR"):
            load(write(tmp_path / "a.jsonl", *sums(3)), cache="/dev/null/cache")


class TestRefuses:
    def test_without_the_hub_a_benchmark_by_its_name_is_missed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        with pytest.raises(UsageError, match=r"--pool\.decontaminate: the hub cannot be reached for math-ai/aime24"):
            load(write(tmp_path / "a.jsonl", *sums(3)), decontaminate=["aime24"])

    @pytest.mark.parametrize(
        ("dataset", "why"),
        [
            ([], "needs --pool.dataset=NAME: numina-math-1.5, math, gsm8k"),
            (["gsm8q"], "'gsm8q' is no ready dataset"),
            (["gsm8q=./x"], "there is no map 'gsm8q'"),
            (["./nowhere.jsonl"], "./nowhere.jsonl: no such file or folder"),
            (["gsm8k:0"], "the weight after the colon has to be a number above 0"),
            (["gsm8k:much"], "the weight after the colon"),
        ],
    )
    def test_what_is_said_of_datasets(self, dataset: list[str], why: str) -> None:
        with pytest.raises(UsageError, match=why):
            load(*dataset)

    def test_columns_that_are_not_there(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.jsonl", {"text": "1 + 1?", "label": "2"})
        with pytest.raises(
            UsageError, match=r"has the columns text, label; none is called question.*--pool\.question="
        ):
            load(file)
        with pytest.raises(UsageError, match=r"none is called answer.*--pool\.answer="):
            load(file, question="text")

    def test_no_problem_of_any_use(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.jsonl", {"question": "Prove it.", "answer": "proof"})
        with pytest.raises(
            UsageError, match=r"no problem is left to train on: a: 0 problems of 1 rows \(dropped: 1 proofs"
        ):
            load(file)

    def test_other_files_and_options(self, tmp_path: Path) -> None:
        (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n")
        with pytest.raises(UsageError, match=r"expected a folder, or a file that ends in \.parquet"):
            load(tmp_path / "a.pkl")
        with pytest.raises(UsageError, match="a share below 1"):
            load(tmp_path, held_out="1.5")
        with pytest.raises(UsageError, match="expected COLUMN=VALUE"):
            load(tmp_path, keep=["odd"])

    def test_code_that_comes_with_a_dataset_is_never_run(self, tmp_path: Path) -> None:
        write(tmp_path / "set/train.jsonl", *sums(3))
        (tmp_path / "set/set.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
        try:
            load(tmp_path / "set")
        except UsageError as error:
            assert "scripts" in str(error)  # noqa: PT017
        assert not (tmp_path / "ran").exists()

    def test_without_the_hub_one_clear_message(self, tmp_path: Path) -> None:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
        command = [sys.executable, "-m", "saidpo_core.cli", "run", "--pool=hub", "--pool.dataset=gsm8k"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "the hub cannot be reached for openai/gsm8k" in line
        assert "name the folder" in line


class TestGold:
    @pytest.mark.parametrize(
        ("text", "box"),
        [
            (r"\boxed{1} and \boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
            (r"$\boxed 7$", "7"),
            (r"\fbox{3}", "3"),
            (r"\boxed {42}", "42"),
            (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
            (r"\boxed{1}, \boxed{2", "1"),
            ("no box", ""),
        ],
    )
    def test_last_box(self, text: str, box: str) -> None:
        assert last_box(text) == box

    def test_marks(self) -> None:
        assert marked_answer("so\n#### 1,080\n") == "1,080"
        assert marked_answer("42") == ""

    @given(st.text(max_size=60))
    def test_any_text_has_an_end(self, text: str) -> None:
        marked_answer("\\boxed{" + text)

    @pytest.mark.parametrize(
        ("question", "answer", "lacks"),
        [
            ("Which?", "B", True),
            ("Which? A. 1 B. 2", "B", False),
            (r"Which? $\textbf{(A)}\ 1 \qquad \textbf{(B)}\ 2$", "(B)", False),
            ("Which? (A) 1 (B) 2", "C", True),
            ("How many?", "12", False),
            ("Name the set.", "AB", False),
        ],
    )
    def test_choices(self, question: str, answer: str, lacks: bool) -> None:
        assert lacks_choices(question, answer) is lacks
