"""The programs in ``programs/*.toml``, each with its tests and the verdict that is due."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saidpo_core import Problem

NUMBERS = "".join(f"{number}\n" for number in range(50_000))
FOLDER = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Case:
    name: str
    verdict: str
    reason: str
    """A part of the reason that is due."""
    slow: bool
    problem: Problem
    response: str


def code_problem(tests: list[dict[str, Any]], name: str = "p", **extra: Any) -> Problem:
    return Problem(id=name, question="?", answer=str(tests), domain="code", extra={"tests": tests, **extra})


def fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def load_cases() -> Iterator[Case]:
    for path in sorted(FOLDER.glob("*.toml")):
        for item in tomllib.loads(path.read_text())["case"]:
            tests = [
                test | {"output": "".join(f"{i}\n" for i in range(50_000))}
                if test.get("output") == "@numbers"
                else test
                for test in item["tests"]
            ]
            yield Case(
                name=f"{path.stem}: {item['name']}",
                verdict=item["verdict"],
                reason=item.get("reason", ""),
                slow=item.get("slow", False),
                problem=code_problem(tests, item["name"]),
                response=item["response"] if "response" in item else fenced(item["program"]),
            )
