"""Plain questions about values that components hand back; each can be asked of anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any


def shape_text(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else f"[{', '.join(map(str, shape))}]"


def is_ids(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is int and item >= 0 for item in value)


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def is_real(value: Any) -> bool:
    """A number that a float can hold, NaN and infinities too."""
    if not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def is_duration(value: Any) -> bool:
    """Seconds, or any other measure from 0 on."""
    return isinstance(value, int | float) and is_real(value) and 0 <= value < math.inf


def is_tags(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(is_text, value))


def is_text(value: Any) -> bool:
    """A string that can be written as UTF-8; lone surrogates cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_json(value: Any) -> bool:
    """What JSON can hold; nothing that contains itself."""
    try:
        return _is_json(value)
    except RecursionError:
        return False


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(is_text(key) and _is_json(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return is_text(value) or value is None or isinstance(value, int | float)
