"""What ``study.json`` holds, as the sections need it. What is damaged or of another shape is named, with its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from saidpo_core import UsageError
from saidpo_plugins.report.text import visible

T = TypeVar("T")
BUDGETS = ("tokens", "explored", "steps", "pairs", "seconds")
"""What an arm used, as means over its runs."""
TEXTS = ("question", "about", "source")
_LARGEST = 1e300
_ANEW = "the command of the study writes it anew"
_INTERVALS = (("low", "high"), ("effect_low", "effect_high"), ("bases_low", "bases_high"))


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm. Without any finished run, only how many were planned and its settings are known."""

    name: str
    runs: int
    planned: int
    mean: tuple[float, ...] = ()
    """Balanced held-out accuracy before training and after each round, in [0, 1]."""
    sd: tuple[float, ...] = ()
    used: Mapping[str, float]
    pair_yield: float | None = None
    per_tokens: tuple[float, float] = (0.0, 0.0)
    """Accuracy gained for 100,000 tokens: mean and standard deviation over the runs."""
    curves: Mapping[str, tuple[float, ...]]
    """Of each run, by ``BASE/seed-N``."""
    settings: Mapping[str, Any]
    """Those in which the arms differ."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An arm minus the reference; None for what too few runs cannot tell."""

    pairs: int
    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    bases_low: float | None
    bases_high: float | None
    p_corrected: float | None
    """Of the tested score alone."""
    paired: Mapping[str, Mapping[str, float]]
    """Base -> seed -> difference, of the tested score alone."""


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """One study."""

    title: str
    texts: Mapping[str, str]
    """Question, about, source: those that the study has."""
    score: str
    bases: tuple[str, ...]
    seeds: tuple[int, ...]
    tokens: str
    steps: str
    warnings: tuple[str, ...]
    """Of budgets that did not come out equal."""
    planned: int
    finished: int
    reference: str
    arms: tuple[Arm, ...]
    """The reference first."""
    differences: Mapping[str, Mapping[str, Difference]]
    """Arm -> score -> its difference from the reference."""
    settings: Mapping[str, Any]
    command: str
    version: str

    @property
    def tested(self) -> dict[str, Difference]:
        """Arm -> difference of the score that the study asked for."""
        return {arm: scores[self.score] for arm, scores in self.differences.items()}

    @property
    def ended(self) -> list[Arm]:
        """Arms of which a run ended."""
        return [arm for arm in self.arms if arm.runs]


class _At:
    """A value, and where in which file it stands."""

    def __init__(self, value: Any, file: Path, place: str = "") -> None:
        self.value, self.file, self.place = value, file, place

    def __getitem__(self, key: str) -> _At:
        if key not in self._table():
            raise UsageError(f"{self.file}: {visible(self._named(key))} is missing; {_ANEW}")
        return _At(self.value[key], self.file, self._named(key))

    def has(self, key: str) -> bool:
        return key in self._table()

    def each(self, read: Callable[[_At], T]) -> dict[str, T]:
        return {key: read(self[key]) for key in self._table()}

    def items(self, read: Callable[[_At], T], length: int | None = None) -> tuple[T, ...]:
        if not isinstance(self.value, list) or (length is not None and len(self.value) != length):
            raise self.wrong("a list" if length is None else f"a list of {length}")
        return tuple(read(_At(item, self.file, f"{self.place}[{i}]")) for i, item in enumerate(self.value))

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        return self.value

    def number(self) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not abs(self.value) < _LARGEST:
            raise self.wrong("a number")
        return float(self.value)

    def count(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not 0 <= self.value < _LARGEST:
            raise self.wrong("a whole number")
        return self.value

    def number_or_none(self) -> float | None:
        return None if self.value is None else self.number()

    def wrong(self, expected: str) -> UsageError:
        place = f"{visible(self.place)}: " if self.place else ""
        return UsageError(f"{self.file}: {place}expected {expected}, got {self.value!r:.60}; {_ANEW}")

    def _table(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.wrong("a table")
        return self.value

    def _named(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key


def read_study(folder: Path) -> StudyData:
    """The study whose ``study.json`` lies in ``folder``. Raises ``UsageError`` with file and place if it is none."""
    file = folder / "study.json"
    try:
        tree = _At(json.loads(file.read_text(encoding="utf-8")), file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not JSON ({error}); {_ANEW}") from error
    found = tree["arms"].each(_arm)
    reference, score = tree["reference"].text(), tree["score"].text()
    if reference not in found:
        raise tree["reference"].wrong("the name of an arm")
    for arm in found:
        if arm != reference:
            tree["comparisons"][arm][score]["paired"]  # has to be there
    budget, runs = tree["budget"], tree["runs"]
    return StudyData(
        title=tree["title"].text(),
        texts={key: tree[key].text() for key in TEXTS if tree.has(key)},
        score=score,
        bases=tree["bases"].items(_At.text),
        seeds=tree["seeds"].items(_At.count),
        tokens=budget["tokens"].text(),
        steps=budget["steps"].text(),
        warnings=budget["warnings"].items(_At.text),
        planned=runs["planned"].count(),
        finished=runs["finished"].count(),
        reference=reference,
        arms=(found[reference], *(arm for name, arm in found.items() if name != reference)),
        differences={arm: tree["comparisons"][arm].each(_difference) for arm in found if arm != reference},
        settings=tree["settings"].each(lambda at: at.value),
        command=tree["command"].text(),
        version=tree["saidpo"].text(),
    )


def _arm(at: _At) -> Arm:
    name = at.place.removeprefix("arms.")
    runs, planned, settings = at["runs"].count(), at["planned"].count(), at["settings"].each(lambda item: item.value)
    if not runs:
        return Arm(name=name, runs=0, planned=planned, used={}, curves={}, settings=settings)
    mean = at["mean"].items(_At.number)
    if len(mean) < 2:
        raise at["mean"].wrong("accuracy before training and after at least one round")
    per_tokens = at["scores"]["per-100k-tokens"].items(_At.number, 2)
    return Arm(
        name=name,
        runs=runs,
        planned=planned,
        mean=mean,
        sd=at["sd"].items(_At.number, len(mean)),
        used={key: at[key].number() for key in BUDGETS},
        pair_yield=at["yield"].number_or_none(),
        per_tokens=(per_tokens[0], per_tokens[1]),
        curves=at["accuracy"].each(lambda curve: curve.items(_At.number, len(mean))),
        settings=settings,
    )


def _difference(at: _At) -> Difference:
    keys = ("mean", "p", "effect", *(end for interval in _INTERVALS for end in interval))
    numbers = {key: at[key].number_or_none() for key in keys}
    of_tested = at.has("paired")
    corrected = at["p_corrected"].number_or_none() if of_tested else None
    known = {key for key, value in numbers.items() if value is not None}
    whole = {"mean", "low", "high", "p"} <= known and (corrected is not None or not of_tested)
    if not (whole or known <= {"mean"}) or any((low in known) != (high in known) for low, high in _INTERVALS):
        raise at.wrong("a difference with both ends of its intervals and p, or with none of them")
    return Difference(
        pairs=at["pairs"].count(),
        p_corrected=corrected,
        paired=at["paired"].each(lambda base: base.each(_At.number)) if of_tested else {},
        **numbers,
    )
