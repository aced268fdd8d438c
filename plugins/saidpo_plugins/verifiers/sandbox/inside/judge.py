"""Run the tests of a problem, as they are, where the program is not: its names stand for calls into its sandbox.

The verdict goes to the sandbox's standard output, which nothing else can reach: not the program, and not what a test
prints. It is a JSON array ``[outcome, reason]``, after the numbers of the tests that were begun, each on its line.
"""

from __future__ import annotations

import builtins
import os
import symtable
import sys

from .confine import confine, source_of
from .plain_json import dumps, loads
from .remote import (
    ProgramExit,
    Remote,
    ask,
    exception_class,
    handle_of,
    isinstance_remote,
    label_of,
    names_class,
)
from .values import standard_name
from .wire import Broken, Foreign, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

_COMPARES = frozenset({"isclose"})
"""Comparisons of the standard library that a test may use without importing them."""


class Unfit(BaseException):
    """The test asks for what cannot be handed to a program in another sandbox."""


class Judge(Peer):
    """The judge's end of the wire: the program may call functions that a test has given it, and nothing else."""

    def __init__(self, receive: int, send: int) -> None:
        super().__init__(receive, send)
        self._adopted: dict[int, Remote] = {}
        self.last: list[Any] = []
        """What the last call of this test returned, if there was one."""

    def answer(self, operation: str, target: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if operation == "call" and callable(target) and not isinstance_remote(target):
            return target(*arguments, **keywords)
        if operation == "next":
            return next(target)
        raise TypeError(f"no such operation: {operation}")

    def target(self, data: Any) -> Any:
        """What a test has handed over, by its handle. Not by name: a program that calls the judge's own ``type`` makes
        an object there that equals everything, and whose methods are told what it is compared with."""
        if not isinstance(data, list) or data[:1] != ["m"]:
            raise TypeError("not what a test has handed over")
        return self.unpack(data)

    def named(self, module: str, name: str) -> Any:
        """A built-in type, but for the one that makes types: a function of the test may call what it is given."""
        value = super().named(module, name)
        assert value is not type
        return value

    def adopt(self, handle: int, label: str, base: str) -> Any:
        remote = self._adopted.get(handle)
        if remote is None:
            remote = self._adopted[handle] = Remote(self, handle, label, base)
        return _awaitable(remote) if base == "coroutine" else remote

    def export(self, value: Any) -> list[Any]:
        name = standard_name(value)
        if name is not None:
            return ["b", *name]
        if hasattr(type(value), "__next__"):
            return self.handle(value, "iterator", "iterator")
        if callable(value) and not hasattr(value, "assertEqual"):
            return self.handle(value, "function", "callable")
        raise Unfit(f"hands the program an object of the class {type(value).__name__}")

    def pack(self, value: Any, *, key: bool = False) -> Any:
        return ["m", handle_of(value)] if isinstance_remote(value) else super().pack(value, key=key)

    def printed(self, text: Any) -> None:
        if text:
            sys.stdout.write(str(text))

    def ask(self, operation: str, target: Any, arguments: Any = (), keywords: Any = None) -> Any:
        value = super().ask(operation, target, arguments, keywords)
        if operation == "call":
            self.last = [value]
        return value

    def names(self) -> dict[str, list[str]]:
        """What the program defines; raises Foreign if it could not be loaded."""
        value = self._outcome(self._read(), [], {})
        if not isinstance(value, dict):
            raise Broken("sent what is no message")
        return value


async def _awaitable(remote: Remote) -> Any:
    return ask(remote, "await")


# ---- Names -----------------------------------------------------------------------------------------------------------


def wanted(codes: list[str], defined: set[str]) -> set[str]:
    """Which of the names that the program defines the tests mean by what they say.

    Built-in functions are the judge's own, as are modules of the standard library where a test looks into them: a
    program that defines its own ``abs``, ``all`` or ``math`` does not change how it is judged. Only if no other name
    is left, the functions to be tested have these names (``assert max(1, 2) == 2``).
    """
    used = mentioned(codes) & defined
    return used - set(dir(builtins)) - modules(codes, used) - _COMPARES or used


def modules(codes: list[str], used: set[str]) -> set[str]:
    """Of these names those of modules of the standard library."""
    found = used & sys.stdlib_module_names
    return found - _called(codes) if found else found


def mentioned(codes: list[str]) -> set[str]:
    """Names that the tests use and do not define."""
    used: set[str] = set()
    own: set[str] = set()
    for code in codes:
        table = symtable.symtable(code, "test", "exec")
        for symbol in table.get_symbols():
            (own if symbol.is_assigned() or symbol.is_imported() else used).add(symbol.get_name())
        used |= _globals(table)
    return used - own


def _globals(table: symtable.SymbolTable) -> set[str]:
    """Global names that the functions and classes in it look at."""
    names = {
        symbol.get_name() for child in table.get_children() for symbol in child.get_symbols() if symbol.is_global()
    }
    return names.union(*map(_globals, table.get_children()))


def _called(codes: list[str]) -> set[str]:
    """Names that are called as functions, as ``trace(matrix)`` is, which is no module here."""
    import ast  # takes 11 ms, and is seldom needed

    nodes = [node for code in codes for node in ast.walk(ast.parse(code))]
    return {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


def prepare(judge: Judge, defined: dict[str, list[str]], used: set[str], imported: set[str]) -> dict[str, Any]:
    """The namespace that all tests of the problem share. A module that they use and the program has ``imported`` is
    there too, as it would be in one namespace, but the judge's own."""
    space: dict[str, Any] = {"__name__": "test", "__builtins__": builtins}
    space |= {name: __import__(name) for name in sorted(imported)}
    for name in sorted(used):
        kind = exception_class(list(defined[name])) if defined[name] else None
        value = kind if kind is not None else judge.ask("global", name)
        space[name] = names_class(value) if name.lstrip("_")[:1].isupper() else value
    return space


# ---- Running ---------------------------------------------------------------------------------------------------------


def run(judge: Judge, tests: list[tuple[int, str]], say: Any) -> tuple[str, str]:
    """Outcome and reason."""
    compiled = []
    for number, code in tests:
        try:
            compiled.append(compile(code, f"<test {number}>", "exec", dont_inherit=True))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return "unverifiable", f"test {number} cannot be read: {type(error).__name__}: {_short(str(error))}"
    try:
        defined = judge.names()
    except Foreign as foreign:
        name, text = foreign.names[0], foreign.arguments[0] if foreign.arguments else ""
        return "wrong", f"the program fails as it is loaded: {name}: {_short(str(text))}"
    except Broken as error:
        return "wrong", f"the program {error} as it was loaded"
    codes = [code for _, code in tests]
    used = wanted(codes, set(defined))
    space = prepare(judge, defined, used, modules(codes, mentioned(codes) & set(defined)) - used)
    constants = {name for name in used if not isinstance_remote(space[name])}  # they are there without a call
    before = judge.asked
    for (number, code), test in zip(tests, compiled, strict=True):
        say(number)
        verdict = _run_one(judge, number, code, test, space, constants)
        if verdict is not None:
            return verdict
    if judge.asked == before and not constants:
        return "unverifiable", "the tests never call the program"
    return "right", ""


def _run_one(
    judge: Judge, number: int, code: str, test: CodeType, space: dict[str, Any], constants: set[str]
) -> tuple[str, str] | None:
    """None if the test passes."""
    asked = judge.asked
    judge.last = []
    name = f"<test {number}>"
    try:
        exec(test, space)
        return None
    except Unfit as error:
        return "unverifiable", f"test {number} {error}"
    except Broken as error:
        return "wrong", f"test {number}: {_line(error, name, code)}: the program {error}"
    except ProgramExit as error:
        return "wrong", f"test {number}: {_line(error, name, code)}: the program raised {error}"
    except BaseException as error:
        what = "" if type(error) is AssertionError else f": {type(error).__name__}: {_short(str(error))}"
        # A name that is missing is one that the program should have defined.
        if judge.asked == asked and not isinstance(error, NameError) and not constants & wanted([code], constants):
            return "unverifiable", f"test {number} fails without the program: {_line(error, name, code)}{what}"
        return "wrong", f"test {number}: {_line(error, name, code)}{what}{_returned(judge)}"


def _returned(judge: Judge) -> str:
    """What the program said last, for the reason."""
    if not judge.last:
        return ""
    [value] = judge.last
    try:
        shown = f"an object of the class {label_of(value)}" if isinstance_remote(value) else _short(repr(value), 60)
    except BaseException:  # a number of too many digits, an object of a program that has ended
        return ""
    return f" (last returned: {shown})"


def _line(error: BaseException, name: str, code: str) -> str:
    """The line of the test in which it failed."""
    found, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            found = trace.tb_lineno
        trace = trace.tb_next
    lines = code.split("\n")
    return _short(lines[found - 1].strip()) if 0 < found <= len(lines) else "?"


def _short(text: str, limit: int = 120) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def main(arguments: list[str]) -> None:
    """``arguments``: the file with the tests, where to send questions, limits. Answers come on standard input."""
    descriptor, send, *limits = arguments
    confine(limits)
    receive, verdict = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    tests = loads(source_of(int(descriptor)))

    def say(value: Any) -> None:
        os.write(verdict, dumps(value).encode() + b"\n")

    try:
        say(run(Judge(receive, int(send)), tests, say))
    except Broken as error:
        say(("wrong", f"the program {error}"))
    os._exit(0)  # nothing is left to tidy up
