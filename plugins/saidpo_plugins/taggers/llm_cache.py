"""Answers of the tagger ``llm`` on disk, by content hash; several runs may share them.

One append-only JSONL file for each model and prompt. A line is written with a single ``write`` that starts with a line
break, so what a killed run or a full disk leaves behind is at most a torn line, and the reader skips it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saidpo_core import SaidpoError, UsageError


class TagCache:
    def __init__(self, folder: Path, model: str, prompt_version: str) -> None:
        self.path = folder / f"{_digest(model, prompt_version)[:16]}.jsonl"
        self._scope = (model, prompt_version)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            self._tags = dict(filter(None, map(_entry, self.path.read_bytes().splitlines())))
        except OSError as error:
            raise UsageError(f"{folder}: cannot keep tags there: {error}; name a folder: --tagger.cache=DIR") from error

    def key(self, question: str) -> str:
        return _digest(*self._scope, question)

    def get(self, key: str) -> tuple[str, ...] | None:
        return self._tags.get(key)

    def put(self, key: str, tags: Sequence[str]) -> None:
        line = ("\n" + json.dumps({"key": key, "tags": list(tags)}) + "\n").encode()
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                if os.write(file, line) != len(line):
                    raise OSError("only a part could be written; is the disk full?")
            finally:
                os.close(file)
        except OSError as error:
            raise SaidpoError(f"{self.path}: cannot be written: {error}") from error
        self._tags[key] = tuple(tags)


def _digest(*parts: str) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _entry(line: bytes) -> tuple[str, tuple[str, ...]] | None:
    """Key and tags of a line; None for a blank or torn one."""
    try:
        found: Any = json.loads(line)
        key, tags = found["key"], found["tags"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if isinstance(key, str) and isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        return key, tuple(tags)
    return None
