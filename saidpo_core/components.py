"""The eleven kinds of component: what each promises, and how a plug-in offers one.

A component is built from its options once a run, keeps them and does no work until it is called. It draws random
numbers only from the generator or the seed that it is handed, does not change what it is given, and imports heavy
packages (torch, scikit-learn, ...) inside its methods, so that ``saidpo --help`` stays quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from saidpo_core.planning.records import (
    GenerationEstimate,
    GenerationWork,
    Machine,
    ModelShape,
    PoolSize,
    TrainingEstimate,
    TrainingWork,
)
from saidpo_core.records import (
    Attempts,
    Evaluation,
    Evidence,
    Generation,
    Outcome,
    Pair,
    Problem,
    ProblemSets,
    Request,
    TrainingReport,
    Verdict,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T_co = TypeVar("T_co", covariant=True)

Progress = Callable[[int, int], None]
"""``progress(done, total)``: call it now and then during long work."""


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The options of a component that has none."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Under which circumstances the conformance checks (``saidpo check``) can try a component that needs some."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings as in a TOML file, such as the path of a small input file that was written for the trial."""
    problems: Sequence[Problem] = ()
    """Problems to try it on, if it is not made for any; answers and ``extra`` as it needs them."""
    cases: Sequence[tuple[Problem, str, Outcome]] = ()
    """Verifiers only: (problem, response, the verdict that is due), at least one right and one wrong."""
    policy: Path | None = None
    """Generators and trainers only: a small policy to try it on, if it cannot load the one that ships with saidpo."""


class PoolPlan(Protocol):
    """``plan(options) -> PoolSize``: how large the pool is, without loading it.

    Raises ``UsageError`` if that cannot be said; a pool that says nothing is loaded to be planned with.
    """

    def __call__(self, options: Any) -> PoolSize: ...


class GeneratorPlan(Protocol):
    """``plan(options, model, machine, work) -> GenerationEstimate``: what the responses of a round will need.

    Loads nothing, builds nothing, and answers for any machine: also one that this is not, whose packages are missing
    here.
    """

    def __call__(
        self, options: Any, model: ModelShape, machine: Machine, work: GenerationWork
    ) -> GenerationEstimate: ...


class TrainerPlan(Protocol):
    """``plan(options, model, machine, work) -> TrainingEstimate``: what the training of a round will need.

    Loads nothing, builds nothing, and answers for any machine: also one that this is not, whose packages are missing
    here.
    """

    def __call__(self, options: Any, model: ModelShape, machine: Machine, work: TrainingWork) -> TrainingEstimate: ...


class EvaluatorPlan(Protocol):
    """``plan(options, held_out) -> int``: how many responses one evaluation asks for, with ``held_out`` problems in the
    pool. An evaluator without it is taken to ask for one a held-out problem.

    Raises ``UsageError`` if that cannot be said without loading what it measures with.
    """

    def __call__(self, options: Any, held_out: int) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Component(Generic[T_co]):
    """One way to do one thing, offered under ``name``."""

    name: str
    """Lower-case letters, digits and dashes; unique within its kind and distribution."""
    summary: str
    """One line for ``saidpo plugins``."""
    build: Callable[[Any], T_co]
    """Makes the component from an instance of ``options``; cheap."""
    options: type = NoOptions
    """A frozen, keyword-only dataclass; fields made with ``saidpo_core.option``."""
    source: str = "ours"
    """Where it comes from: paper and section, or ours."""
    default: bool = False
    """Used when the user names none. Heeded for components bundled with saidpo only."""
    domains: tuple[str, ...] = ()
    """Verifiers only: the ``Problem.domain`` values that it can judge."""
    picklable: bool = True
    """Whether a built component can be pickled, and so be sent to another process. One that holds processes cannot."""
    order_matters: bool = False
    """Whether its results depend on the order of its input beyond coming in that order."""
    separable: bool = False
    """Embedders only: a text's vector does not depend on the texts beside it, so many are embedded, and kept, in parts.
    """
    needs: str = ""
    """An optional package, by its import name, without which it cannot work; asked for before a run starts."""
    extra: str = ""
    """The extra of its distribution that brings that package."""
    plan: PoolPlan | GeneratorPlan | TrainerPlan | EvaluatorPlan | None = None
    """Pools, generators, trainers, evaluators: says from the options alone what a run will need (``--dry-run``)."""
    diagnose: Callable[[], str] | None = None
    """For ``saidpo doctor``: says in one line how it would work on this machine, or raises ``SaidpoError`` with what to
    do if it cannot. Called in a process of its own, where a second is long."""
    trial: Callable[[Path], AbstractContextManager[Trial]] | None = None
    """How conformance checks can try it, if it cannot be tried as it is: called with an empty folder."""


class Pool(Protocol):
    """Problems to train on and to measure with (``--pool``)."""

    def load(self, rng: np.random.Generator) -> ProblemSets:
        """Read or make the problems; ids unique, questions and answers not empty, no held-out problem in the pool.

        Raises ``UsageError`` naming file and line for input that cannot be used.
        """
        ...


class Tagger(Protocol):
    """Knowledge points of problems (``--tagger``)."""

    def tag(self, problems: Sequence[Problem], progress: Progress) -> list[tuple[str, ...]]:
        """One tuple of tags a problem, in order; a tuple may be empty."""
        ...


class EstimatingTagger(Tagger, Protocol):
    """A tagger whose work costs time or money, and that can say beforehand how much."""

    def estimate(self, problems: Sequence[Problem]) -> str:
        """What tagging them will take (requests, tokens, money), in one line: shown before it starts, kept in the
        record. Raises ``UsageError`` if that is more than the options allow.
        """
        ...


