"""Two processes that ask each other, over pipes, with nothing but plain data on the wire: one JSON array a line.

A question is ``["?", operation, target, arguments, keyword arguments]``; it is answered by ``["=", value, arguments
that the call has changed, what it printed]`` or ``["!", names of the exception's classes, its arguments, printed]``.
While a side waits for its answer it answers the other's questions, so that a call can call back.

Values of exact basic types, and a few of the standard library, travel as copies. A subclass of a number or a text
travels as the number or text that it holds. Anything else stays where it is, and a numbered handle travels.
"""

from __future__ import annotations

import builtins
import os

from .plain_json import dumps, loads
from .values import RECIPES, SCALARS, is_mutable, look_up, pack_scalar, restore

TYPE_CHECKING = False  # typing takes 3 ms to import, collections 2: every run of a program would wait for them
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_MESSAGE_LIMIT = 16 * 2**20
_SHAPES = {
    "?": (str, str, object, list, dict),
    "=": (str, object, list, str),
    "!": (str, list, list, str),
}


class Broken(BaseException):
    """The other side has ended, or sends what is no message. Not an Exception: no test may catch it."""


class Foreign(Exception):
    """What the other side raised: the names of its classes, the exact one first, and its arguments."""

    def __init__(self, names: list[str], arguments: tuple[Any, ...]) -> None:
        super().__init__(names, arguments)
        self.names, self.arguments = names, arguments


