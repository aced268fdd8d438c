"""What flows between the stages of a run: problems, responses, verdicts, attempts, pairs, evidence.

All are frozen. Symbols as in the paper: K responses a problem, r of them right, p = r / K. No heavy import here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem with its gold answer. ``id`` is unique in its pool."""

    id: str
    question: str
    answer: str
    tags: tuple[str, ...] = ()
    """Knowledge points, if the pool carries them."""
    domain: str = "math"
    """Which kind of verifier judges responses to it."""
    group: str = ""
    """What held-out accuracy is reported and balanced over: a family, a benchmark, a level."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the pool or its verifier needs; values that JSON can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSets:
    """What a pool offers: ``problems`` to train on and ``held_out`` ones to measure with, no problem in both."""

    problems: Sequence[Problem]
    """A tuple; or, of many problems, any sequence that makes them one by one while it is gone through."""
    held_out: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the results has to know of this pool; shown at the start and kept in the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How a question is put to the policy (``--prompt``); the same wherever the policy is asked."""

    text: str = "{question}"
    """What the policy reads, or what the user says in a chat; ``{question}`` stands for the problem's question."""
    system: str = ""
    """The system message of a chat; empty: none, so whatever the chat template says by itself."""
    chat: Literal["auto", "yes", "no"] = "auto"
    """Whether ``text`` goes through the tokenizer's chat template; ``auto``: if there is one, and else ``text`` and a
    newline are what the policy reads."""

    def fill(self, question: str) -> str:
        return self.text.replace("{question}", question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Ask the policy for ``len(seeds)`` responses to ``problem``; response k is a function of seed k alone."""

    problem: Problem
    seeds: tuple[int, ...]
    prompt: Prompt = Prompt()
    """How to put the question. Who asks leaves it alone: the core puts the run's here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One sampled response: the token ids exactly as sampled, end token included if there was one."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Natural log-probability of each sampled token under the sampling distribution's model at temperature 1,
    so before temperature and top-p; as long as ``token_ids``."""
    finish_reason: Literal["stop", "length"]
    """``length``: cut off at the token limit, so truncated."""
    seconds: float = 0.0
    """Generation time of this response, the batch's time shared by tokens."""
    widths: tuple[int, ...] = ()
    """Characters of ``text`` that each token adds, as long as ``token_ids``: where in the text a token ends, for
    whoever cuts a response without its tokenizer. Empty if the generator cannot say."""

    @property
    def truncated(self) -> bool:
        return self.finish_reason == "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The rendered prompt's token ids and the responses to it, in the order of the request's seeds."""

    prompt_ids: tuple[int, ...]
    responses: tuple[Response, ...]


Outcome = Literal["right", "wrong", "unverifiable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A judgement. ``unverifiable`` (timeout, crash, unreadable gold, truncated) is never counted as wrong."""

    outcome: Outcome
    extracted: str | None = None
    """The final answer that was found in the response, None if there was none."""
    reason: str = ""
    seconds: float = field(default=0.0, compare=False)
    """How long judging took, 0 if the verifier does not say. It differs between equal runs, so it is not kept."""


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """The responses of one policy to one problem, and their verdicts (same length, same order).

    K of them, fewer where ``early_stop`` ended the asking at a right and a wrong one. The likelihood of p, and what
    rests on it (``expected_pass_rate``), does not depend on why it ended; the plain share ``pass_rate`` does: a problem
    that was left at its first wrong response looks harder than it is.
    """

    problem_id: str
    prompt_ids: tuple[int, ...]
    responses: tuple[Response, ...]
    verdicts: tuple[Verdict, ...]

    @cached_property
    def right(self) -> tuple[Response, ...]:
        return self._with("right")

    @cached_property
    def wrong(self) -> tuple[Response, ...]:
        return self._with("wrong")

    @property
    def counted(self) -> int:
        """Responses that were judged right or wrong; unverifiable and dropped truncated ones do not count."""
        return len(self.right) + len(self.wrong)

    @property
    def pass_rate(self) -> float:
        """p = right / counted, in [0, 1]; NaN if nothing could be counted."""
        return len(self.right) / self.counted if self.counted else float("nan")

    @property
    def expected_pass_rate(self) -> float:
        """(right + 1) / (counted + 2), in (0, 1): what to expect of p, any p being as likely beforehand (Laplace's
        rule). It takes the count into account: 1 right of 2 says less than 4 of 8, and 1 of 4 less than 2 of 8."""
        return (len(self.right) + 1) / (self.counted + 2)

    def first(self, count: int) -> Attempts:
        """The first ``count`` responses. What was asked for whatever came of it has a pass rate without bias."""
        return replace(self, responses=self.responses[:count], verdicts=self.verdicts[:count])

    @property
    def usable(self) -> bool:
        """Neither too easy (all right) nor too hard (none right): at least one right and one wrong response."""
        return bool(self.right) and bool(self.wrong)

    @property
    def tokens(self) -> int:
        """Generated tokens over all responses."""
        return sum(len(response.token_ids) for response in self.responses)

    def _with(self, outcome: Outcome) -> tuple[Response, ...]:
        pairs = zip(self.responses, self.verdicts, strict=True)
        return tuple(response for response, verdict in pairs if verdict.outcome == outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A preference pair: ``chosen`` is a right response to the prompt, ``rejected`` a wrong one.

    The prompt may end with tokens that a right and a wrong response share at their beginning; ``chosen`` and
    ``rejected`` are then what comes after them.
    """

    problem_id: str
    prompt_ids: tuple[int, ...]
    chosen: Response
    rejected: Response


@dataclass(frozen=True, eq=False, kw_only=True)
class RoundEvidence:
    """Outcomes of one round's policy, one row a problem that was tried. Arrays of shape [m].

    Probed problems have all K responses. With ``early_stop`` a drawn one was left once it had a right and a wrong
    response. ``0 < right < counted`` still tells without bias whether it gives a pair, and likelihoods of p hold as
    they are; but ``right / counted`` is drawn towards 1/2, and sums of counts favour the problems that took long: take
    rates from probes.
    """

    round: int
    rows: IntArray
    """Row of the problem in the pool, in [0, N)."""
    right: IntArray
    """r: right responses."""
    counted: IntArray
    """n: responses judged right or wrong, at least 1 (a problem without any is left out) and at most K."""
    probed: BoolArray
    """True: drawn uniformly as a probe. False: drawn by the sampler's weights."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """All that a sampler may look at when it weighs the N problems of the pool.

    ``rounds`` is oldest first; the last one holds this round's probe only, earlier ones their explored problems too.
    """

    clusters: IntArray
    """[N], the cluster of each problem, in [0, n_clusters)."""
    n_clusters: int
    rounds: tuple[RoundEvidence, ...]
    samples: int
    """K, responses a problem at most."""
    embeddings: NDArray[np.float32] | None = None
    """[N, d], or None if the embedder and the clusterer kept none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScore:
    """Right ones among the ``total`` responses to the held-out problems of one group."""

    right: int
    total: int
    samples: int = 1
    """Responses to each problem, so ``total`` is as many times the number of problems. With more than one, the accuracy
    is avg@n: the mean over problems of the share of right responses."""
    interval: tuple[float, float] | None = None
    """95% interval of the accuracy, if the evaluator gives one (``saidpo_core.intervals.accuracy_interval``)."""
    truncated: int = 0
    unverifiable: int = 0
    tokens: int = 0
    """Generated tokens; these three are counts over the ``total`` responses, 0 from an evaluator that does not say."""

    @property
    def accuracy(self) -> float:
        return self.right / self.total if self.total else float("nan")

    @property
    def problems(self) -> int:
        return self.total // self.samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Held-out accuracy of one policy, in [0, 1]."""

    groups: Mapping[str, GroupScore]
    accuracy_balanced: float
    """Mean over groups: every group counts the same."""
    accuracy_pool: float
    """Mean over groups weighted by their share in the pool."""
    unverifiable: int = 0
    truncated: int = 0
    interval: tuple[float, float] | None = None
    """95% interval of ``accuracy_balanced``, if the evaluator gives one."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """How it was measured, for who wants to compare or to repeat it; values that JSON can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What a trainer says of one round. ``metrics`` are numbers by name, such as ``loss_last``."""

    steps: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    generated_tokens: int = 0
    """Tokens that the trainer sampled from a policy itself (GRPO does); they count as the round's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that goes wrong in a run, as a detector sees it in the run's record."""

    name: str
    """Of the failure: lower-case letters, digits and dashes. One name is told in full once a run."""
    message: str
    """What was seen, with its numbers, in one or two sentences."""
    advice: str
    """What to do about it, with the flags to turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A ready policy that a plug-in offers by name (``--model NAME``), with the settings it needs."""

    name: str
    summary: str
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings as in a TOML file (``{"trainer.lr": 5e-5}``) that replace the defaults, not what the user says."""
    notes: tuple[str, ...] = ()
    default: bool = False
