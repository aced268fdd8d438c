"""Texts that come from models and their programs."""

from __future__ import annotations


def writable(text: str) -> str:
    """``text`` with ``?`` for lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode()
