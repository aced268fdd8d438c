"""Tagger ``local`` with a real, very small model, through the real generator plug-ins."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Problem, SaidpoError, UsageError
from saidpo_core.options import build_options
from saidpo_plugins.generators.transformers import TransformersEngine
from saidpo_plugins.taggers.local import Local, LocalOptions
from saidpo_plugins.taggers.local_trial import make_labeller

WORDS = {"apples?": "counting", "metres?": "units"}


def problems(*ends: str) -> list[Problem]:
    return [Problem(id=str(n), question=f"{n}: how many {end}", answer="1") for n, end in enumerate(ends)]


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_labeller(tmp_path_factory.mktemp("labeller"), WORDS, other=None)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAIDPO_CACHE", str(tmp_path / "cache"))


def tagger(model: Path | str, **options: Any) -> Local:
    values = {"model": str(model), **options}
    return Local(build_options(LocalOptions, values, {key: f"--tagger.{key}" for key in values}))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many questions each call of the engine had."""
    calls: list[int] = []
    generate = TransformersEngine.generate

    def counting(self: Any, requests: Any, **how: Any) -> Any:
        calls.append(len(requests))
        return generate(self, requests, **how)

    monkeypatch.setattr(TransformersEngine, "generate", counting)
    return calls


def test_every_problem_gets_the_tags_that_the_model_names(model: Path) -> None:
    assert tagger(model).tag(problems("apples?", "metres?", "apples?"), quiet) == [
        ("counting",),
        ("units",),
        ("counting",),
    ]


def test_a_second_call_asks_nothing_and_batches_are_kept_one_by_one(model: Path, asked: list[int]) -> None:
    many = problems(*["apples?", "metres?"] * 5)

    def killed(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tagger(model, batch=4).tag(many, killed)
    assert asked == [4, 4]
    seen: list[tuple[int, int]] = []
    assert len(tagger(model, batch=4).tag(many, lambda *counts: seen.append(counts))) == 10
    assert asked == [4, 4, 2]
    assert seen == [(8, 10), (10, 10)]
    tagger(model).tag(many, quiet)
    assert asked == [4, 4, 2]


def test_another_model_is_asked_anew(model: Path, tmp_path: Path, asked: list[int]) -> None:
    tagger(model).tag(problems("apples?"), quiet)
    other = make_labeller(tmp_path / "other", {"apples?": "fruit"})
    assert tagger(other).tag(problems("apples?"), quiet) == [("fruit",)]
    assert asked == [1, 1]


def test_nonsense_is_asked_about_again_and_costs_one_problem_its_tags(
    model: Path, asked: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        tags = tagger(model).tag(problems(*["apples?"] * 7, "stars?"), quiet)
    assert tags == [("counting",)] * 7 + [()]
    assert asked == [8, 1, 1]
    assert "1 of 8 problems got no tags" in caplog.text


def test_a_model_that_does_not_follow_is_given_up_soon(model: Path, asked: list[int]) -> None:
    with pytest.raises(SaidpoError, match=r"no knowledge points for 5 of 5 problems.*follows instructions"):
        tagger(model, batch=5).tag(problems(*["stars?"] * 20), quiet)
    assert sum(asked) == 15


def test_any_generator_with_its_options(model: Path) -> None:
    many = problems("apples?", "metres?")
    for options in (["batch_size=1", "max_new_tokens=9"], ["max-new-tokens=9", "dtype=float32"]):
        assert tagger(model, generator_options=options).tag(many, quiet) == [("counting",), ("units",)]


def test_the_estimate_counts_what_the_cache_does_not_hold(model: Path, asked: list[int]) -> None:
    tagger(model).tag(problems("apples?"), quiet)
    text = tagger(model).estimate(problems("apples?", "metres?"))
    assert text.startswith(f"1 of 2 problems are in the cache; 1 questions to ask {model}, about ")
    assert text.endswith("40 generated tokens")
    assert asked == [1]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"model": ""}, r"--tagger=local needs a model: --tagger\.model=FOLDER"),
        ({"model": "./nowhere"}, r"--tagger\.model=\./nowhere: no such folder"),
        ({"generator": "transfomers"}, r"--tagger\.generator: unknown generator 'transfomers'.*transformers"),
        ({"generator_options": ["max_tokens=3"]}, r"--tagger\.generator_options: max_tokens: no such option"),
        ({"generator_options": ["batch_size=0"]}, r"--tagger\.generator_options: batch_size: must be >= 1"),
        ({"generator_options": ["batch_size"]}, r"expected KEY=VALUE, got 'batch_size'"),
    ],
)
def test_what_cannot_be_done_is_named(model: Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        tagger(**{"model": model, **options}).tag(problems("apples?"), quiet)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        tagger(tmp_path).tag(problems("apples?"), quiet)
