"""``saidpo new-plugin``: a package of one's own that installs, passes the checks, and has one idea to change.

``templates/KIND.py.txt`` is the component of a kind; a new kind needs one more file there and nothing else.
"""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import click

import saidpo_core
from saidpo_core.errors import UsageError
from saidpo_core.hookspecs import KINDS
from saidpo_core.options import nearest
from saidpo_core.registry import Registry
from saidpo_core.run_dir import disk_errors

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PREFIX = "saidpo-"


def write_package(registry: Registry, package: str, kind: str, where: Path) -> Path:
    """Write the package into ``where/package``, whole or not at all; returns that folder.

    The component's name is the package's without ``saidpo-``. Raises ``UsageError`` for a name that cannot be used,
    an unknown kind, or a folder that is there already.
    """
    if kind not in KINDS:
        raise UsageError(f"--kind={kind}: unknown kind.{nearest(kind, KINDS)} Kinds: {', '.join(KINDS)}")
    if not _NAME.fullmatch(package):
        raise UsageError(f"{package!r}: expected lower-case letters, digits and dashes, such as saidpo-areas")
    name = package.removeprefix(PREFIX)
    bundled = [offer.component.name for offer in registry.of_kind(kind) if offer.bundled]
    if name in bundled:
        raise UsageError(f"{package}: saidpo itself has a {kind} {name!r}, which that name would mean; choose another")
    _refuse_names_of_others(package)
    folder = where / package
    if folder.exists():
        raise UsageError(f"{folder} is there already; choose another name, or another --dir")
    with disk_errors(folder):
        try:
            for path, text in _contents(package, name, kind).items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def _refuse_names_of_others(package: str) -> None:
    """Installed under such a name, the new package would replace another one, or stand before it."""
    module = package.replace("-", "_")
    said = f"{package}: Python has a {{}} of that name already; choose another"
    if module in sys.stdlib_module_names:
        raise UsageError(said.format("module"))
    with suppress(PackageNotFoundError):
        distribution(package)
        raise UsageError(said.format("package"))
    spec = find_spec(module)
    if spec is not None and spec.origin:  # not a folder that happens to lie here
        raise UsageError(said.format(f"module {module}"))


def _contents(package: str, name: str, kind: str) -> dict[str, str]:
    """Path in the package -> text."""
    module, kind_module = package.replace("-", "_"), kind.replace("-", "_")
    names = {
        "package": package,
        "name": name,
        "kind": kind,
        "module": module,
        "kind_module": kind_module,
        "cls": "".join(part.capitalize() if part[0].isalpha() else f"N{part}" for part in name.split("-")),
        "version": saidpo_core.__version__,
        "article": _article(kind).capitalize(),
    }
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{module}/{kind_module}.py": f"{kind_module}.py",
        "tests/test_conformance.py": "test_conformance.py",
    }
    folder = files(__name__) / "templates"
    made = {
        path: Template((folder / f"{template}.txt").read_text(encoding="utf-8")).substitute(names)
        for path, template in templates.items()
    }
    return {**made, f"src/{module}/__init__.py": "", f"src/{module}/py.typed": ""}


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"


def tell(folder: Path, package: str, kind: str) -> None:
    """What was written, and what to do next."""
    name, module = package.removeprefix(PREFIX), package.replace("-", "_")
    click.echo(f"wrote {folder}: {_article(kind)} {kind} called {name}\n")
    for command, why in (
        (f"pip install -e {folder}", "install it, once"),
        (f"saidpo check {package}", "does it keep its promises?"),
        (f"saidpo --{kind}={name}", "run with it"),
    ):
        click.echo(f"  {command:<40}  {why}")
    source = folder / "src" / module / f"{kind.replace('-', '_')}.py"
    click.echo(f"\nthe idea to change is marked in {source}")
