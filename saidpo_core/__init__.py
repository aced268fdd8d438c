"""saidpo: train reasoning models on the problems that they can learn from right now (SAI-DPO, arXiv 2505.16176).

What a plug-in needs is imported from here.
"""

from saidpo_core.components import (
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
    Verifier,
)
from saidpo_core.errors import MissingExtra, PluginError, SaidpoError, UsageError
from saidpo_core.hookspecs import hookimpl
from saidpo_core.options import option
from saidpo_core.records import (
    Attempts,
    Evaluation,
    Evidence,
    Generation,
    GroupScore,
    Pair,
    Policy,
    Problem,
    ProblemSets,
    Request,
    Response,
    RoundEvidence,
    TrainingReport,
    Verdict,
)

__all__ = [
    "Attempts",
    "Clusterer",
    "Component",
    "Difficulty",
    "Embedder",
    "Engine",
    "Evaluation",
    "Evaluator",
    "Evidence",
    "Generation",
    "Generator",
    "GroupScore",
    "MissingExtra",
    "NoOptions",
    "Pair",
    "PairBuilder",
    "PluginError",
    "Policy",
    "Pool",
    "Problem",
    "ProblemSets",
    "Progress",
    "Request",
    "Response",
    "RoundEvidence",
    "SaidpoError",
    "Sampler",
    "Tagger",
    "Trainer",
    "TrainingJob",
    "TrainingReport",
    "UsageError",
    "Verdict",
    "Verifier",
    "hookimpl",
    "option",
]
__version__ = "0.1.0"