class Peer:
    """One end of the wire. Subclasses say what they answer, and what a handle of the other side becomes."""

    def __init__(self, receive: int, send: int) -> None:
        self._receive, self._send = receive, send
        self._rest = b""
        self._mine: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}  # id of an object in _mine (which keeps it alive) -> its handle
        self.asked = 0

    def answer(self, operation: str, target: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        raise NotImplementedError

    def target(self, data: Any) -> Any:
        """What the other side may ask for something."""
        return self.unpack(data)

    def adopt(self, handle: int, label: str, base: str) -> Any:
        """What stands here for the other side's object: a ``label`` (its class), ``base`` says of which kind."""
        raise NotImplementedError

    def export(self, value: Any) -> list[Any]:
        """How to hand over an object that cannot travel as a copy; raises TypeError if it must not be."""
        return self.handle(value, type(value).__name__, "")

    def handle(self, value: Any, label: str, base: str) -> list[Any]:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._mine)
            self._mine[number] = value
        return ["o", number, label[:60], base]

    # ---- Asking and answering --------------------------------------------------------------------------------------

    def ask(
        self, operation: str, target: Any, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
    ) -> Any:
        """The other side's answer; what a call has changed in its arguments is changed in these, too."""
        self.asked += 1
        given = [self.pack(item) for item in arguments]
        named = {name: self.pack(item) for name, item in (keywords or {}).items()}
        self._write(["?", operation, self.pack(target), given, named])
        while True:
            message = self._read()
            if message[0] == "?":
                self._reply(message)
                continue
            try:
                return self._outcome(message, list(arguments), dict(keywords or {}))
            except (Foreign, Broken):
                raise
            except Exception as error:
                raise Broken(f"sent what cannot be read: {type(error).__name__}") from None

    def _outcome(self, message: list[Any], arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if message[0] == "!":
            _, names, values, printed = message
            self.printed(printed)
            raise Foreign([str(name) for name in names], tuple(map(self.unpack, values)))
        _, value, changed, printed = message
        self.printed(printed)
        for place, data in changed:
            restore(keywords[place] if isinstance(place, str) else arguments[place], self.unpack(data))
        if isinstance(value, list) and value[0] == "a":  # one of the arguments itself
            return keywords[value[1]] if isinstance(value[1], str) else arguments[value[1]]
        return self.unpack(value)

    def _reply(self, message: list[Any]) -> None:
        _, operation, target, given, named = message
        try:
            arguments = [self.unpack(item) for item in given]
            keywords = {name: self.unpack(item) for name, item in named.items()}
            result = self.answer(operation, self.target(target), arguments, keywords)
            places = [pair for pair in (*enumerate(arguments), *keywords.items()) if is_mutable(pair[1])]
            same = [place for place, item in places if item is result]
            value = ["a", same[0]] if same else self.pack(result)
            old: dict[Any, Any] = {**dict(enumerate(given)), **named}
            packed = [(place, self.pack(item)) for place, item in places]
            changed = [[place, data] for place, data in packed if data != old[place]]
            self._write(["=", value, changed, self.print_out()])
        except Broken:
            raise
        except BaseException as error:
            names = [kind.__name__ for kind in type(error).__mro__ if kind is not object]
            try:
                values = [self.pack(item) for item in error.args]
            except BaseException:
                values = []
            self._write(["!", names, values, self.print_out()])

    def print_out(self) -> str:
        """What the answer has printed, on the side that answers."""
        return ""

    def printed(self, text: Any) -> None:
        """What the other side has printed, on the side that asked."""

    # ---- Values ----------------------------------------------------------------------------------------------------

    def pack(self, value: Any, *, key: bool = False) -> Any:
        """``value`` as JSON; ``key``: where it has to be hashed (in a set, as a key)."""
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is list:
            return ["l", *map(self.pack, value)]
        if kind is tuple or (key and isinstance(value, tuple)):
            return ["t", *(self.pack(item, key=key) for item in tuple.__iter__(value))]
        name = f"{kind.__module__}.{kind.__qualname__}"
        if kind is dict or name == "collections.defaultdict":
            return ["d", *([self.pack(name, key=True), self.pack(item)] for name, item in dict.items(value))]
        if kind is set or kind is frozenset:
            return ["s" if kind is set else "z", *(self.pack(item, key=True) for item in value)]
        packed = pack_scalar(value)
        if packed is not None:
            return packed
        if name in RECIPES and getattr(value, "tzinfo", None) is None:
            return ["k", name, *map(self.pack, RECIPES[name](value))]
        if isinstance(value, type) and getattr(builtins, kind_name := str(value.__name__), None) is value:
            return ["b", "builtins", kind_name]
        return self.export(value)

    def unpack(self, data: Any) -> Any:
        if data is None or isinstance(data, bool | int | str):
            return data
        tag, *rest = data
        if tag in ("l", "t", "s", "z"):
            return {"l": list, "t": tuple, "s": set, "z": frozenset}[tag](map(self.unpack, rest))
        if tag == "d":
            return {self.unpack(name): self.unpack(item) for name, item in rest}
        if tag in SCALARS:
            return SCALARS[tag](*rest)
        if tag == "k":
            assert rest[0] in RECIPES
            module, _, name = rest[0].rpartition(".")
            return look_up(module, name)(*map(self.unpack, rest[1:]))
        if tag == "m":
            return self._mine[rest[0]]
        if tag == "b":
            return self.named(*rest)
        assert tag == "o"
        handle, label, base = rest
        return self.adopt(int(handle), str(label), str(base))

    def named(self, module: str, name: str) -> Any:
        """What a name stands for: a built-in type."""
        value = getattr(builtins, name)
        assert module == "builtins"
        assert isinstance(value, type)
        return value

    # ---- Lines -----------------------------------------------------------------------------------------------------

    def _write(self, message: list[Any]) -> None:
        data = dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._send, data) :]
        except OSError:
            raise Broken("ended") from None

    def _read(self) -> list[Any]:
        pieces = [self._rest]
        size = len(self._rest)
        while b"\n" not in pieces[-1]:
            chunk = os.read(self._receive, 65536)
            size += len(chunk)
            if not chunk:
                raise Broken("ended")
            if size > _MESSAGE_LIMIT:
                raise Broken("sent too much")
            pieces.append(chunk)
        line, _, self._rest = b"".join(pieces).partition(b"\n")
        try:
            message = loads(line.decode())
            shape = _SHAPES[message[0]]
            if len(message) != len(shape) or not all(map(isinstance, message, shape)):
                raise ValueError
        except (ValueError, RecursionError, LookupError, TypeError):
            raise Broken("sent what is no message") from None
        assert isinstance(message, list)
        return message
