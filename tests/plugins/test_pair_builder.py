"""Pair builders: what every pair has to be, and what each builder says of its choice, against brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Attempts, NoOptions, Pair, PairBuilder, Response
from saidpo_core.contracts import check_pairs
from saidpo_core.registry import load_registry
from saidpo_plugins.pair_builders.all import AllOptions, AllPairBuilder
from saidpo_plugins.pair_builders.length_matched import LengthMatchedPairBuilder
from saidpo_plugins.pair_builders.longest_right import LongestRightPairBuilder
from saidpo_plugins.pair_builders.max_margin import MaxMarginPairBuilder
from saidpo_plugins.pair_builders.random import RandomPairBuilder
from saidpo_plugins.pair_builders.step_aligned import StepAlignedPairBuilder
from tests.builders import make_attempts, make_response
from tests.plugins.test_steps import pieces_of

RANDOM = RandomPairBuilder(NoOptions())
LONGEST = LongestRightPairBuilder(NoOptions())
MATCHED = LengthMatchedPairBuilder(NoOptions())
MARGIN = MaxMarginPairBuilder(NoOptions())
ALIGNED = StepAlignedPairBuilder(NoOptions())
BUILDERS: dict[str, PairBuilder] = {
    "random": RANDOM,
    "longest-right": LONGEST,
    "length-matched": MATCHED,
    "max-margin": MARGIN,
    "all": AllPairBuilder(AllOptions()),
    "step-aligned": ALIGNED,
}
REGISTRY = load_registry()
VOCABULARY = ("1", "+", "so", ".", " ", "\n", "\n\n", ".\n\n", "\r\n", ". A", "é", "", "<end>")
"""Token id -> its text; the empty one is the first part of a character that takes two tokens."""
END = len(VOCABULARY) - 1


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_tokens(*ids: int, logprob: float = -0.5, truncated: bool = False) -> Response:
    texts = ["" if token == END else VOCABULARY[token] for token in ids]
    return Response(
        text="".join(texts),
        token_ids=ids,
        logprobs=(logprob,) * len(ids),
        finish_reason="length" if truncated else "stop",
        widths=tuple(map(len, texts)),
    )


def spell(*tokens: str) -> Response:
    return of_tokens(*map(VOCABULARY.index, tokens), END)


@st.composite
def attempts_of(draw: st.DrawFn, least: int = 1) -> Attempts:
    """K from 2 on; few tokens, so shared beginnings, equal lengths and equal responses are common."""
    outcomes = "r" * draw(st.integers(least, 3)) + "w" * draw(st.integers(least, 3)) + "u" * draw(st.integers(0, 1))
    begin = draw(st.lists(st.integers(0, END - 1), max_size=8))
    responses = []
    for _ in outcomes:
        kept = begin[: draw(st.integers(0, len(begin)))]
        ids = [*kept, *draw(st.lists(st.integers(0, END - 1), max_size=4)), END]
        responses.append(of_tokens(*ids, logprob=draw(st.sampled_from([-2.0, -1.0, -0.25]))))
    order = draw(st.permutations(range(len(outcomes))))
    return make_attempts("".join(outcomes[i] for i in order), [responses[i] for i in order], problem_id="p7")


def one_pair(builder: PairBuilder, attempts: Attempts, seed: int = 0) -> Pair:
    [pair] = builder.build(attempts, rng(seed))
    return pair


# What all promise


@pytest.mark.parametrize("name", BUILDERS)
@given(attempts_of(least=0), st.integers(0, 2**32))
def test_pairs_are_right_against_wrong_of_this_problem_and_follow_from_the_generator(
    name: str, attempts: Attempts, seed: int
) -> None:
    pairs = BUILDERS[name].build(attempts, rng(seed))
    check_pairs(pairs, attempts, REGISTRY.find("pair-builder", name, "--pair-builder"))
    assert bool(pairs) == attempts.usable
    if name != "all":
        assert len(pairs) == attempts.usable
    if name != "step-aligned":
        assert all(pair.prompt_ids == attempts.prompt_ids for pair in pairs)
    assert pairs == BUILDERS[name].build(attempts, rng(seed)), "the same generator, the same pairs"


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("outcomes", ["", "rrr", "www", "uu", "ru", "uw"])
def test_without_a_right_and_a_wrong_response_there_is_no_pair(name: str, outcomes: str) -> None:
    assert BUILDERS[name].build(make_attempts(outcomes), rng()) == []


@pytest.mark.parametrize("name", BUILDERS)
def test_two_responses_of_which_one_is_right_make_that_pair(name: str) -> None:
    right, wrong = make_response("1+1=2\n#### 2"), make_response("1+1=3\n#### 3 or 4")
    pair = one_pair(BUILDERS[name], make_attempts("wr", [wrong, right]))
    assert (pair.chosen, pair.rejected) == (right, wrong)


def every_wrong_one_comes_up(builder: PairBuilder, attempts: Attempts, wrong: int) -> bool:
    times, source = 3000, rng(11)
    seen = Counter(pair.rejected.text for _ in range(times) for pair in builder.build(attempts, source))
    sd = np.sqrt(times / wrong * (1 - 1 / wrong))
    return len(seen) == wrong and all(abs(count - times / wrong) < 4 * sd for count in seen.values())


# random


def test_random_every_pair_comes_up_equally_often() -> None:
    attempts, source = make_attempts("rwrwwu"), rng(11)
    times, possible = 6000, 2 * 3
    seen = Counter((p.chosen.text, p.rejected.text) for _ in range(times) for p in RANDOM.build(attempts, source))
    assert len(seen) == possible
    sd = np.sqrt(times / possible * (1 - 1 / possible))
    assert all(abs(count - times / possible) < 4 * sd for count in seen.values())


# longest-right


@given(attempts_of(), st.integers(0, 2**32))
def test_longest_right_is_the_first_of_the_longest(attempts: Attempts, seed: int) -> None:
    lengths = [len(response.token_ids) for response in attempts.right]
    assert one_pair(LONGEST, attempts, seed).chosen is attempts.right[lengths.index(max(lengths))]


def test_longest_right_takes_any_wrong_one() -> None:
    assert every_wrong_one_comes_up(LONGEST, make_attempts("rwrwwu"), 3)


# length-matched


@given(attempts_of(), st.integers(0, 2**32))
def test_length_matched_is_the_first_of_the_nearest_pairs(attempts: Attempts, seed: int) -> None:
    best: tuple[int, Response, Response] | None = None
    for right in attempts.right:
        for wrong in attempts.wrong:
            difference = abs(len(right.token_ids) - len(wrong.token_ids))
            if best is None or difference < best[0]:
                best = difference, right, wrong
    assert best is not None
    pair = one_pair(MATCHED, attempts, seed)
    assert pair.chosen is best[1]
    assert pair.rejected is best[2]


# max-margin


@given(attempts_of(), st.integers(0, 2**32))
def test_max_margin_is_where_the_policy_most_prefers_the_wrong_response(attempts: Attempts, seed: int) -> None:
    def margin(right: Response, wrong: Response) -> float:
        return fmean(wrong.logprobs) - fmean(right.logprobs)

    pair = one_pair(MARGIN, attempts, seed)
    assert margin(pair.chosen, pair.rejected) == max(margin(r, w) for r in attempts.right for w in attempts.wrong)


def test_max_margin_is_a_mean_not_a_sum_and_the_first_of_equals_is_taken() -> None:
    sure, unsure = make_response("a", tokens=2, logprob=-0.1), make_response("b", tokens=2, logprob=-3.0)
    long_but_sure = make_response("c", tokens=100, logprob=-0.1)
    equal = make_response("d", tokens=7, logprob=-0.1)
    pair = one_pair(MARGIN, make_attempts("rrwww", [long_but_sure, unsure, unsure, equal, sure]))
    assert pair.chosen is unsure
    assert pair.rejected is equal


# all


@given(attempts_of(), st.integers(0, 2**32), st.integers(0, 12))
def test_all_gives_every_combination_once_or_so_many_of_them(attempts: Attempts, seed: int, most: int) -> None:
    pairs = AllPairBuilder(AllOptions(most=most)).build(attempts, rng(seed))
    made = [(pair.chosen.token_ids, pair.rejected.token_ids) for pair in pairs]
    possible = {(right.token_ids, wrong.token_ids) for right in attempts.right for wrong in attempts.wrong}
    assert len(set(made)) == len(made) == (min(most, len(possible)) if most else len(possible))
    assert set(made) <= possible


def test_all_what_is_left_out_is_left_out_at_random() -> None:
    builder, source = AllPairBuilder(AllOptions(most=2)), rng(3)
    attempts = make_attempts("rwrwwu", [spell("1", token) for token in ("1", "+", "so", ".", " ", "\n")])
    times, possible = 3000, 2 * 3
    seen = Counter((p.chosen.text, p.rejected.text) for _ in range(times) for p in builder.build(attempts, source))
    first = Counter(builder.build(attempts, source)[0].chosen.text for _ in range(times))
    assert len(seen) == possible
    assert all(abs(count - times / 3) < 4 * np.sqrt(times * 2 / 9) for count in seen.values())
    assert all(abs(count - times / 2) < 4 * np.sqrt(times / 4) for count in first.values())


# step-aligned


def steps_before(text: str, place: int) -> int:
    """How many whole steps of ``text`` make up ``text[:place]`` but for white space, with another one to come."""
    steps = [len("".join(piece.split())) for piece in pieces_of(text)]
    before = len("".join(text[:place].split()))
    return next((k for k in range(1, len(steps)) if sum(steps[:k]) == before), 0)


def longest_run(right: Response, wrong: Response) -> tuple[int, int]:
    """(steps, tokens) that both share, by trying every place to cut."""
    best = (0, 0)
    for cut in range(1, min(len(right.token_ids), len(wrong.token_ids))):
        if right.token_ids[:cut] == wrong.token_ids[:cut] and right.widths[cut - 1]:
            place = sum(right.widths[:cut])
            steps = steps_before(right.text, place)
            if steps and steps_before(wrong.text, place):
                best = max(best, (steps, cut))
    return best


@given(attempts_of(), st.integers(0, 2**32))
def test_step_aligned_shares_the_most_steps_and_leaves_the_rest(attempts: Attempts, seed: int) -> None:
    runs = [(longest_run(right, wrong), right, wrong) for right in attempts.right for wrong in attempts.wrong]
    (steps, cut), right, wrong = max(runs, key=lambda item: item[0])
    pair = one_pair(ALIGNED, attempts, seed)
    if not steps:
        assert pair == one_pair(RANDOM, attempts, seed), "an ordinary pair"
        return
    assert pair.prompt_ids == attempts.prompt_ids + right.token_ids[:cut]
    for whole, rest in ((right, pair.chosen), (wrong, pair.rejected)):
        place = sum(whole.widths[:cut])
        expected = replace(
            whole,
            text=whole.text[place:],
            token_ids=whole.token_ids[cut:],
            logprobs=whole.logprobs[cut:],
            widths=whole.widths[cut:],
        )
        assert rest == expected


@pytest.mark.parametrize(
    ("right", "wrong", "shared"),
    [
        (("1", ".\n\n", "so", "1"), ("1", ".\n\n", "so", "+"), ("1", ".\n\n")),
        (("1", "\n", "+", "\n", "1"), ("1", "\n", "+", "\n", "so"), ("1", "\n", "+", "\n")),
        (("1", ".", " ", "so", ".", " ", "1"), ("1", ".", " ", "so", "1"), ("1", ".", " ")),
        # The token of the next step begins with the white space.
        (("1", ".", ". A", "1"), ("1", ".", ". A", "so"), ()),
        (("1", ".", " ", "so", "1"), ("1", ".", "\n", "so", "1"), ("1", ".")),
        # One has blocks, the other, without a blank line, only lines: a line's end is no step's end in the first.
        (("1", "\n", "so", "\n\n", "1"), ("1", "\n", "so", "+"), ()),
        (("1", "\n\n", "so", "\n", "1"), ("1", "\n\n", "so", "+"), ("1", "\n\n")),
        # The first part of a character is shared, the character is not.
        (("1", "\n", "", "é"), ("1", "\n", "", "so"), ("1", "\n")),
        # The same text up to there, but other tokens.
        (("1", "\n", "\n", "so"), ("1", "\n\n", "+"), ("1",)),
        (("1", ".", "\n\n", "so"), ("1", ".\n\n", "so", "+"), ()),
        # Nothing comes after the only step, in one of them or in both.
        (("1", "\n", "so"), ("1", "\n"), ()),
        (("1", "so"), ("1", "so", "+"), ()),
    ],
)
def test_where_step_aligned_cuts(right: Sequence[str], wrong: Sequence[str], shared: Sequence[str]) -> None:
    attempts = make_attempts("rw", [spell(*right), spell(*wrong)])
    pair = one_pair(ALIGNED, attempts)
    assert pair.prompt_ids == (*attempts.prompt_ids, *map(VOCABULARY.index, shared))
    assert "".join(shared) + pair.chosen.text == "".join(right)
    assert "".join(shared) + pair.rejected.text == "".join(wrong)


def test_step_aligned_takes_the_responses_that_share_most() -> None:
    far = spell("so", "\n", "1")
    near = spell("1", "\n", "1", "\n", "so")
    wrong, other = spell("1", "\n", "1", "\n", "+"), spell("1", "\n", "so")
    pair = one_pair(ALIGNED, make_attempts("wrrw", [other, far, near, wrong]))
    assert (pair.chosen.text, pair.rejected.text) == ("so", "+")


def test_step_aligned_counts_steps_before_tokens() -> None:
    """A block of many lines is one step; where there are no blocks, each line is."""
    block, other = ("1", "\n", "1", "\n", "1", "\n\n"), ("so", "\n", "so", "\n")
    responses = [spell(*block, "1"), spell(*other, "1"), spell(*block, "+"), spell(*other, "+")]
    pair = one_pair(ALIGNED, make_attempts("rrww", responses))
    assert pair.prompt_ids == (1, 2, 3, *map(VOCABULARY.index, other)), "two steps of 4 tokens, not one of 6"


def test_step_aligned_makes_ordinary_pairs_where_the_generator_gives_no_widths() -> None:
    responses = [replace(spell("1", "\n", *rest), widths=()) for rest in (("1",), ("+",), ("so",))]
    attempts = make_attempts("rww", responses)
    assert [one_pair(ALIGNED, attempts, seed) for seed in range(9)] == [
        one_pair(RANDOM, attempts, seed) for seed in range(9)
    ]
