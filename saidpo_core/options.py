"""Options of components and of the run: frozen dataclasses, filled from flags and TOML, checked alike.

Supported field types: int, float, str, bool, Path, Literal[...], tuples of int, float or str (comma-separated on the
command line, a list in TOML), and unions of these such as ``int | Literal["auto"]`` or ``Path | None``.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from saidpo_core.errors import UsageError, first_line

_Scalar = int | float | str | bool | None


def option(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A field of an options dataclass: default, help text, and inclusive bounds for numbers."""
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class OptionSpec:
    """One option as flags, TOML and help need it."""

    name: str
    type: Any
    default: Any
    help: str
    low: float | None
    high: float | None

    @property
    def is_flag(self) -> bool:
        return self.type is bool

    @property
    def type_text(self) -> str:
        return _type_text(self.type)

    @property
    def bounds_text(self) -> str:
        """``1 to 10``, ``at least 1``, ``at most 10``, or nothing."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return (
            "" if self.low is self.high else f"at least {self.low:g}" if self.high is None else f"at most {self.high:g}"
        )

    def parse(self, value: Any, where: str) -> Any:
        """``value`` (from a flag, always text, or from TOML) as this option's type; ``where`` is named in errors."""
        try:
            parsed = _convert(value, self.type)
        except ValueError as error:
            raise UsageError(f"{where}: expected {self.type_text}, got {value!r}") from error
        for bound, broken, sign in ((self.low, _less, ">="), (self.high, _greater, "<=")):
            if bound is not None and broken(parsed, bound):
                raise UsageError(f"{where}: must be {sign} {bound:g}, got {value!r}")
        return parsed


@functools.cache
def specs_of(options: type) -> tuple[OptionSpec, ...]:
    """The options of a dataclass, in order. Looked up once a class: its annotations are evaluated for it."""
    hints = typing.get_type_hints(options)
    specs = []
    for field in dataclasses.fields(options):
        meta = field.metadata
        default = field.default if field.default is not dataclasses.MISSING else None
        specs.append(
            OptionSpec(field.name, hints[field.name], default, meta.get("help", ""), meta.get("low"), meta.get("high"))
        )
    return tuple(specs)


def options_problem(options: Any) -> str:
    """Why this cannot be the options of a component; empty if it can."""
    if not (isinstance(options, type) and dataclasses.is_dataclass(options)):
        return "must be a dataclass"
    for field in dataclasses.fields(options):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return f"need a default for {field.name!r}; make it with saidpo_core.option"
    try:
        specs_of(options)
        options()
    except Exception as error:  # an annotation that names nothing, a default that the class itself refuses
        return f"cannot be used: {first_line(error)}"
    return ""


def build_options(options: type, values: Mapping[str, Any], where: Mapping[str, str]) -> Any:
    """An instance of ``options`` from ``values``; ``where[key]`` says in errors where a value came from."""
    specs = {spec.name: spec for spec in specs_of(options)}
    for key in values:
        if key not in specs:
            raise UsageError(f"{where[key]}: no such option.{nearest(key, specs)}")
    try:
        return options(**{key: specs[key].parse(value, where[key]) for key, value in values.items()})
    except ValueError as error:  # a dataclass may check combinations in __post_init__
        raise UsageError(str(error)) from error


def plain(value: Any) -> Any:
    """``value`` as TOML and JSON can hold it; an option that is None by default and by choice is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        # Left out, None would be read as the default.
        return {f.name: "none" if v is None else plain(v) for f, v in fields if v is not None or f.default is not None}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def shown(default: Any) -> str:
    """A default as one would type it; empty if there is nothing to type."""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else str(default)


def nearest(name: str, known: typing.Iterable[str], *, listed: bool = True) -> str:
    """`` Did you mean X?`` with the nearest of ``known``, or a list of them unless ``listed`` is off, or nothing."""
    from difflib import get_close_matches

    known = list(known)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]}?"
    return f" Known: {', '.join(known)}." if known and listed else ""


def _less(value: Any, bound: float) -> bool:
    return isinstance(value, int | float) and not value >= bound


def _greater(value: Any, bound: float) -> bool:
    return isinstance(value, int | float) and not value <= bound


def _convert(value: Any, kind: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(kind))
    if origin is Literal:
        for choice in get_args(kind):
            if value == choice or (isinstance(value, str) and value == str(choice)):
                return choice
        raise ValueError
    if origin is tuple:
        items = (value.split(",") if value else []) if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ValueError
        return tuple(_convert(item.strip() if isinstance(item, str) else item, get_args(kind)[0]) for item in items)
    if kind is bool:
        return _convert_bool(value)
    if kind is type(None):
        if value in (None, "none"):
            return None
        raise ValueError
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise ValueError
    if kind in (str, Path) and not isinstance(value, str | Path):
        raise ValueError
    try:
        converted = kind(value)
    except (TypeError, OverflowError) as error:
        raise ValueError from error
    if converted != converted:  # NaN is no setting: it is not even equal to itself
        raise ValueError
    return converted


def _convert_union(value: Any, kinds: tuple[Any, ...]) -> Any:
    # Words such as "auto" and "none" before free text.
    for kind in sorted(kinds, key=_narrow_first):
        try:
            return _convert(value, kind)
        except ValueError:
            continue
    raise ValueError


def _narrow_first(kind: Any) -> tuple[bool, bool]:
    return kind in (str, Path), get_origin(kind) is not Literal


def _convert_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "yes", "1", "on"):
        return True
    if isinstance(value, str) and value.lower() in ("false", "no", "0", "off"):
        return False
    raise ValueError


def _type_text(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_text(item) for item in get_args(kind))
    if origin is Literal:
        return "|".join(str(item) for item in get_args(kind))
    if origin is tuple:
        return f"{_type_text(get_args(kind)[0])},..."
    if kind is type(None):
        return "none"
    return {int: "integer", float: "number", str: "text", bool: "true|false", Path: "path"}.get(kind, str(kind))
