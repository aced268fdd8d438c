"""What stands in the judge's process for an object of the program: its methods run in the other sandbox.

A test's expected values must not get there, and the program's opinion of what equals them must not count. So nothing
plain is handed to the program by an operator: compared or combined with plain data, a result is the list, tuple, dict
or set that it holds (a subclass may hold one), and what holds none equals nothing. An object whose ``__eq__`` always
says yes is just that.

One exception: where the test itself makes an object of a class (a name in CapWords, chosen by the test and not by the
program), that class is what it tests. The operators of such a *subject* are the program's: ``Vector(1, 2) * 3``,
``Money(5) == 5``, ``"cat" in trie``.
"""

from __future__ import annotations

import builtins
import operator

from .wire import Foreign, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_DATA = {"list": list, "tuple": tuple, "dict": dict, "set": set, "frozenset": frozenset}


class ProgramExit(BaseException):
    """The program has raised what ends a process (SystemExit, KeyboardInterrupt): no test may catch that by chance."""


class Remote:
    """An object of the program; ``_saidpo`` holds what is the judge's own, all else is asked for."""

    def __init__(self, peer: Peer, handle: int, label: str, base: str) -> None:
        object.__setattr__(self, "_saidpo", _Own(peer, handle, label, base))

    def __getattribute__(self, name: str) -> Any:
        if name in ("_saidpo", "__dict__", "__slots__"):
            return object.__getattribute__(self, name)
        own = object.__getattribute__(self, "_saidpo")
        if name == "__class__":
            return _DATA.get(own.base, Remote)
        found = ask(self, "getattr", name)
        # Color.RED belongs to the class that the test names; what a method of it returns is a result.
        return subject(found) if own.names_class and isinstance_remote(found) and not _own(found).callable else found

    def __setattr__(self, name: str, value: Any) -> None:
        ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        ask(self, "delattr", name)

    def __call__(self, /, *arguments: Any, **keywords: Any) -> Any:
        found = ask(self, "call", *arguments, **keywords)
        return subject(found) if _own(self).names_class else found

    def __iter__(self) -> Iterator[Any]:
        items = ask(self, "iter")
        return iter(items) if not isinstance_remote(items) else _items(items)

    def __next__(self) -> Any:
        return ask(self, "next")

    def __contains__(self, item: Any) -> bool:
        if _own(self).subject:
            return bool(ask(self, "contains", item))
        data = _data(self)
        return item in data if data is not None else any(item is other or item == other for other in iter(self))

    def __bool__(self) -> bool:
        data = _data(self)
        return bool(data) if data is not None else bool(ask(self, "bool"))

    def __hash__(self) -> int:
        if _own(self).subject:
            return int(ask(self, "hash"))
        data = _data(self)
        return hash(data) if isinstance(data, tuple | frozenset) else id(self)

    def __instancecheck__(self, value: Any) -> bool:
        return bool(ask(self, "isinstance", value))

    def __subclasscheck__(self, value: Any) -> bool:
        return bool(ask(self, "issubclass", value))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        return bool(ask(self, "exit", kind and kind.__name__))

    def __format__(self, form: str) -> str:
        return format(str(self), form)


class _Own:
    """The judge's side of a remote object."""

    def __init__(self, peer: Peer, handle: int, label: str, base: str) -> None:
        self.peer, self.handle, self.label, self.base = peer, handle, label, base
        self.subject = False
        """The test itself has made it, by calling a class."""
        self.names_class = False
        """The test calls it by a name in CapWords."""
        self.callable = base in ("class", "callable")


def _own(remote: Any) -> _Own:
    own = object.__getattribute__(remote, "_saidpo")
    assert isinstance(own, _Own)
    return own


def isinstance_remote(value: Any) -> bool:
    """``isinstance`` would ask for ``__class__``, which says list for what holds one."""
    return type(value) is Remote


def subject(value: Any) -> Any:
    if isinstance_remote(value):
        _own(value).subject = True
    return value


