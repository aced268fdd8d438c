"""Writes docs/results.md, and the results in README.md, from those that are stored in docs/results.

    python docs/results.py                                 both from what is stored
    python docs/results.py runs/table1-three-bases ...     after storing what these studies found

What was run where stands in ``docs/templates/results.md``, in words; every figure comes from the stored results, which
are the ``study.json`` of ``saidpo study``, unchanged.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from markup import table

from saidpo_core.study.tables import arms_table, as_markdown, interval, sentences

DOCS = Path(__file__).parent
STORED = DOCS / "results"
NOTICE = "<!-- Written by docs/results.py from docs/results and docs/templates/results.md; do not edit. -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write docs/results.md from stored results.")
    parser.add_argument("studies", nargs="*", type=Path, help="folders of studies whose results are to be stored")
    parser.add_argument("--out", type=Path, default=DOCS / "results.md", help="the page")
    parser.add_argument("--readme", type=Path, default=DOCS.parent / "README.md", help="whose results are renewed")
    asked = parser.parse_args()
    STORED.mkdir(exist_ok=True)
    for folder in asked.studies:
        if not (folder / "study.json").is_file():
            sys.exit(f"{folder}: no study.json there; saidpo study writes it when all runs have ended")
        shutil.copyfile(folder / "study.json", STORED / f"{folder.name}.json")
    asked.out.write_text(page(), encoding="utf-8")
    asked.readme.write_text(renewed(asked.readme.read_text(encoding="utf-8")), encoding="utf-8")


def page() -> str:
    """The template, filled. ``<!-- study: NAME -->`` is a whole result, ``<!-- imbalance: A B ... -->`` a line each."""
    text = (DOCS / "templates" / "results.md").read_text(encoding="utf-8")
    text = re.sub(r"<!-- study: ([\w-]+) -->", lambda found: section(found[1]), text)
    text = re.sub(r"<!-- imbalance: ([\w -]+) -->", lambda found: imbalances(found[1].split()), text)
    return NOTICE + text.strip() + "\n"


def renewed(readme: str) -> str:
    """The README with the arms and the tested differences between ``<!-- result: NAME -->`` and ``<!-- end -->``, and
    the lines of ``<!-- imbalance: A B ... -->``."""

    def insert(found: re.Match[str]) -> str:
        result = stored(found[2])
        lines = "\n".join(f"- {line}" for line in sentences(result))
        return f"{found[1]}\n{arms_table(result)}\n\n{lines}\n{found[3]}"

    def insert_imbalances(found: re.Match[str]) -> str:
        return f"{found[1]}\n{imbalances(found[2].split())}\n{found[3]}"

    text = re.sub(r"(<!-- result: ([\w-]+) -->\n).*?(<!-- end -->)", insert, readme, flags=re.DOTALL)
    return re.sub(r"(<!-- imbalance: ([\w -]+) -->\n).*?(<!-- end -->)", insert_imbalances, text, flags=re.DOTALL)


def stored(name: str) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))
    return tree


def section(name: str) -> str:
    """What a study found, as ``saidpo study`` prints it; where it rests on several bases, each of them; the command."""
    result = stored(name)
    return "\n\n".join([as_markdown(result).strip(), *by_base(result), made_by(name, result)])


def made_by(name: str, result: Mapping[str, Any]) -> str:
    minutes = sum(arm["seconds"] * arm["runs"] for arm in result["arms"].values() if arm["runs"]) / 60
    return (
        f"Made by `{result['command']}`: {result['runs']['finished']} of {result['runs']['planned']} runs, "
        f"{minutes:,.0f} minutes in their rounds, one core each. Stored in `docs/results/{name}.json`."
    )


def by_base(result: Mapping[str, Any]) -> list[str]:
    """The mean difference on each base alone."""
    if len(result["bases"]) < 2:
        return []
    rows = []
    for arm, scores in result["comparisons"].items():
        paired = scores[result["score"]]["paired"]
        rows.append([arm, *(f"{100 * fmean(paired[base].values()):+.1f}" for base in result["bases"])])
    return [
        "On each base alone, means over its seeds:",
        table([f"arm - {result['reference']}", *result["bases"]], rows),
    ]


def imbalances(names: Sequence[str]) -> str:
    """A line for each pool: what ``error-weighted`` gains on ``uniform``, with its interval for these bases."""
    rows = []
    for item in names:
        share, _, name = item.partition("-")
        result = stored(name)
        found = result["comparisons"]["error-weighted"]
        arms = [result["arms"][arm] for arm in ("uniform", "error-weighted")]
        cells = [f"{100 * arm['mean'][-1]:.1f}" for arm in arms] + [f"{arm['yield']:.2f}" for arm in arms]
        gains = [interval(found[score]) for score in ("round-1", "mean", "final")]
        rows.append([f"{share}%", *cells, *gains, str(found["final"]["pairs"])])
    head = ["mastered", "uniform, final", "error-weighted, final", "uniform, yield", "error-weighted, yield"]
    return table([*head, "after round 1", "mean of the rounds", "after the last round", "pairs of runs"], rows)


if __name__ == "__main__":
    main()
