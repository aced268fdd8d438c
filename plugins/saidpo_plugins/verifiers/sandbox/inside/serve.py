"""Load a program and answer what the judge asks of it. Nothing of a test is here but the arguments of its calls."""

from __future__ import annotations

import builtins
import io
import operator
import os
import sys

from .confine import confine, hide, source_of
from .values import look_up
from .wire import Broken, Foreign, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

_PRINT_LIMIT = 100_000
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda target, /, *arguments, **keywords: target(*arguments, **keywords),
    "contains": lambda target, item: item in target,
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "len": len,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "str": str,
    "repr": repr,
    "int": int,
    "float": float,
    "bool": bool,
    "hash": hash,
    "isinstance": lambda target, value: isinstance(value, target),
    "issubclass": lambda target, value: issubclass(value, target),
    "operator": lambda target, name, left, right: getattr(operator, name)(left, right),
    "enter": lambda target: type(target).__enter__(target),
    **{name: getattr(operator, name) for name in ("getitem", "setitem", "delitem", "neg", "pos", "abs", "invert")},
    "index": operator.index,
}
_COPIES: dict[str, Callable[[Any], Any]] = {
    "list": list.copy,
    "tuple": lambda value: tuple(tuple.__iter__(value)),
    "dict": lambda value: dict(dict.items(value)),
    "set": set.copy,
    "frozenset": lambda value: frozenset(set(frozenset.__iter__(value))),
}


class Program(Peer):
    """The program's end of the wire."""

    def __init__(self, receive: int, send: int, module: ModuleType, output: _Output) -> None:
        super().__init__(receive, send)
        self._module, self._output = module, output

    def answer(self, operation: str, target: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if operation == "global":
            return getattr(self._module, target)
        if operation == "data":
            return _COPIES[_base(target)](target)
        if operation == "await":
            import asyncio

            return asyncio.run(target)
        if operation == "exit":
            kind = getattr(builtins, arguments[0], Exception) if arguments[0] else None
            return bool(type(target).__exit__(target, kind, kind() if kind else None, None))
        return _OPERATIONS[operation](target, *arguments, **keywords)

    def export(self, value: Any) -> list[Any]:
        return self.handle(value, str(type(value).__name__), _base(value))

    def adopt(self, handle: int, label: str, base: str) -> Any:
        """A function or an iterator of the test."""
        target = _Theirs(handle)

        def call(*arguments: Any, **keywords: Any) -> Any:
            return self._asked("call", target, arguments, keywords)

        def items() -> Iterator[Any]:
            while True:
                try:
                    item = self._asked("next", target, (), {})
                except StopIteration:
                    return
                yield item

        return items() if base == "iterator" else call

    def _asked(self, operation: str, target: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        try:
            return self.ask(operation, target, arguments, keywords)
        except Foreign as foreign:
            kinds = [getattr(builtins, name, None) for name in foreign.names]
            error = next((kind for kind in kinds if isinstance(kind, type)), Exception)(*foreign.arguments)
        raise error

    def pack(self, value: Any, *, key: bool = False) -> Any:
        return ["m", value.handle] if type(value) is _Theirs else super().pack(value, key=key)

    def named(self, module: str, name: str) -> Any:
        return look_up(module, name)

    def print_out(self) -> str:
        return self._output.taken()

    def serve(self) -> None:
        while True:
            self._reply(self._read())

    def loaded(self) -> None:
        """The first word: the names that the program defines; of exceptions also those of their bases."""
        names: dict[str, Any] = {}
        for name, value in vars(self._module).items():
            if not name.startswith("__"):
                exception = isinstance(value, type) and issubclass(value, Exception)
                names[name] = [kind.__name__ for kind in value.__mro__ if kind is not object] if exception else []
        self._write(["=", self.pack(names), [], self.print_out()])

    def failed(self, error: BaseException) -> None:
        self._write(["!", [type(error).__name__], [str(error)[:300]], ""])


class _Theirs:
    def __init__(self, handle: int) -> None:
        self.handle = handle


class _Output(io.TextIOWrapper):
    """What the program prints to standard output, for the judge."""

    def __init__(self) -> None:
        self._kept = _Room()
        super().__init__(self._kept, encoding="utf-8", errors="replace", write_through=True)

    def taken(self) -> str:
        text = self._kept.getvalue().decode("utf-8", "replace")
        self._kept.seek(0)
        self._kept.truncate()
        return text


class _Room(io.BytesIO):
    """Beyond a limit, what is written is lost, as it would fill the memory."""

    def write(self, data: Any) -> int:
        size = len(data)
        super().write(bytes(data)[: max(_PRINT_LIMIT - self.tell(), 0)])
        return size


def _base(value: Any) -> str:
    for name, kind in (("list", list), ("tuple", tuple), ("dict", dict), ("set", set), ("frozenset", frozenset)):
        if issubclass(type(value), kind):
            return name
    if isinstance(value, type):
        return "class"
    if type(value).__name__ == "coroutine":
        return "coroutine"
    return "callable" if callable(value) else ""


def main(arguments: list[str]) -> None:
    descriptor, *limits = arguments
    confine(limits)
    receive, send = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    source = source_of(int(descriptor))
    hide()
    output = sys.stdout = _Output()
    module = type(sys)("program")
    module.__file__ = "/tmp/program.py"
    sys.modules["program"] = module
    program = Program(receive, send, module, output)
    try:
        exec(compile(source, "/tmp/program.py", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        program.failed(error)
        return
    program.loaded()
    try:
        program.serve()
    except Broken:  # the judge has ended
        os._exit(0)