def names_class(value: Any) -> Any:
    if isinstance_remote(value):
        _own(value).names_class = True
    return value


def handle_of(remote: Any) -> int:
    return _own(remote).handle


def label_of(remote: Any) -> str:
    return _own(remote).label


def ask(remote: Any, operation: str, /, *arguments: Any, **keywords: Any) -> Any:
    """The program's answer; what it raised is raised here as the same built-in exception, or one derived from it."""
    own = _own(remote)
    try:
        return own.peer.ask(operation, remote, arguments, keywords)
    except Foreign as foreign:
        error = exception_of(foreign, iterating=operation == "next")
    raise error


def exception_of(foreign: Foreign, *, iterating: bool) -> BaseException:
    kind = exception_class(foreign.names)
    if kind is None:
        return ProgramExit(f"{(foreign.names or ['?'])[0]}")
    if issubclass(kind, StopIteration | StopAsyncIteration) and not iterating:  # it would end a loop of the test
        kind = RuntimeError
    try:
        return kind(*foreign.arguments)
    except TypeError:  # UnicodeDecodeError and its like want arguments that may not have travelled
        error = kind.__new__(kind)
        error.args = foreign.arguments
        return error


_EXCEPTIONS: dict[tuple[str, ...], type[Exception]] = {}


def exception_class(names: list[str]) -> type[Exception] | None:
    """The local class for one whose bases, itself first, have these names; None if it is no Exception."""
    if "Exception" not in names:
        return None
    first = getattr(builtins, names[0], None)
    if isinstance(first, type) and issubclass(first, Exception):
        return first
    key = tuple(names)
    if key not in _EXCEPTIONS:
        _EXCEPTIONS[key] = type(names[0], (exception_class(names[1:]) or Exception,), {})
    return _EXCEPTIONS[key]


def _data(remote: Any) -> Any:
    """The plain list, tuple, dict or set that a subclass of it holds, None if it is none."""
    own = _own(remote)
    if own.base not in _DATA:
        return None
    data = own.peer.ask("data", remote)
    return data if type(data) is _DATA[own.base] else None


def _items(iterator: Any) -> Iterator[Any]:
    while True:
        try:
            item = ask(iterator, "next")
        except StopIteration:
            return
        yield item


# ---- Operators: who decides ------------------------------------------------------------------------------------------


def _operator(name: str, swapped: bool) -> Callable[[Any, Any], Any]:
    function = getattr(operator, name)
    compares = name in ("eq", "ne")

    def method(self: Any, other: Any) -> Any:
        pair = (other, self) if swapped else (self, other)
        if any(isinstance_remote(side) and _own(side).subject for side in pair):
            return subject(ask(self, "operator", name, *pair))
        if compares and self is other:
            return name == "eq"
        left, right = ((_data(side) if isinstance_remote(side) else side) for side in pair)
        if left is None or right is None:
            if compares:
                return name == "ne"
            raise TypeError(f"the program returned an object of its class {_own(self).label}, no plain data")
        return function(left, right)

    return method


def _forwarded(operation: str) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any) -> Any:
        found = ask(self, operation, *arguments)
        return subject(found) if _own(self).subject and operation in _UNARY else found

    return method


_UNARY = ("neg", "pos", "abs", "invert")
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Remote, f"__{_name}__", _operator(_name, swapped=False))
_BINARY = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift"
for _name in _BINARY.split():
    setattr(Remote, f"__{_name.rstrip('_')}__", _operator(_name, swapped=False))
    setattr(Remote, f"__r{_name.rstrip('_')}__", _operator(_name, swapped=True))
for _name in (*_UNARY, "len", "getitem", "setitem", "delitem", "str", "repr", "int", "float", "index", "enter"):
    setattr(Remote, f"__{_name}__", _forwarded(_name))
setattr(Remote, "__reversed__", lambda self: _items(ask(self, "reversed")))  # noqa: B010
