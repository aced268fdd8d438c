"""Pool ``arithmetic``: what was held out was never seen, by the pool or by the embedded policy's corpus."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from functools import cache
from random import Random
from typing import Any, Literal

import numpy as np
import pytest

from saidpo_core import ProblemSets, UsageError
from saidpo_plugins.embedded.corpus import corpus
from saidpo_plugins.embedded.families import FAMILIES, Operands
from saidpo_plugins.embedded.problems import ArithmeticProblem, held_out_problems, pool_problems, split_of
from saidpo_plugins.policies.embedded import saidpo_policies
from saidpo_plugins.pools.arithmetic import ArithmeticOptions, ArithmeticPool

SPLITS: tuple[Literal["dev", "test"], ...] = ("dev", "test")


@cache
def load(seed: int = 0, **options: Any) -> ProblemSets:
    return ArithmeticPool(ArithmeticOptions(**options)).load(np.random.default_rng(seed))


@cache
def held_out(split: Literal["dev", "test"]) -> list[ArithmeticProblem]:
    return held_out_problems(split, 25)


def keys_of(problems: list[ArithmeticProblem]) -> set[tuple[str, Operands]]:
    return {(problem.family.name, problem.operands) for problem in problems}


def questions_of(sets: ProblemSets) -> set[str]:
    return {problem.question for problem in sets.problems}


def test_the_held_out_problems_are_those_that_the_other_tests_look_at() -> None:
    for split in SPLITS:
        assert [p.question for p in load(split=split).held_out] == [p.question for p in held_out(split)]
        assert {split_of(problem.family, problem.operands) for problem in held_out(split)} == {split}


@pytest.mark.parametrize("split", SPLITS)
def test_no_held_out_problem_is_in_the_pool(split: Literal["dev", "test"]) -> None:
    sets = load(split=split)
    assert not questions_of(sets) & {problem.question for problem in sets.held_out}
    made = pool_problems(5000, (82, 13.5, 5), Random("pool"))
    assert {problem.question for problem in made} == questions_of(sets)
    assert not keys_of(made) & keys_of(held_out(split))


def test_dev_and_test_do_not_meet() -> None:
    dev, test = held_out("dev"), held_out("test")
    assert not keys_of(dev) & keys_of(test)
    assert not {problem.question for problem in dev} & {problem.question for problem in test}


def test_no_held_out_problem_is_in_the_corpus_of_the_embedded_policy() -> None:
    hidden = {key for split in SPLITS for key in keys_of(held_out(split))}
    texts = {problem.question for split in SPLITS for problem in held_out(split)}
    # Seed 0 as in make_policy. The rest of the endless corpus is covered by the split, which the operands decide.
    for problem, response in itertools.islice(corpus(0), 100_000):
        assert (problem.family.name, problem.operands) not in hidden
        assert problem.question not in texts
        assert not texts & set(response.split("\n"))


def test_the_pool_has_about_the_size_and_mix_asked_for() -> None:
    problems = load().problems
    assert abs(len(problems) - 5000) <= len(FAMILIES)
    tiers = Counter(problem.extra["tier"] for problem in problems)
    for tier, share in (("mastered", 82), ("middling", 13.5), ("weak", 5)):
        assert tiers[tier] / len(problems) == pytest.approx(share / 100.5, abs=0.005)
    small = Counter(problem.extra["tier"] for problem in load(size=240, mix=(0.0, 1.0, 1.0)).problems)
    assert set(small) == {"middling", "weak"}
    assert small["middling"] == pytest.approx(120, abs=4)


@pytest.mark.parametrize("mix", [(1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.24, 0.15, 0.61), (82.0, 13.5, 5.0)])
def test_the_smallest_pool_is_not_empty(mix: tuple[float, ...]) -> None:
    assert load(size=24, mix=mix).problems


def test_problems_are_complete_and_their_answers_are_right() -> None:
    sets = load()
    everything = (*sets.problems, *sets.held_out)
    assert len({problem.id for problem in everything}) == len(everything)
    assert len({problem.question for problem in everything}) == len(everything)
    families = {family.name: family for family in FAMILIES}
    assert {problem.group for problem in sets.problems} == set(families)
    for problem in everything:
        assert problem.extra == {"tier": families[problem.group].tier}
        assert problem.id.startswith(("test-", problem.group))
        int(problem.answer)
    made = {problem.question: problem for problem in held_out("test")}
    for problem in sets.held_out:
        assert made[problem.question].solution.split("\n")[-1] == f"#### {problem.answer}"
    assert Counter(problem.group for problem in sets.held_out) == dict.fromkeys(families, 25)


def test_the_pool_is_the_same_whatever_the_seed_of_the_run() -> None:
    assert load(0, size=500) == load(1, size=500)
    rng = np.random.default_rng(3)
    ArithmeticPool(ArithmeticOptions(size=24)).load(rng)
    assert rng.random() == np.random.default_rng(3).random()


def test_the_problems_are_shuffled() -> None:
    groups = [problem.group for problem in load().problems]
    assert sum(one == two for one, two in itertools.pairwise(groups)) < 0.2 * len(groups)


def test_tags_are_noisy_but_tell_families_apart() -> None:
    """A tag list names its family well enough, yet families have many lists and lists are not the family's name."""
    lists: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for problem in load().problems:
        lists[problem.group][tuple(sorted(problem.tags))] += 1
        for tag in problem.tags:
            tags[tag][problem.group] += 1
        assert problem.tags
    assert min(len(counts) for counts in lists.values()) >= 4, "synonyms, omissions and strays"
    for family in FAMILIES:
        assert all(tags[tag][family.name] for synonyms in family.tags for tag in synonyms), "every synonym is used"
    of_one_family = sum(counts.most_common(1)[0][1] for counts in tags.values()) / sum(
        map(Counter.total, tags.values())
    )
    assert 0.9 < of_one_family < 1


def test_readers_are_told_that_the_weaknesses_were_planted() -> None:
    policy, *_ = saidpo_policies()
    assert any("planted" in note for note in load().notes)
    assert any("planted" in note for note in policy.notes)
    assert policy.default
    assert policy.folder.name == "policy"
    assert policy.folder.parent.name == "embedded"


@pytest.mark.parametrize(
    "mix", [(), (1.0, 2.0), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 5.0, 5.0), (float("nan"), 1.0, 1.0)]
)
def test_a_mix_that_makes_no_sense_is_refused(mix: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"pool\.mix: expected three shares"):
        ArithmeticOptions(mix=mix)


def test_more_problems_than_there_are_is_refused_with_the_most_that_can_be_had() -> None:
    with pytest.raises(UsageError, match=r"pool\.size: .* expected at most (\d+), got 100000") as caught:
        load(size=100_000)
    most = int(str(caught.value).split("at most ")[1].split(",")[0])
    assert 5000 < most < 100_000
    assert len(load(size=most).problems) == pytest.approx(most, abs=len(FAMILIES))
    with pytest.raises(UsageError, match=r"pool\.size"):
        load(size=most + 100)


@pytest.mark.parametrize("split", SPLITS)
def test_more_held_out_problems_than_there_are_is_refused(split: str) -> None:
    with pytest.raises(UsageError, match=rf"pool\.held_out: expected at most \d+, got 5000: .* {split}"):
        load(split=split, held_out=5000)


def test_nothing_need_be_held_out() -> None:
    assert load(held_out=0, size=240).held_out == ()
