"""JSON by the interpreter's own C functions, without the package ``json``.

That package imports ``re`` and ``enum``, 8 of the 16 ms that a start of Python with it takes, twice for a run of tests.
It is what is used where these functions are missing or are called otherwise.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Plain:
    """What the C scanner wants to be told: every setting as ``json.loads`` has it."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(_Plain)  # type: ignore[arg-type]
    _encode = make_encoder(
        None,
        None,  # type: ignore[arg-type]
        encode_basestring_ascii,
        None,
        ":",
        ",",
        False,
        False,
        True,
    )
    if _scan('["a",{"b":-1}] ', 0)[0] != ["a", {"b": -1}] or "".join(_encode(["a", {"b": -1}], 0)) != '["a",{"b":-1}]':
        raise ImportError
except (ImportError, TypeError, AttributeError):
    import json

    def dumps(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    def loads(text: str) -> Any:
        return json.loads(text)
else:

    def dumps(value: Any) -> str:
        return "".join(_encode(value, 0))

    def loads(text: str) -> Any:
        """Raises ValueError, or RecursionError, for what is no JSON."""
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            raise ValueError("no JSON") from None
        if text[end:].strip():
            raise ValueError("more than JSON")
        return value
