"""Options of a kind that the core itself heeds, whichever component was chosen; shown among the component's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from saidpo_core.components import NoOptions
from saidpo_core.options import OptionSpec, option, specs_of


@dataclass(frozen=True, kw_only=True)
class RolloutOptions:
    """How many problems are asked at once, and when a drawn one is asked no further: the probe always gets all K
    responses. **Ours**: see docs/rollouts.md."""

    early_stop: Literal["no", "pair"] = option(
        "no", "pair: explore in waves, and ask a problem no further once it has a right and a wrong response"
    )
    give_up: int = option(
        0, "with early_stop: ask no further either after so many responses without a pair; 0: after all K", low=0
    )

    chunk: int = option(
        64,
        "problems that are asked, judged and saved together, and what a kill can cost; with early_stop twice as many. "
        "Several devices need more to be busy",
        low=1,
    )

    def __post_init__(self) -> None:
        if self.give_up and self.early_stop == "no":
            raise ValueError("--generator.give_up needs --generator.early_stop=pair")
        if self.give_up == 1:
            raise ValueError("--generator.give_up=1: a single response gives no pair; at least 2, or 0 for all K")

    def waves(self, samples: int) -> tuple[int, ...]:
        """How many responses a drawn problem is asked for at a time, ``samples`` (K) at most in all: the first two,
        then in every wave as many again as before. One wave of K without ``early_stop``."""
        if self.early_stop == "no":
            return (samples,)
        most = min(samples, self.give_up or samples)
        waves = [2]
        while (asked := sum(waves)) < most:
            waves.append(min(asked, most - asked))
        return tuple(waves)


CORE_OPTIONS: Mapping[str, type] = MappingProxyType({"generator": RolloutOptions})
"""Kind -> a dataclass of options, made like those of components; a component may not have options of these names."""


def core_options(kind: str) -> type:
    return CORE_OPTIONS.get(kind, NoOptions)


def all_specs(kind: str, options: type) -> list[OptionSpec]:
    """The options of a component of ``kind`` as a user sees them: its own, then those that the core heeds."""
    return [*specs_of(options), *specs_of(core_options(kind))]


def taken_names(kind: str, options: type) -> list[str]:
    """Options of a component that have the name of one that the core heeds."""
    core = {spec.name for spec in specs_of(core_options(kind))}
    return [spec.name for spec in specs_of(options) if spec.name in core]
