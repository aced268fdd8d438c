"""What a finished run tells of the next one: lengths, yield and speeds, from its summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from saidpo_core.errors import UsageError, first_line
from saidpo_core.planning.shapes import shape_of
from saidpo_core.run_record import recorded


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Means over the rounds of one run."""

    run: Path
    parameters: int | None
    """Of its model; None if that is not here any more, and then speeds are taken as they are."""
    response_tokens: float
    pairs_per_problem: float
    generated_per_second: float
    """Tokens; a policy that was loaded to be measured is not loaded again."""
    training_seconds: float
    """A pair: loading, reference pass, training and saving."""
    verify_seconds: float
    """A problem: what of judging was not hidden behind generation."""

    def scale(self, parameters: int) -> float:
        """How much longer a token takes with a model of another size: in proportion to its parameters."""
        return parameters / self.parameters if self.parameters else 1.0


def read_run(run: Path) -> Measured:
    """Raises ``UsageError`` if ``run`` is not a run with at least one round."""
    try:
        settings, _ = recorded(run)
        tree = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        rounds, spent = tree["rounds"][1:], tree["time"]
        tokens, responses, pairs, explored = (
            sum(row[key] for row in rounds) for key in ("tokens", "responses", "pairs", "explored")
        )
        tokens -= sum(row.get("training_tokens", 0) for row in rounds)  # their time is the trainer's
        return Measured(
            run=run,
            parameters=_parameters(str(settings["model"])),
            response_tokens=tokens / responses,
            pairs_per_problem=pairs / explored,
            generated_per_second=tokens / spent["generate"],
            training_seconds=spent["train"] / pairs,
            verify_seconds=spent.get("verify", 0.0) / explored,
        )
    except UsageError as error:
        raise UsageError(f"--plan-from={run}: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise UsageError(f"--plan-from={run}: not a run with a finished round ({first_line(error)})") from error


def _parameters(model: str) -> int | None:
    from saidpo_core.registry import load_registry

    policies = load_registry().policies
    policy = next((item for item in policies if item.name == model), None)
    try:
        return shape_of(model, policy, None, [item.name for item in policies]).parameters
    except UsageError:
        return None
