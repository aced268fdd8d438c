"""The eight benchmarks from small files with the columns of the real ones, and what is measured with them."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Generation, Problem, Request, Response, UsageError
from saidpo_core.conformance.samples import no_progress
from saidpo_core.intervals import accuracy_interval, mean_interval
from saidpo_plugins.common import benchmarks
from saidpo_plugins.common.benchmarks import BENCHMARKS, content_hash, from_file, from_hub, load_benchmarks
from saidpo_plugins.evaluators.benchmarks import BenchmarksEvaluator, BenchmarksOptions
from saidpo_plugins.verifiers.math import MathVerifier

# One row of each, with all of its columns, as the hub has them; texts are our own.
ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "gsm8k": (
        {"question": "Ann has 72 figs. How many?", "answer": "She has 72 = <<72=72>>72 figs.\n#### 1,072"},
        "1,072",
        "1072",
    ),
    "math500": (
        {
            "problem": "What is $1/2$?",
            "solution": "It is $\\boxed{\\frac{1}{2}}$.",
            "answer": "\\frac{1}{2}",
            "subject": "Prealgebra",
            "level": 1,
            "unique_id": "test/prealgebra/1.json",
        },
        "\\frac{1}{2}",
        "0.5",
    ),
    "minerva": ({"question": "How far, in $\\mathrm{km}$?", "answer": "4.5e33"}, "4.5e33", "4.5 \\times 10^{33}"),
    "gaokao2023en": (
        {
            "question": "Find $x$.",
            "answer": "$\\{-2\\}$",
            "source": "2023",
            "lang": "en",
            "sourcename": "gaokao",
            "id": 3,
        },
        "$\\{-2\\}$",
        "\\{-2\\}",
    ),
    "olympiadbench": (
        {
            "id": 1606,
            "question": "How long is it?",
            "solution": ["Clearly 5 cm."],
            "final_answer": ["5"],
            "context": None,
            "image_1": None,
            "modality": "Text-only",
            "difficulty": "Competition",
            "is_multiple_answer": False,
            "unit": "$\\mathrm{cm}$",
            "answer_type": "Numerical",
            "error": None,
            "question_type": "Open-ended",
            "subfield": "Geometry",
            "subject": "Math",
            "language": "English",
        },
        "5 \\mathrm{cm}",
        "5",
    ),
    "collegemath": (
        {
            "data_source": "college_math.Beginning_Algebra",
            "question_number": "exercise.2.7",
            "question": "Simplify $-10-4(n-5)$.",
            "answer": "$10-4 n$",
            "license": "CC",
            "data_topic": "college_math.algebra",
        },
        "$10-4 n$",
        "-4n+10",
    ),
    "aime24": ({"id": 60, "problem": "Find it.", "solution": "\\boxed{033}", "url": "https://example.org"}, "33", "33"),
    "amc23": ({"id": 0, "question": "Find it.", "answer": 27.0, "url": "https://example.org"}, "27", "27.0"),
}


def write(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (row, _, _) in ROWS.items():
        write(tmp_path / f"{name}.jsonl", row)
    return tmp_path


def test_there_is_a_row_for_each_of_the_eight() -> None:
    assert list(ROWS) == list(BENCHMARKS)


def test_question_and_gold_answer_are_found_in_the_columns_of_each(folder: Path) -> None:
    problems = load_benchmarks([], folder)
    assert [problem.group for problem in problems] == list(BENCHMARKS)
    assert [problem.answer for problem in problems] == [gold for _, gold, _ in ROWS.values()]
    for problem, (row, _, _) in zip(problems, ROWS.values(), strict=True):
        assert problem.question == row.get("question", row.get("problem"))
        assert problem.extra["source"].startswith(f"{problem.group}.jsonl, sha256 ")
    assert "She has 72" in problems[0].extra["solution"]


def test_the_verifier_reads_every_gold_answer(folder: Path) -> None:
    verifier = MathVerifier()
    try:
        for problem, (_, _, said) in zip(load_benchmarks([], folder), ROWS.values(), strict=True):
            [right, wrong] = verifier.verify([(problem, f"So \\boxed{{{said}}}."), (problem, "So \\boxed{-77}.")])
            assert (right.outcome, wrong.outcome) == ("right", "wrong"), problem
    finally:
        verifier.close()


@pytest.mark.parametrize(
    ("name", "row", "gold"),
    [
        ("aime24", {"ID": "2024-I-1", "Problem": "Find it.", "Solution": "...", "Answer": 204}, "204"),
        ("aime24", {"problem": "Find it.", "answer": "025"}, "25"),
        ("minerva", {"problem": "Which?", "solution": "\\boxed{1} or \\boxed{x^{2}}.", "type": "T", "idx": 0}, "x^{2}"),
        ("olympiadbench", {"question": "Which?", "final_answer": ["$1$", "$2$"], "is_multiple_answer": True}, "1, 2"),
        ("olympiadbench", {"question": "?", "final_answer": ["$1,2$"], "unit": "m", "is_multiple_answer": True}, "1,2"),
        ("mine", {"question": "What?", "answer": "so\n#### 4"}, "4"),
        ("mine", {"problem": "What?", "solution": "\\boxed{4}"}, "4"),
    ],
)  # fmt: skip
def test_other_copies_of_them_are_read_too(tmp_path: Path, name: str, row: dict[str, Any], gold: str) -> None:
    [problem] = from_file(name, write(tmp_path / f"{name}.jsonl", row))
    assert problem.answer == gold


def test_a_context_stands_before_the_question(tmp_path: Path) -> None:
    row = {"question": "Who?", "context": "Ann and Bo ran.", "final_answer": ["1"]}
    [problem] = from_file("olympiadbench", write(tmp_path / "a.jsonl", row))
    assert problem.question == "Ann and Bo ran.\n\nWho?"


def test_files_may_be_packed_parquet_or_in_folders_of_qwens_evaluation(tmp_path: Path) -> None:
    import datasets

    (tmp_path / "amc23.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROWS["amc23"][0]).encode()))
    datasets.Dataset.from_list([ROWS["aime24"][0]]).to_parquet(tmp_path / "aime24.parquet")
    write(tmp_path / "minerva_math/test.jsonl", ROWS["minerva"][0])
    write(tmp_path / "mine.jsonl", {"question": "What?", "answer": 4})
    assert [problem.group for problem in load_benchmarks([], tmp_path)] == ["minerva", "aime24", "amc23", "mine"]
    assert [problem.group for problem in load_benchmarks(["mine", "amc23"], tmp_path)] == ["mine", "amc23"]


def test_what_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "aime24.jsonl", ROWS["aime24"][0], {"problem": "Find it.", "solution": "It is 7."})
    with pytest.raises(UsageError, match=r"aime24.jsonl:2: no gold answer of aime24 in the columns problem, solution"):
        from_file("aime24", file)
    with pytest.raises(UsageError, match=r"gsm8k.jsonl:1: no question of gsm8k in the columns q"):
        from_file("gsm8k", write(tmp_path / "gsm8k.jsonl", {"q": "?"}))
    with pytest.raises(UsageError, match=r"no benchmark aime42, nor a file of that name in .*; there are gsm8k"):
        load_benchmarks(["aime42"], tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        load_benchmarks([], tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds no .jsonl"):
        load_benchmarks([], tmp_path / "empty")
    write(tmp_path / "two/amc23.jsonl", ROWS["amc23"][0])
    write(tmp_path / "two/amc23/test.jsonl", ROWS["amc23"][0])
    with pytest.raises(UsageError, match="is amc23 already; keep one of them"):
        load_benchmarks([], tmp_path / "two")


def test_one_message_says_what_to_fetch_and_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write(tmp_path / "files/aime24.jsonl", ROWS["aime24"][0])
    with pytest.raises(UsageError) as caught:
        load_benchmarks(["aime24", "olympiadbench", "amc23"], tmp_path / "files")
    message = str(caught.value)
    assert message.startswith("2 of 3 benchmarks are not here")
    assert (
        "load_dataset('Hothan/OlympiadBench', 'OE_TO_maths_en_COMP', split='train').to_json('olympiadbench.jsonl')"
        in message
    )
    assert "amc23.jsonl" in message
    assert "--evaluator.files=FOLDER" in message
    assert datasets.config.HF_HUB_OFFLINE  # as it was


def test_the_loader_of_the_hub_reads_a_data_set_of_the_same_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``datasets`` takes a folder for a data set of the hub: the same code, without the network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    card = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: test\n    path: main/test-*\n---\n"
    (tmp_path / "gsm8k/main").mkdir(parents=True)
    (tmp_path / "gsm8k/README.md").write_text(card)
    rows = [ROWS["gsm8k"][0], {"question": "And 1 + 1?", "answer": "#### 2"}]
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "gsm8k/main/test-00000-of-00001.parquet")
    problems = from_hub(replace(BENCHMARKS["gsm8k"], path=str(tmp_path / "gsm8k")))
    assert [(problem.id, problem.answer) for problem in problems] == [("gsm8k/0000", "1,072"), ("gsm8k/0001", "2")]
    assert "hub" in problems[0].extra["source"]


def test_the_revision_is_the_commit_in_what_was_downloaded() -> None:
    @dataclass
    class Info:
        download_checksums: Any

    @dataclass
    class Table:
        info: Info

    commit = "0123456789abcdef0123456789abcdef01234567"
    assert benchmarks._revision(Table(Info({f"hf://datasets/math-ai/aime24@{commit}/test.parquet": {}}))) == commit
    assert benchmarks._revision(Table(Info(None))) == "unknown"


def test_the_hash_follows_from_questions_and_answers_alone() -> None:
    a = [Problem(id="a", question="q", answer="1")]
    assert content_hash(a) == content_hash([replace(a[0], id="b", extra={"source": "x"})])
    assert content_hash(a) != content_hash([replace(a[0], answer="2")])


# ---- What is measured ------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """Answers sample k of a problem rightly if k is below ``right[problem id]``; ids in ``cut`` are cut off."""

    right: Mapping[str, int]
    cut: Sequence[str] = ()
    greedy: Any = None
    calls: int = 0

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        self.greedy, self.calls = greedy, self.calls + 1
        return [
            Generation(prompt_ids=(1,), responses=tuple(self._say(r.problem, k) for k in range(len(r.seeds))))
            for r in requests
        ]

    def _say(self, problem: Problem, k: int) -> Response:
        text = f"\\boxed{{{problem.answer if k < self.right[problem.id] else -1}}}"
        cut = problem.id in self.cut
        return Response(text=text, token_ids=(1, 2, 3), logprobs=(-1.0,) * 3, finish_reason="length" if cut else "stop")


def measured(options: BenchmarksOptions, problems: Sequence[Problem], engine: Told) -> Any:
    verifier = MathVerifier()
    try:
        return BenchmarksEvaluator(options).evaluate(problems, {}, engine, verifier, no_progress)
    finally:
        verifier.close()


def sums(n: int, group: str = "sums") -> list[Problem]:
    return [Problem(id=f"{group}/{i}", question=f"{i}?", answer=str(i), group=group) for i in range(n)]


def test_greedy_counts_each_problem_once_and_gives_wilsons_interval() -> None:
    problems = sums(40)
    engine = Told({problem.id: int(i < 26) for i, problem in enumerate(problems)}, cut=["sums/0", "sums/39"])
    evaluation = measured(BenchmarksOptions(), problems, engine)
    score = evaluation.groups["sums"]
    assert (score.right, score.total, score.truncated, score.tokens) == (25, 40, 2, 120)
    assert score.interval == accuracy_interval([1] * 25 + [0] * 15)
    assert evaluation.accuracy_balanced == 25 / 40
    assert evaluation.interval == pytest.approx(score.interval)
    assert math.isnan(evaluation.accuracy_pool)
    assert engine.greedy is True
    assert evaluation.details["decoding"] == "greedy"


def test_avg_at_n_is_the_mean_over_samples() -> None:
    problems = [*sums(3), *sums(2, "more")]
    counts = [4, 1, 0, 2, 4]
    engine = Told({problem.id: count for problem, count in zip(problems, counts, strict=True)})
    evaluation = measured(BenchmarksOptions(samples=4), problems, engine)
    groups = evaluation.groups
    assert (groups["sums"].right, groups["sums"].total, groups["sums"].problems) == (5, 12, 3)
    assert groups["sums"].accuracy == pytest.approx((4 / 4 + 1 / 4 + 0) / 3)
    assert groups["more"].interval == accuracy_interval([2, 4], 4)
    assert evaluation.accuracy_balanced == pytest.approx((5 / 12 + 6 / 8) / 2)
    intervals = [score.interval for score in groups.values()]
    assert evaluation.interval == mean_interval([score.accuracy for score in groups.values()], intervals)
    assert engine.greedy is False
    assert evaluation.details["decoding"] == "avg@4"


def test_calls_are_of_a_size_that_can_be_lost() -> None:
    problems = sums(300)
    engine = Told(dict.fromkeys((problem.id for problem in problems), 0))
    measured(BenchmarksOptions(samples=4), problems, engine)
    assert engine.calls == 3  # 128 problems of 4 responses each


def test_samples_have_seeds_of_their_own_that_follow_from_the_option() -> None:
    def seeds(seed: int) -> list[int]:
        evaluator = BenchmarksEvaluator(BenchmarksOptions(samples=3, seed=seed))
        return [s for problem in sums(2) for s in evaluator._seeds(problem)]

    assert seeds(0) == seeds(0)
    assert len({*seeds(0), *seeds(1)}) == 12


def test_it_asks_for_another_temperature_only_if_told_to() -> None:
    assert BenchmarksEvaluator(BenchmarksOptions()).engine_options() == {}
    options = BenchmarksOptions(samples=2, temperature=0.6, top_p=0.95, max_new_tokens=4096)
    asked = BenchmarksEvaluator(options).engine_options()
    assert asked == {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 4096}


def test_a_temperature_for_one_greedy_response_is_refused() -> None:
    with pytest.raises(ValueError, match="one response is greedy"):
        BenchmarksOptions(temperature=0.6)
