"""Reading the code for ``generate.py``: signatures, docstrings and fields, word for word as the source has them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

_WIDTH = 80


@dataclass(frozen=True)
class Function:
    """A function or method. ``signature`` is what stands from ``def`` to the colon."""

    name: str
    signature: str
    doc: str
    is_property: bool

    @property
    def result(self) -> str:
        """The type that it returns, as its source says it."""
        return self.signature.rpartition("->")[2].strip()


@dataclass(frozen=True)
class Field:
    """A field of a dataclass. ``default`` is empty if it has none."""

    name: str
    type: str
    default: str
    doc: str


@dataclass(frozen=True)
class Class:
    """A class, with its fields and public methods."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    methods: tuple[Function, ...]
    is_dataclass: bool
    bases: tuple[str, ...]


@cache
def source(module: str) -> Source:
    """The source of one module, read once."""
    return Source(module)


class Source:
    """The source of one module. Make one with ``source``."""

    def __init__(self, module: str) -> None:
        spec = find_spec(module)
        origin = spec.origin if spec else None
        if origin is None:
            raise SystemExit(f"{module}: no such module, or it has no source file")
        self.text = Path(origin).read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.tree) or ""

    def functions(self, decorator: str) -> list[Function]:
        """Its functions with this decorator, in order."""
        nodes = (node for node in self.tree.body if isinstance(node, ast.FunctionDef))
        return [self._function(node) for node in nodes if decorator in self._decorators(node)]

    @cached_property
    def classes(self) -> dict[str, Class]:
        """Its public classes by name, in order."""
        nodes = (node for node in self.tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
        return {node.name: self._class(node) for node in nodes}

    def aliases(self) -> list[Field]:
        """Names for types (``Outcome = Literal[...]``): capitalised, not in upper case, assigned at top level."""
        found = []
        guarded = [node.body for node in self.tree.body if isinstance(node, ast.If)]  # if TYPE_CHECKING
        for node, doc in (item for body in [*guarded, self.tree.body] for item in _with_docs(body)):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name[0].isupper() and not name.isupper() and not isinstance(node.value, ast.Call):
                    found.append(Field(name, self._segment(node.value), "", doc))
        return found

    def _class(self, node: ast.ClassDef) -> Class:
        methods = (item for item in node.body if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"))
        return Class(
            node.name,
            ast.get_docstring(node) or "",
            (*self._inherited(node), *self._fields(node)),
            tuple(self._function(item) for item in methods),
            any("dataclass" in item for item in self._decorators(node)),
            tuple(self._segment(base) for base in node.bases),
        )

    def _inherited(self, node: ast.ClassDef) -> Iterator[Field]:
        """Fields of the classes of this module that it comes from."""
        named = {base.id for base in node.bases if isinstance(base, ast.Name)}
        for item in self.tree.body:
            if isinstance(item, ast.ClassDef) and item.name in named:
                yield from self._fields(item)

    def _fields(self, node: ast.ClassDef) -> Iterator[Field]:
        for item, doc in _with_docs(node.body):
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                default = self._segment(item.value) if item.value else ""
                factory = re.fullmatch(r"field\(default_factory=(\w+)\)", default)
                default = {"dict": "{}", "list": "[]"}.get(factory[1], factory[1] + "()") if factory else default
                yield Field(item.target.id, self._segment(item.annotation), default, doc)

    def _function(self, node: ast.FunctionDef) -> Function:
        properties = {"property", "cached_property"} & set(self._decorators(node))
        return Function(node.name, self._signature(node), ast.get_docstring(node) or "", bool(properties))

    def _signature(self, node: ast.FunctionDef) -> str:
        """In one line, or in one line a parameter where that is too long for a page."""
        given = node.args
        defaults = [None] * (len(given.args) - len(given.defaults)) + given.defaults
        parameters = [self._parameter(arg, default) for arg, default in zip(given.args, defaults, strict=True)]
        named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
        parameters += ["*"] * bool(given.kwonlyargs) + [self._parameter(arg, default) for arg, default in named]
        result = f" -> {self._segment(node.returns)}" if node.returns else ""
        line = f"def {node.name}({', '.join(parameters)}){result}"
        lines = "".join(f"    {parameter},\n" for parameter in parameters)
        return line if len(line) <= _WIDTH else f"def {node.name}(\n{lines}){result}"

    def _parameter(self, arg: ast.arg, default: ast.expr | None) -> str:
        text = f"{arg.arg}: {self._segment(arg.annotation)}" if arg.annotation else arg.arg
        return text if default is None else f"{text} = {self._segment(default)}"

    def _decorators(self, node: ast.FunctionDef | ast.ClassDef) -> list[str]:
        return [self._segment(item) for item in node.decorator_list]

    def _segment(self, node: ast.AST) -> str:
        return re.sub(r"\s+", " ", ast.get_source_segment(self.text, node) or "")


def _with_docs(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Each statement with the text literal that follows it, empty if none does."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        yield node, inspect.cleandoc(text) if isinstance(text, str) else ""
