"""Pool ``jsonl``: what it reads, what it sets aside, and what it says of files that cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saidpo_core import Problem, ProblemSets, UsageError
from saidpo_plugins.pools.jsonl import Jsonl, JsonlOptions


def load(path: Path | None, seed: int = 0, **options: Any) -> ProblemSets:
    return Jsonl(JsonlOptions(path=path, **options)).load(np.random.default_rng(seed))


def row(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": f"p{number}", "question": f"What is {number}?", "answer": str(number), **fields}


def write(path: Path, *rows: Any) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.jsonl"


class TestReads:
    def test_all_fields(self, file: Path) -> None:
        write(file, row(1, tags=["ratios", "primes"], domain="code", group="easy", level=3, source=None, steps=[1, 2]))
        assert load(file).problems == (
            Problem(
                id="p1",
                question="What is 1?",
                answer="1",
                tags=("ratios", "primes"),
                domain="code",
                group="easy",
                extra={"level": 3, "steps": [1, 2]},
            ),
        )

    def test_tests_of_a_code_problem_are_kept_and_stand_for_its_answer(self, file: Path) -> None:
        tests = [{"type": "stdio", "input": "1\n", "output": "é\n"}]
        (problem,) = load(write(file, {"id": "p1", "question": "?", "domain": "code", "tests": tests})).problems
        assert problem.extra == {"tests": tests}
        assert json.loads(problem.answer) == tests

    def test_a_nested_value_that_json_cannot_hold_is_left_out(self, file: Path) -> None:
        (problem,) = load(write(file, row(1, kept=[{"a": [None, 1.5]}], dropped=[{"a": "\ud800"}]))).problems
        assert problem.extra == {"kept": [{"a": [None, 1.5]}]}

    def test_only_id_question_and_answer_are_needed(self, file: Path) -> None:
        (problem,) = load(write(file, row(1))).problems
        assert (problem.tags, problem.domain, problem.group, problem.extra) == ((), "math", "", {})

    @pytest.mark.parametrize(("answer", "text"), [(7, "7"), (-0.5, "-0.5"), (10**30, str(10**30)), (" 1/2 ", "1/2")])
    def test_numbers_as_answers_become_text(self, file: Path, answer: Any, text: str) -> None:
        assert load(write(file, row(1, id=12, answer=answer))).problems[0].answer == text
        assert load(file).problems[0].id == "12"

    def test_gzip_and_jsonl_give_the_same(self, tmp_path: Path) -> None:
        rows = [row(number, tags=["a"], group="g") for number in range(30)]
        plain, packed = write(tmp_path / "a.jsonl", *rows), write(tmp_path / "a.jsonl.gz", *rows)
        assert load(plain) == load(packed)

    def test_parquet_and_jsonl_give_the_same(self, tmp_path: Path) -> None:
        rows = [row(number, tags=["a"] if number else None, group="g", level=number) for number in range(30)]
        parquet = tmp_path / "a[1]*.parquet"
        pq.write_table(pa.Table.from_pylist(rows), parquet)
        assert load(write(tmp_path / "a.jsonl", *rows)) == load(parquet)

    def test_byte_order_mark_windows_line_ends_and_blank_lines(self, file: Path) -> None:
        file.write_bytes(b"\xef\xbb\xbf" + json.dumps(row(1)).encode() + b"\r\n\r\n" + json.dumps(row(2)).encode())
        assert [problem.id for problem in load(file).problems] == ["p1", "p2"]

    def test_a_line_separator_within_a_text_is_no_line_end(self, file: Path) -> None:
        file.write_text(json.dumps(row(1, question="a\u2028b"), ensure_ascii=False) + "\n{", encoding="utf-8")
        with pytest.raises(UsageError, match=r"mine\.jsonl:2: broken JSON"):
            load(file)


class TestHeldOut:
    def test_at_most_a_tenth_is_set_aside_and_in_no_pool(self, file: Path) -> None:
        write(file, *map(row, range(100)))
        for wanted, got in ((200, 10), (7, 7), (0, 0)):
            sets = load(file, held_out=wanted)
            assert len(sets.held_out) == got
            assert sorted(p.id for p in sets.problems + sets.held_out) == sorted(f"p{n}" for n in range(100))
            assert f"{got} of 100 problems were set aside" in sets.notes[0]

    def test_the_generator_decides_which(self, file: Path) -> None:
        write(file, *map(row, range(100)))
        assert load(file, seed=1) == load(file, seed=1)
        assert load(file, seed=1).held_out != load(file, seed=2).held_out

    def test_copies_of_a_question_are_never_on_both_sides(self, file: Path) -> None:
        write(file, *(row(number, question=f"What  is {number % 20}? ") for number in range(100)))
        sets = load(file)
        assert len(sets.held_out) == 2
        assert len(sets.problems) == 90
        assert not {p.question for p in sets.problems} & {p.question for p in sets.held_out}
        assert "8 problems were dropped from the pool" in sets.notes[1]

    def test_a_file_of_its_own(self, tmp_path: Path, file: Path) -> None:
        write(file, *map(row, range(50)))
        other = write(tmp_path / "test.jsonl", row(3), row(4, id="new", question=" What is\n4?"), row(99))
        sets = load(file, held_out_path=other)
        assert [problem.id for problem in sets.held_out] == ["p3", "new", "p99"]
        assert len(sets.problems) == 48
        assert sets.notes == ("2 problems were dropped from the pool because their question is held out",)

    def test_an_id_may_not_name_two_problems_over_both_files(self, tmp_path: Path, file: Path) -> None:
        write(file, row(1), row(2))
        other = write(tmp_path / "test.jsonl", row(9), row(2, question="Another?"))
        with pytest.raises(UsageError, match=r"test\.jsonl:2: the id 'p2' is already that of .*mine\.jsonl:2"):
            load(file, held_out_path=other)

    def test_nothing_left_to_train_on(self, file: Path) -> None:
        with pytest.raises(UsageError, match="none is left to train on"):
            load(write(file, row(1)), held_out_path=file)


class TestRefuses:
    def test_no_path(self) -> None:
        with pytest.raises(UsageError, match=r"--pool\.path=FILE"):
            load(None)

    def test_missing_file_folder_and_device(self, tmp_path: Path) -> None:
        for path, why in ((tmp_path / "no.jsonl", "no such file"), (tmp_path, "is a folder")):
            with pytest.raises(UsageError, match=f"{path}: {why}"):
                load(path)
        with pytest.raises(UsageError, match="not a regular file"):
            load(Path("/dev/null"))

    @pytest.mark.parametrize("content", [b"", b"\n \n\t\r\n"])
    @pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
    def test_an_empty_file(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        with pytest.raises(UsageError, match=rf"{name}: holds no problem"):
            load(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ('{"id": "1", "question"', "broken JSON"),
            ('{"id": 1, "question": "q", "answer": NaN}', "broken JSON .*NaN"),
            ("[" * 100_000, "broken JSON"),
            ("9" * 5000, "broken JSON"),
            ("[1]", "expected a JSON object .* got a list; write a JSON array's items on a line each"),
            ("3", "expected a JSON object .* got a number"),
            (row(1, id=None), "the field 'id' is missing"),
            ({"id": "1", "question": "q"}, "the field 'answer' is missing"),
            ({"id": "1", "answer": "q"}, "the field 'question' is missing"),
            (row(1, question="  "), "the field 'question' is empty"),
            (row(1, answer=""), "the field 'answer' is empty"),
            (row(1, id=""), "the field 'id' is empty"),
            (row(1, question=3), "the field 'question' has to hold text, got a number"),
            (row(1, answer=True), "the field 'answer' has to hold text, got a boolean"),
            (row(1, answer=["1"]), "the field 'answer' has to hold text, got a list"),
            (
                '{"id": "1", "question": "q", "answer": 1e999}',
                "the field 'answer' has to hold text, got a number that is not finite",
            ),
            (row(1, question="\ud800"), "the field 'question' holds half a surrogate pair"),
            (row(1, tags="ratios"), "the field 'tags' has to be a list of texts, got text"),
            (row(1, tags=["a", 3]), "the field 'tags' has to hold text, got a number"),
            (row(1, tags=[" "]), "the field 'tags' is empty"),
            (row(1, domain=3), "the field 'domain' has to hold text"),
            (row(1, group={}), "the field 'group' has to hold text, got an object"),
        ],
    )
    def test_a_bad_line_is_named(self, tmp_path: Path, name: str, line: Any, why: str) -> None:
        with pytest.raises(UsageError, match=rf"{name}:3: {why}") as caught:
            load(write(tmp_path / name, row(8), row(9), line, row(10)))
        assert caught.value.exit_code == 2

    def test_what_is_not_utf8(self, file: Path) -> None:
        file.write_bytes(json.dumps(row(1)).encode() + b'\n{"id": "\xff"}\n')
        with pytest.raises(UsageError, match=r"mine\.jsonl:2: not UTF-8 \(byte 9 of the line\)"):
            load(file)

    def test_duplicate_ids_name_both_lines(self, file: Path) -> None:
        with pytest.raises(UsageError, match=r"mine\.jsonl:3: the id '7' is already that of .*mine\.jsonl:1;"):
            load(write(file, row(1, id=7), row(2), row(3, id="7")))

    def test_a_torn_or_false_gzip_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl.gz", *map(row, range(1000)))
        whole = path.read_bytes()
        for broken in (whole[: len(whole) // 2], whole[:200] + b"\0" * 50 + whole[250:], b"plain"):
            path.write_bytes(broken)
            with pytest.raises(UsageError, match=r"a\.jsonl\.gz:\d+: "):
                load(path)

    def test_a_bad_row_of_a_parquet_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist([row(1), row(2), row(3, answer=None)]), path)
        with pytest.raises(UsageError, match=r"a\.parquet, row 3: the field 'answer' is missing"):
            load(path)

    def test_a_parquet_file_that_is_none(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist([row(1)]), path)
        whole = path.read_bytes()
        for content in (b"", b"junk", whole[: len(whole) // 2], whole[100:]):
            path.write_bytes(content)
            with pytest.raises(UsageError, match=r"a\.parquet: no problem can be read from this Parquet file: ."):
                load(path)
        assert capfd.readouterr().err == ""


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
_names = st.sampled_from(["id", "question", "answer", "tags", "domain", "group", "level"])
_objects = st.dictionaries(_names, _values).map(json.dumps)
_good = st.integers(0, 30).map(lambda number: json.dumps(row(number)))


@settings(deadline=None, max_examples=300)
@given(
    content=st.binary() | st.lists(_objects | _good, max_size=30).map("\n".join).map(str.encode),
    packed=st.sampled_from(["", "raw", "whole"]),
    held_out=st.integers(0, 5),
)
def test_any_bytes_give_a_valid_pool_or_a_usage_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, packed: str, held_out: int
) -> None:
    path = tmp_path_factory.getbasetemp() / ("any.jsonl.gz" if packed else "any.jsonl")
    path.write_bytes(gzip.compress(content) if packed == "whole" else content)
    try:
        sets = load(path, held_out=held_out)
    except UsageError as error:
        assert str(path) in str(error)  # noqa: PT017
        return
    everything = sets.problems + sets.held_out
    assert sets.problems
    assert len(sets.held_out) <= min(held_out, len(everything) // 10)
    assert len({problem.id for problem in everything}) == len(everything)
    assert not {problem.question for problem in sets.problems} & {problem.question for problem in sets.held_out}
    for problem in everything:
        assert all((problem.id, problem.question, problem.answer, problem.domain, *problem.tags))
        json.dumps(
            [problem.question, problem.answer, dict(problem.extra)], allow_nan=False, ensure_ascii=False
        ).encode()
