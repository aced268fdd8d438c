"""A page is sections; a section is an answer in words, figures that show it, and tables with the same numbers."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from saidpo_plugins.report.text import script_data


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A Plotly figure. ``@blue`` and the like are colours of the theme; the script of the page puts them in."""

    id: str
    alt: str
    """What it shows, in words: for who cannot see it."""
    data: Sequence[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 320
    title: str = ""
    labels: Sequence[str] | None = None
    """Names along the y axis, whose positions are 0, 1, ...; shortened to fit the screen."""
    rounds: Sequence[dict[str, Any]] | None = None
    """What a slider changes: for each round a title and the values of the first trace's marker colours."""

    def spec(self) -> dict[str, Any]:
        return {"data": list(self.data), "layout": self.layout, "labels": self.labels, "rounds": self.rounds}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text and numbers, shown as given."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Answer:
    """A question of the first screen, answered."""

    question: str
    verdict: str
    """Yes, No, Unclear, or a number: the answer in a word."""
    text: str
    link: str
    """Id of the section with the evidence."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question and its answer."""

    id: str
    title: str
    short: str
    """In the navigation."""
    answer: str = ""
    notes: Sequence[str] = ()
    """How the numbers were got and what they cannot say."""
    figures: Sequence[Figure] = ()
    side_by_side: bool = False
    tables: Sequence[Table] = ()
    template: str = ""
    """A block of ``template.html.j2`` of its own, for what is no figure and no table."""
    content: Any = None
    """For that block."""


def render(title: str, sections: Sequence[Section], data: dict[str, Any], **context: Any) -> str:
    """The whole page. Nothing in it is run but its own script and Plotly's, both known to it by their hashes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("saidpo_plugins.report", "page"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    figures = {figure.id: figure.spec() for section in sections for figure in section.figures}
    script, plotly = _file("report.js"), plotly_js()
    return environment.get_template("template.html.j2").render(
        title=title,
        sections=sections,
        style=_file("style.css"),
        script=script,
        script_hash=_hash(script.encode()),
        plotly=packed_plotly() if figures else "",
        plotly_hash=_hash(plotly),
        data=script_data({**data, "figures": figures}),
        **context,
    )


def _file(name: str) -> str:
    return (files("saidpo_plugins.report") / "page" / name).read_text(encoding="utf-8")


@cache
def plotly_js() -> bytes:
    return (files("plotly") / "package_data/plotly.min.js").read_bytes()


@cache
def packed_plotly() -> str:
    """Compressed, since it is the largest part of the page by far (4.8 MB, 1.9 MB so)."""
    return base64.b64encode(gzip.compress(plotly_js(), 6, mtime=0)).decode()


def _hash(source: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source).digest()).decode()}"
