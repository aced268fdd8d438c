"""Which values travel between the sandboxes as copies, and how the copy of an argument that was changed is put back."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in wire.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_JSON_INT = 10**15

RECIPES: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "builtins.range": lambda v: (v.start, v.stop, v.step),
    "collections.Counter": lambda v: (dict(v),),
    "collections.OrderedDict": lambda v: (dict(v),),
    "collections.deque": lambda v: (list(v), v.maxlen),
    "datetime.date": lambda v: (v.year, v.month, v.day),
    "datetime.time": lambda v: (v.hour, v.minute, v.second, v.microsecond),
    "datetime.timedelta": lambda v: (v.days, v.seconds, v.microseconds),
    "datetime.datetime": lambda v: (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond),
    "decimal.Decimal": lambda v: (str(v),),
    "fractions.Fraction": lambda v: (v.numerator, v.denominator),
}
"""Value types of the standard library and the arguments that make an equal one."""


def pack_scalar(value: Any) -> Any:
    """Numbers and bytes; of a subclass the plain value, whatever its methods say. None if it is none of these."""
    if isinstance(value, int):
        number = int.__pos__(value)
        return number if -_JSON_INT < number < _JSON_INT else ["i", format(number, "x")]
    if isinstance(value, float):
        return ["f", float.hex(float.__pos__(value))]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return ["y", b"".join([value]).hex()]
    if type(value) is bytearray:
        return ["Y", value.hex()]
    if isinstance(value, complex):
        plain = complex.__pos__(value)
        return ["c", plain.real.hex(), plain.imag.hex()]
    return None


SCALARS: dict[str, Callable[..., Any]] = {
    "i": lambda text: int(text, 16),
    "f": float.fromhex,
    "y": bytes.fromhex,
    "Y": bytearray.fromhex,
    "c": lambda real, imag: complex(float.fromhex(real), float.fromhex(imag)),
}
_MUTABLE = ("builtins.bytearray", "collections.Counter", "collections.OrderedDict", "collections.deque")


def is_mutable(value: Any) -> bool:
    """A copy of it travels, and it can change."""
    kind = type(value)
    return kind in (list, dict, set) or f"{kind.__module__}.{kind.__qualname__}" in _MUTABLE


def restore(old: Any, new: Any) -> None:
    """Give the mutable ``old`` the content of ``new``, of its type; what is nested in both stays the same object."""
    if type(old) is not type(new):
        raise TypeError("an argument came back as something else")
    if type(old) is list:
        kept = [_merged(*pair) for pair in zip(old, new, strict=False)]
        old[:] = kept + new[len(kept) :]
    elif isinstance(old, dict):
        merged = {name: _merged(old[name], item) if name in old else item for name, item in new.items()}
        old.clear()
        old.update(merged)
    elif isinstance(old, bytearray):
        old[:] = new
    else:  # set, deque
        old.clear()
        getattr(old, "update" if isinstance(old, set) else "extend")(new)


def _merged(old: Any, new: Any) -> Any:
    if type(old) is type(new) and is_mutable(old):
        restore(old, new)
        return old
    return new


def standard_name(value: Any) -> tuple[str, str] | None:
    """Module and name of what the interpreter itself brings, such as ``len`` or ``math.sqrt``; None for all else."""
    owner = getattr(value, "__self__", None)
    module = getattr(value, "__module__", None) or getattr(owner, "__name__", None) or "builtins"
    name = getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    if module.partition(".")[0] not in sys.stdlib_module_names and module != "builtins":
        return None
    return (module, name) if look_up(module, name) is value else None


def look_up(module: str, name: str) -> Any:
    __import__(module)
    value: Any = sys.modules[module]
    for part in name.split("."):
        value = getattr(value, part, None)
    return value
