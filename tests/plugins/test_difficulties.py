"""Difficulties: the order that they give, and what truncated and unjudged responses count for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_core import Attempts, Difficulty, NoOptions, Response
from saidpo_plugins.difficulties.latency import LatencyDifficulty
from saidpo_plugins.difficulties.pass_rate import PassRateDifficulty
from saidpo_plugins.difficulties.random import RandomDifficulty
from saidpo_plugins.difficulties.steps import StepsDifficulty
from saidpo_plugins.difficulties.surprisal import SurprisalDifficulty
from saidpo_plugins.difficulties.tokens import TokensDifficulty
from tests.builders import make_attempts, make_response
from tests.plugins.test_steps import pieces_of

RANDOM = RandomDifficulty(NoOptions())
CHAINS: dict[str, tuple[Difficulty, list[Callable[[Response], float]]]] = {
    "steps": (StepsDifficulty(NoOptions()), [lambda r: len(pieces_of(r.text)), lambda r: len(r.token_ids)]),
    "tokens": (TokensDifficulty(NoOptions()), [lambda r: len(r.token_ids)]),
    "latency": (LatencyDifficulty(NoOptions()), [lambda r: r.seconds]),
    "surprisal": (SurprisalDifficulty(NoOptions()), [lambda r: -sum(r.logprobs) / len(r.logprobs)]),
    "pass-rate": (PassRateDifficulty(NoOptions()), []),
}
"""Each chain that begins with the error rate, and what its further keys are of one response; larger is harder."""
every_chain = pytest.mark.parametrize("name", CHAINS)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def keys(difficulty: Difficulty, *attempts: Attempts) -> list[list[float]]:
    result: list[list[float]] = difficulty.keys(attempts, rng()).tolist()
    return result


def text_of(steps: int) -> str:
    return "\n".join(f"line {step}" for step in range(steps))


def response_of(steps: int, tokens: int, seconds: float, logprob: float, *, truncated: bool = False) -> Response:
    response = make_response(text_of(steps), tokens=tokens, logprob=logprob, truncated=truncated)
    return replace(response, seconds=seconds)


RESPONSES = st.builds(
    response_of,
    steps=st.integers(1, 3),
    tokens=st.integers(1, 3),
    seconds=st.sampled_from([0.0, 0.5, 2.0]),
    logprob=st.sampled_from([-2.0, -0.5, 0.0]),
    truncated=st.booleans(),
)
ATTEMPTS = st.text("rwu", min_size=1, max_size=5).flatmap(
    lambda outcomes: st.lists(RESPONSES, min_size=len(outcomes), max_size=len(outcomes)).map(
        lambda responses: make_attempts(outcomes, responses)
    )
)


def reference(attempts: Attempts, proxies: list[Callable[[Response], float]]) -> list[float]:
    """The error rate to expect by what was judged, then means over what was not truncated, if there is any such."""
    outcomes = [verdict.outcome for verdict in attempts.verdicts]
    right, wrong = outcomes.count("right"), outcomes.count("wrong")
    whole = [response for response in attempts.responses if response.finish_reason == "stop"] or attempts.responses
    error = 1 - (right + 1) / (right + wrong + 2) if right + wrong else 0.0
    return [error, *(fmean(map(proxy, whole)) for proxy in proxies)]


@every_chain
@given(attempts=st.lists(ATTEMPTS, min_size=1, max_size=6))
def test_keys_are_the_error_rate_and_then_the_means_of_the_proxies(name: str, attempts: list[Attempts]) -> None:
    difficulty, proxies = CHAINS[name]
    expected = [reference(item, proxies) for item in attempts]
    assert keys(difficulty, *attempts) == [pytest.approx(row) for row in expected]


@every_chain
@given(attempts=ATTEMPTS, seed=st.integers(0, 2**32))
def test_the_order_of_the_responses_does_not_matter(name: str, attempts: Attempts, seed: int) -> None:
    order = rng(seed).permutation(len(attempts.responses)).tolist()
    turned = replace(
        attempts,
        responses=tuple(attempts.responses[i] for i in order),
        verdicts=tuple(attempts.verdicts[i] for i in order),
    )
    assert keys(CHAINS[name][0], attempts) == keys(CHAINS[name][0], turned)


@pytest.mark.parametrize("name", ["steps", "tokens", "latency", "surprisal"])
def test_fewer_right_is_harder_whatever_comes_second(name: str) -> None:
    easy_looking, hard_looking = response_of(1, 1, 0.1, -0.1), response_of(9, 90, 9.0, -5.0)
    rarely_right, mostly_right = make_attempts("rwww", [easy_looking] * 4), make_attempts("rrrw", [hard_looking] * 4)
    rarely, mostly = keys(CHAINS[name][0], rarely_right, mostly_right)
    assert rarely > mostly
    equal, harder = keys(
        CHAINS[name][0], make_attempts("rw", [easy_looking] * 2), make_attempts("rw", [hard_looking] * 2)
    )
    assert harder > equal


def test_surprisal_is_a_mean_over_tokens_and_then_over_responses() -> None:
    short, long = make_response(tokens=1, logprob=-3.0), make_response(tokens=99, logprob=-1.0)
    assert keys(CHAINS["surprisal"][0], make_attempts("rw", [short, long])) == [[0.5, 2.0]]


def test_truncated_responses_do_not_count_for_steps_and_length() -> None:
    cut = make_response(text_of(50), tokens=900, truncated=True)
    done = make_response(text_of(2), tokens=10)
    steps = CHAINS["steps"][0]
    assert keys(steps, make_attempts("rwu", [done, done, cut])) == [[0.5, 2.0, 10.0]]
    assert keys(steps, make_attempts("ww", [cut, cut])) == [[0.75, 50.0, 900.0]], "all truncated: all count"


@every_chain
def test_fewer_responses_say_less(name: str) -> None:
    """A problem that was left early is not harder or easier than its few responses say."""
    outcomes = ("rrrrrrrw", "rrrw", "rw", "rwww", "rwwwwwww")
    errors = [row[0] for row in keys(CHAINS[name][0], *map(make_attempts, outcomes))]
    assert errors == sorted(errors)
    assert errors == [1 - make_attempts(outcome).expected_pass_rate for outcome in outcomes]
    same, other = keys(CHAINS[name][0], make_attempts("rw"), make_attempts("rrrrwwww"))
    assert same[0] == other[0] == 0.5


@every_chain
def test_unverifiable_responses_are_not_wrong_and_a_problem_with_nothing_else_is_easiest(name: str) -> None:
    unjudged, half, solved = make_attempts("uuu"), make_attempts("ruw"), make_attempts("rrr")
    chain = keys(CHAINS[name][0], unjudged, half, solved)
    assert [row[0] for row in chain] == [0.0, 0.5, pytest.approx(0.2)]


def test_random_is_the_generators_and_nothing_elses() -> None:
    attempts = [make_attempts("rw"), make_attempts("ww"), make_attempts("rr")]
    first = RANDOM.keys(attempts, rng(3))
    assert (first == RANDOM.keys(attempts, rng(3))).all()
    assert (first == RANDOM.keys(attempts[::-1], rng(3))).all()
    assert not (first == RANDOM.keys(attempts, rng(4))).any()


def test_random_puts_every_problem_first_equally_often() -> None:
    source, attempts = rng(9), [make_attempts("rw"), make_attempts("ww"), make_attempts("rr")]
    hardest = np.bincount([int(RANDOM.keys(attempts, source).argmax()) for _ in range(3000)])
    assert (np.abs(hardest - 1000) < 4 * np.sqrt(3000 * 2 / 9)).all()


@pytest.mark.parametrize(
    ("difficulty", "width"), [(RANDOM, 1), *((chain, 1 + len(proxies)) for chain, proxies in CHAINS.values())]
)
def test_shape_is_kept_and_nothing_is_nan(difficulty: Difficulty, width: int) -> None:
    assert difficulty.keys([], rng()).shape == (0, width)
    odd = [make_attempts(""), make_attempts("u"), make_attempts("w", [make_response("", tokens=0)])]
    result = difficulty.keys(odd, rng())
    assert result.shape == (3, width)
    assert result.dtype == np.float64
    assert np.isfinite(result).all()
