"""saidpo: train reasoning models on the problems that they can learn from right now (SAI-DPO, arXiv 2505.16176).

What a plug-in needs is imported from here.
"""

from typing import TYPE_CHECKING, Any

from saidpo_core.components import (
    BringsProblems,
    ChecksPrompts,
    Clusterer,
    Component,
    Difficulty,
    Embedder,
    Engine,
    Evaluator,
    Generator,
    NoOptions,
    PairBuilder,
    Pool,
    Progress,
    Sampler,
    Tagger,
    Trainer,
    TrainingJob,
    Trial,
    Verifier,
)
from saidpo_core.errors import MissingExtra, PluginError, SaidpoError, UsageError
from saidpo_core.hookspecs import hookimpl
from saidpo_core.options import option
from saidpo_core.records import (
    Attempts,
    Evaluation,
    Evidence,
    Finding,
    Generation,
    GroupScore,
    Outcome,
    Pair,
    Policy,
    Problem,
    ProblemSets,
    Prompt,
    Request,
    Response,
    RoundEvidence,
    TrainingReport,
    Verdict,
)

if TYPE_CHECKING:
    from saidpo_core.planning.records import (
        GenerationEstimate,
        GenerationWork,
        Machine,
        ModelShape,
        Need,
        PoolSize,
        TrainingEstimate,
        TrainingWork,
    )

__all__ = [
    "Attempts",
    "BringsProblems",
    "ChecksPrompts",
    "Clusterer",
    "Component",
    "Difficulty",
    "Embedder",
    "Engine",
    "Evaluation",
    "Evaluator",
    "Evidence",
    "Finding",
    "Generation",
    "GenerationEstimate",
    "GenerationWork",
    "Generator",
    "GroupScore",
    "Machine",
    "MissingExtra",
    "ModelShape",
    "Need",
    "NoOptions",
    "Outcome",
    "Pair",
    "PairBuilder",
    "PluginError",
    "Policy",
    "Pool",
    "PoolSize",
    "Problem",
    "ProblemSets",
    "Progress",
    "Prompt",
    "Request",
    "Response",
    "RoundEvidence",
    "SaidpoError",
    "Sampler",
    "Tagger",
    "Trainer",
    "TrainingEstimate",
    "TrainingJob",
    "TrainingReport",
    "TrainingWork",
    "Trial",
    "UsageError",
    "Verdict",
    "Verifier",
    "hookimpl",
    "option",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The records of planning, imported when they are asked for: ``saidpo --help`` needs none."""
    if name in __all__:
        from saidpo_core.planning import records

        return getattr(records, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
