"""How arms are named and told apart in every figure, and how differences are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saidpo_core.study.tables import score_name
from saidpo_plugins.report.study.reading import Difference, StudyData
from saidpo_plugins.report.text import label, shortened, signed, visible

LEVEL = 0.05
AXIS = "points, arm minus reference"
"""Along which differences are drawn; the title of the section names the reference."""
_LONG = 18
_LEGEND = 38
_COLOURS = ("@blue", "@orange", "@green", "@purple", "@sky")
_SYMBOLS = ("square", "diamond", "triangle-up", "x", "star", "triangle-down", "cross")
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Look:
    """Of an arm, the same on the whole page. Colour, marker and dash each tell it from its neighbours."""

    name: str
    """For tables; numbered if names are so long that figures cut them."""
    label: str
    """The same for Plotly."""
    legend: str
    colour: str
    symbol: str
    dash: str


def looks(study: StudyData) -> dict[str, Look]:
    """Arm -> its look. The reference is grey; the numbers of colours, markers and dashes have no common divisor, so
    that no two of 140 arms are alike."""
    numbered = any(len(arm.name) > _LONG for arm in study.arms)
    found = {}
    for i, arm in enumerate(study.arms):
        name = visible(f"{i + 1}. {arm.name}" if numbered else arm.name)
        found[arm.name] = Look(
            name=name,
            label=label(name),
            legend=label(shortened(name, _LEGEND)),
            colour=_COLOURS[(i - 1) % len(_COLOURS)] if i else "@grey",
            symbol=_SYMBOLS[(i - 1) % len(_SYMBOLS)] if i else "circle",
            dash=_DASHES[(i - 1) % len(_DASHES)] if i else "solid",
        )
    return found


def score_of(study: StudyData) -> str:
    """The tested score, in words."""
    return visible(score_name(study.score))


def points(share: float | None) -> str:
    return "–" if share is None else signed(100 * share)


def interval(low: float | None, high: float | None) -> str:
    """Both ends in points, on one line wherever it stands."""
    return "–" if low is None or high is None else f"{points(low)}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{points(high)}"


def said_p(p: float | None) -> str:
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.2g}"


def is_significant(found: Difference) -> bool | None:
    """Whether it is at 5%, corrected for the number of arms; None if it could not be tested."""
    return None if found.p_corrected is None else found.p_corrected < LEVEL


def verdict(found: Difference) -> str:
    significant = is_significant(found)
    return "not tested" if significant is None else "significant at 5%" if significant else "not significant"


def zero_line() -> dict[str, Any]:
    """A shape for the layout: where arm and reference are equal."""
    return {
        "type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper",
        "line": {"color": "@ink", "width": 1.5}, "layer": "below",
    }  # fmt: skip
