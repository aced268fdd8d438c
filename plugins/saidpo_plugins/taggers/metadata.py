"""Tagger ``metadata``: the knowledge points that the pool carries. The paper asks an LLM for them: ``--tagger=llm``."""

from __future__ import annotations

from collections.abc import Sequence

from saidpo_core import Component, NoOptions, Problem, Progress, Tagger, UsageError, hookimpl


class Metadata:
    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def tag(self, problems: Sequence[Problem], progress: Progress) -> list[tuple[str, ...]]:
        tags = [problem.tags for problem in problems]
        if problems and not any(tags):
            raise UsageError(
                f"none of the {len(problems):,} problems of this pool has tags; have a language model find them "
                "(--tagger=llm), add a field 'tags' to the problems, or do without knowledge areas (--clusterer=none "
                "with --sampler=uniform)"
            )
        progress(len(tags), len(tags))
        return tags


@hookimpl
def saidpo_taggers() -> list[Component[Tagger]]:
    return [
        Component(
            name="metadata",
            summary="the tags that the pool carries",
            build=Metadata,
            default=True,
        )
    ]
