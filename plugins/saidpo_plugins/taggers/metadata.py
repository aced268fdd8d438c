"""Tagger ``metadata``: the knowledge points that the pool carries. The paper asks an LLM for them: ``--tagger=llm``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saidpo_core import Component, Problem, Progress, Tagger, UsageError, hookimpl, option


@dataclass(frozen=True, kw_only=True)
class MetadataOptions:
    required: bool = option(True, "stop if not a single problem has tags")


class Metadata:
    def __init__(self, options: MetadataOptions) -> None:
        self.options = options

    def tag(self, problems: Sequence[Problem], progress: Progress) -> list[tuple[str, ...]]:
        known: dict[tuple[str, ...], tuple[str, ...]] = {}  # equal lists are kept once: pools are large, lists are few
        tags = [known.setdefault(problem.tags, problem.tags) for problem in problems]
        if self.options.required and problems and not any(tags):
            raise UsageError(
                f"none of the {len(problems):,} problems of this pool has tags; have a language model find them "
                "(--tagger=llm), add a field 'tags' to the problems, or do without knowledge areas "
                "(--tagger.required=false --clusterer=none)"
            )
        progress(len(tags), len(tags))
        return tags


@hookimpl
def saidpo_taggers() -> list[Component[Tagger]]:
    return [
        Component(
            name="metadata",
            summary="the tags that the pool carries",
            options=MetadataOptions,
            build=Metadata,
            default=True,
        )
    ]