class Embedder(Protocol):
    """Vectors for texts (``--embedder``)."""

    def embed(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        """Shape [len(texts), d], finite. The core hands over every text once: all in one call, or, if the component
        is ``separable``, many thousand a call.
        """
        ...


class Clusterer(Protocol):
    """Groups problems into knowledge areas (``--clusterer``)."""

    def cluster(
        self, embeddings: NDArray[np.float32], tags: Sequence[tuple[str, ...]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Labels of shape [N], each in [0, C), every one used; ``embeddings`` is [N, d], ``tags`` has N entries."""
        ...


class Difficulty(Protocol):
    """Self-aware difficulty: orders problems by how hard this policy finds them (``--difficulty``)."""

    def keys(self, attempts: Sequence[Attempts], rng: np.random.Generator) -> NDArray[np.float64]:
        """Shape [n, m]: a chain of m keys a problem, compared in turn; **larger is harder**. No NaN."""
        ...


class Sampler(Protocol):
    """Weighs the problems of the pool for this round's draw (``--sampler``)."""

    def weights(self, evidence: Evidence, rng: np.random.Generator) -> NDArray[np.float64]:
        """Shape [N], finite, not negative, some positive. A problem's chance in each draw is proportional to its
        weight; the core draws without replacement. All equal is uniform sampling (IDPO).
        """
        ...


class PairBuilder(Protocol):
    """Chooses which right and which wrong responses become preference pairs (``--pair-builder``)."""

    def build(self, attempts: Attempts, rng: np.random.Generator) -> list[Pair]:
        """Pairs of one problem that has at least one right and one wrong response; chosen right, rejected wrong.

        A pair's prompt is the problem's prompt. It may go on with the first tokens of a response, if chosen and
        rejected both begin with them: then these two hold what comes after (token ids, log-probabilities, text).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What a trainer gets each round."""

    policy: Path
    """M_{t-1}: a Hugging Face folder, not to be changed."""
    initial_policy: Path
    """M_0, for ``reference=initial``."""
    out: Path
    """An empty folder for M_t: a Hugging Face folder with tokenizer, safetensors. What a trainer puts beside it, under
    its name and a suffix, is there again when a killed round goes on; it removes it in the end."""
    pairs: Sequence[Pair]
    attempts: Sequence[Attempts]
    """All that was explored this round, for trainers that do not learn from pairs: K responses to a problem, or fewer
    where ``early_stop`` left it."""
    problems: Mapping[str, Problem]
    """The problems of ``attempts``, by id."""
    samples: int
    """K, responses a problem at most."""
    verifier: Verifier
    """Judges responses to ``problems``, for trainers that generate new ones."""
    round: int
    seed: int
    progress: Progress


class Trainer(Protocol):
    """Makes the next policy (``--trainer``)."""

    def train(self, job: TrainingJob) -> TrainingReport:
        """Write M_t into ``job.out``. The same job gives bit-identical weights on the same machine."""
        ...


class Engine(Protocol):
    """A loaded policy."""

    def generate(self, requests: Sequence[Request], *, greedy: bool = False) -> list[Generation]:
        """Responses in the order of the requests. The same requests in the same call give the same responses.

        ``greedy``: most likely token each time, one response per seed, seeds unused.
        """
        ...


class Generator(Protocol):
    """Samples responses from a policy (``--generator``)."""

    def check(self, policy: Path) -> None:
        """Raise ``UsageError`` if this folder cannot be loaded (no tokenizer, no weights), before anything starts."""
        ...

    def load(self, policy: Path) -> AbstractContextManager[Engine]:
        """Load a Hugging Face folder; device memory is free again when the context ends."""
        ...


@runtime_checkable
class ChecksPrompts(Generator, Protocol):
    """A generator may have this method, too: what will go wrong with the prompts is said before the first round."""

    def preflight(self, policy: Path, requests: Sequence[Request]) -> list[str]:
        """Warnings, each with what to do about it, about how ``requests`` will be put to ``policy``: a sample of the
        run's problems, the longest questions among them. Does not load the weights.

        Raises ``UsageError`` for what would make the run fail: no room for an answer, no end token.
        """
        ...


class Verifier(Protocol):
    """Judges responses against gold answers (``--verifier``)."""

    def self_test(self) -> None:
        """Judge known cases in this very process; raise ``SaidpoError`` if a verdict is not the known one."""
        ...

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """One verdict for each (problem, response text), in order. Never raises because of a response."""
        ...

    def close(self) -> None:
        """End worker processes, if any. Called once, at the end of the run, also after an error."""
        ...


class Evaluator(Protocol):
    """Measures a policy on held-out problems (``--evaluator``)."""

    def evaluate(
        self,
        held_out: Sequence[Problem],
        pool_shares: Mapping[str, float],
        engine: Engine,
        verifier: Verifier,
        progress: Progress,
    ) -> Evaluation:
        """``pool_shares`` is the share of each group in the pool (sums to 1; a group may be missing).

        The core keeps every response, and gives it again when a killed evaluation goes on: the same calls get the same
        answers.
        """
        ...


@runtime_checkable
class BringsProblems(Evaluator, Protocol):
    """An evaluator may have these methods, too: it then measures with problems of its own."""

    def problems(self, held_out: Sequence[Problem]) -> Sequence[Problem]:
        """The problems to measure with, instead of the pool's ``held_out`` ones; at least one, ids unique.

        Called once a run; what it returns is kept, and is what ``evaluate`` is handed as ``held_out`` each round.
        Raises ``UsageError`` that says what is missing and where to put it.
        """
        ...

    def engine_options(self) -> Mapping[str, Any]:
        """Options of the generator that are to be others while it measures, such as ``{"temperature": 0.6}``."""
        ...
