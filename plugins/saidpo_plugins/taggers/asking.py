"""How taggers ask a language model for knowledge points, and what counts as an answer.

**Ours**: the paper's prompt could not be found. No component lives here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from saidpo_core import Problem
from saidpo_core.prepare import cache_folder
from saidpo_plugins.taggers.llm_cache import TagCache

PROMPT_VERSION = "1"  # raise it with any change to what is asked of one exercise: it is part of the cache's keys
MOST_TAGS = 5
_LONGEST_TAG = 100  # characters
_TASK = (
    "the knowledge points that one needs to solve them: short, general names of concepts or techniques as in a "
    "syllabus, such as 'linear equations' or 'unit conversion', the most important first, at most "
)
PROMPT = (
    f"You label exercises with {_TASK}{MOST_TAGS}. Do not solve the exercise. "
    'Answer with JSON only: {"knowledge_points": ["...", "..."]}'
)
PROMPT_SEVERAL = (
    f"You label exercises with {_TASK}{MOST_TAGS} for each exercise. Do not solve them. Answer with JSON only, one "
    'entry an exercise, in their order: {"exercises": [{"number": 1, "knowledge_points": ["...", "..."]}, ...]}'
)
_POINTS = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_TAGS}
_BYTES_A_TOKEN = 3.0  # of mathematics with its formulas; English prose takes about 4, so estimates are rather high
_ANSWER_TOKENS = 40  # five points of four tokens with their punctuation, and what stands around them


class Nonsense(ValueError):
    """The model's answer is not what was asked for."""


def messages(questions: Sequence[str]) -> list[dict[str, str]]:
    """What is said to a chat model: one exercise as it is, several with their numbers."""
    if len(questions) == 1:
        return [{"role": "system", "content": PROMPT}, {"role": "user", "content": questions[0]}]
    listed = "\n\n".join(f"Exercise {number}:\n{question}" for number, question in enumerate(questions, start=1))
    return [{"role": "system", "content": PROMPT_SEVERAL}, {"role": "user", "content": listed}]


def response_format(count: int) -> dict[str, Any]:
    """The schema of the answer about ``count`` exercises, for servers that can keep to one."""
    if count == 1:
        schema = _object({"knowledge_points": _POINTS})
    else:
        exercise = _object({"number": {"type": "integer"}, "knowledge_points": _POINTS})
        schema = _object({"exercises": {"type": "array", "items": exercise, "minItems": count, "maxItems": count}})
    return {"type": "json_schema", "json_schema": {"name": "tags", "strict": True, "schema": schema}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def points_of(content: Any) -> tuple[str, ...]:
    """The points in an answer about one exercise: lower case, each once, at most five. Raises ``Nonsense``."""
    return _tidy(_object_in(content).get("knowledge_points"))


def points_of_several(content: Any, count: int) -> dict[int, tuple[str, ...]]:
    """Of each exercise (from 0) that the answer labels well, its points; the others are left out."""
    found: dict[int, tuple[str, ...]] = {}
    try:
        exercises = _object_in(content).get("exercises")
    except Nonsense:
        return found
    for exercise in exercises if isinstance(exercises, list) else ():
        number = exercise.get("number") if isinstance(exercise, dict) else None
        if type(number) is int and 1 <= number <= count and number - 1 not in found:
            try:
                found[number - 1] = _tidy(exercise.get("knowledge_points"))
            except Nonsense:
                continue
    return found


def _object_in(content: Any) -> dict[str, Any]:
    """The JSON object in a text; servers without structured output add thoughts and a code fence."""
    try:
        text = content.rpartition("</think>")[2]
        found = json.loads(text[text.find("{") : text.rfind("}") + 1])
    except (AttributeError, ValueError, RecursionError) as error:
        raise Nonsense(f'the answer is not {{"knowledge_points": [...]}} ({error})') from error
    if not isinstance(found, dict):
        raise Nonsense(f'the answer is not {{"knowledge_points": [...]}} but {str(found)[:200]}')
    return found


def _tidy(points: Any) -> tuple[str, ...]:
    try:
        tidy = [" ".join(point.lower().split()) for point in points]
        "".join(tidy).encode()
    except (AttributeError, TypeError, ValueError) as error:
        raise Nonsense(f'the answer is not {{"knowledge_points": [...]}} ({error})') from error
    if not isinstance(points, list) or not tidy or not all(0 < len(point) <= _LONGEST_TAG for point in tidy):
        raise Nonsense(f"expected 1 to {MOST_TAGS} short knowledge points, got {str(points)[:200]}")
    return tuple(dict.fromkeys(tidy))[:MOST_TAGS]


def missing_of(problems: Sequence[Problem], cache: TagCache) -> dict[str, list[int]]:
    """Key -> rows of the problems with this question, for every question that the cache has no answer to."""
    missing: dict[str, list[int]] = {}
    for row, problem in enumerate(problems):
        key = cache.key(problem.question)
        if cache.get(key) is None:
            missing.setdefault(key, []).append(row)
    return missing


def tokens_of(questions: Iterable[str], together: int) -> tuple[int, int, int]:
    """(requests, prompt tokens, completion tokens) that these questions take, ``together`` a request: an estimate
    without a tokenizer, a token for three bytes.
    """
    count = size = 0
    for question in questions:
        count += 1
        size += len(question.encode()) + (len("Exercise 10:\n\n\n") if together > 1 else 0)
    requests = -(-count // together)
    size += requests * len(PROMPT if together == 1 else PROMPT_SEVERAL)
    return requests, round(size / _BYTES_A_TOKEN), count * _ANSWER_TOKENS


def answers_folder(named: Path | None) -> Path:
    """Where answers are kept: where the user says, else in the cache that runs share."""
    return Path(os.path.expanduser(named)) if named is not None else cache_folder() / "tags"
