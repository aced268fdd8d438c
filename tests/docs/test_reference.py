"""The reference says what the code says now, and leaves nothing out that a plug-in author needs.

What has to be on the pages is written here by hand, from the specs and Protocols themselves: a generator that forgot
something would agree with its own pages.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import saidpo_core
from saidpo_core import components, hookspecs
from saidpo_core.conformance import checks_of
from saidpo_core.events import StageEvent
from saidpo_core.hookspecs import KINDS
from saidpo_core.options import OptionSpec, specs_of
from saidpo_core.registry import load_registry
from saidpo_core.settings import RunOptions
from tests.docs.pages import DOCS, ROOT

REFERENCE = DOCS / "reference"
HOOKS = [name for name in vars(hookspecs) if name.startswith("saidpo_")]
PROTOCOLS = {kind: re.search(r"\[(\w+)\]\]", getattr(hookspecs, hook).__annotations__["return"])[1]  # type: ignore[index]
             for kind, hook in KINDS.items()}  # fmt: skip
BUNDLED = [offer for offer in load_registry().offers if offer.bundled]
OFFERS = [offer for offer in BUNDLED if offer.kind in KINDS]
OBSERVERS = [offer for offer in BUNDLED if offer.kind == "observer"]


def pages_below(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.md"))}


def test_the_committed_pages_are_those_that_the_script_writes(tmp_path: Path) -> None:
    elsewhere = {"HOME": str(tmp_path / "home"), "SAIDPO_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    environment = {**os.environ, **elsewhere, "PYTHONHASHSEED": "7", "COLUMNS": "40", "LANG": "C"}
    command = [sys.executable, str(DOCS / "generate.py"), "--out", str(tmp_path / "pages")]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    written, committed = pages_below(tmp_path / "pages"), pages_below(REFERENCE)
    changed = [name for name in {**written, **committed} if written.get(name) != committed.get(name)]
    assert not changed, f"docs/reference is not what the code says now ({', '.join(changed)}): python docs/generate.py"


def test_the_default_of_an_option_that_is_a_path_of_this_machine_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import generate  # type: ignore[import-not-found]

    home = OptionSpec("cache", Path, Path.home() / "cache", "", None, None)
    assert generate.default_of(home) == "depends on the machine"
    assert generate.default_of(dataclasses.replace(home, default=Path("runs"))) == "`runs`"


def signature(function: Callable[..., Any]) -> str:
    """``name(a: int, *, b: str = 'x') -> None`` without white space and quotes, from the live object."""
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        annotation = "" if parameter.annotation is parameter.empty else f":{parameter.annotation}"
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(f"{parameter.name}{annotation}{default}")
    return squeezed(f"{function.__name__}({','.join(parts)})->{inspect.signature(function).return_annotation}")


def squeezed(text: str) -> str:
    return re.sub(r"[\s'\"]", "", text).replace(",)", ")")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_signature(name: str) -> None:
    page = (REFERENCE / "hooks.md").read_text()
    hook = getattr(hookspecs, name)
    assert f"\n### {name}\n" in page
    assert f"def{signature(hook)}" in squeezed(page), f"docs/reference/hooks.md lacks the signature of {name}"
    first = inspect.getdoc(hook).splitlines()[0].replace("``", "`")  # type: ignore[union-attr]
    assert first in page


def test_a_signature_that_differs_would_be_missed() -> None:
    def saidpo_after_round(row: dict[str, Any], run: Path) -> None: ...

    assert f"def{signature(saidpo_after_round)}" not in squeezed((REFERENCE / "hooks.md").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_of_every_protocol_is_documented_with_its_signature(kind: str) -> None:
    page = (REFERENCE / f"kinds/{kind}.md").read_text()
    protocol = getattr(components, PROTOCOLS[kind])
    methods = [item for name, item in vars(protocol).items() if inspect.isfunction(item) and not name.startswith("_")]
    assert methods
    for method in methods:
        assert f"def{signature(method)}" in squeezed(page), f"docs/reference/kinds/{kind}.md: {method.__qualname__}"
        assert method.__doc__.strip().splitlines()[0].replace("``", "`") in page


@pytest.mark.parametrize(
    ("kind", "extra"), [("generator", components.ChecksPrompts), ("evaluator", components.BringsProblems)]
)
def test_what_a_component_may_do_besides_is_documented_with_its_kind(kind: str, extra: type) -> None:
    page = (REFERENCE / f"kinds/{kind}.md").read_text()
    methods = [item for name, item in vars(extra).items() if inspect.isfunction(item) and not name.startswith("_")]
    assert methods
    for method in methods:
        assert f"def{signature(method)}" in squeezed(page), method.__qualname__


@pytest.mark.parametrize("kind", ["generator", "evaluator"])
def test_the_engine_is_documented_where_it_is_made_and_where_it_is_used(kind: str) -> None:
    page = (REFERENCE / f"kinds/{kind}.md").read_text()
    assert f"def{signature(components.Engine.generate)}" in squeezed(page)


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: f"{offer.kind}/{offer.component.name}")
def test_every_bundled_component_is_documented_with_its_options(offer: Any) -> None:
    page = (REFERENCE / f"kinds/{offer.kind}.md").read_text()
    section = re.split(r"\n(?=### |## Conformance)", page.split("## Bundled components")[1])
    (mine,) = [text for text in section if text.startswith(f"### {offer.component.name}\n")]
    assert offer.component.source in mine
    for spec in specs_of(offer.component.options):
        assert f"| `--{offer.kind}.{spec.name}` |" in mine
    for other in OFFERS:  # the options of another component of the kind are not among them
        names = {spec.name for spec in specs_of(other.component.options)}
        for name in names - {spec.name for spec in specs_of(offer.component.options)}:
            assert f"| `--{offer.kind}.{name}` |" not in mine


@pytest.mark.parametrize("offer", OBSERVERS, ids=lambda offer: offer.component.name)
def test_every_observer_that_can_be_chosen_is_documented_with_its_options(offer: Any) -> None:
    page = (REFERENCE / "hooks.md").read_text()
    assert f"\n### {offer.component.name}\n" in page
    assert f"saidpo[{offer.component.extra}]" in page
    for spec in specs_of(offer.component.options):
        assert f"| `--observers.{offer.component.name}.{spec.name}` |" in page


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_is_documented_with_its_promise(kind: str) -> None:
    for check in checks_of(kind):
        page = REFERENCE / (f"kinds/{kind}.md" if check.kind else "checks.md")
        promise = check.promise.replace("``", "`").replace("<", "&lt;")
        assert f"| `{check.name}` | {promise} |" in page.read_text()


def test_every_field_of_every_record_is_documented() -> None:
    page = (REFERENCE / "records.md").read_text()
    public = [getattr(saidpo_core, name) for name in saidpo_core.__all__]
    for record in [StageEvent, *(item for item in public if inspect.isclass(item) and dataclasses.is_dataclass(item))]:
        section = page.split(f"\n## {record.__name__}\n")[1].split("\n## ")[0]
        for field in dataclasses.fields(record):
            assert f"| `{field.name}` |" in section, f"{record.__name__}.{field.name}"


def test_every_option_of_the_run_is_documented() -> None:
    page = (REFERENCE / "settings.md").read_text()
    for spec in specs_of(RunOptions):
        assert f"| `--{spec.name.replace('_', '-')}` |" in page


def test_every_environment_variable_is_documented() -> None:
    page = (REFERENCE / "settings.md").read_text()
    files = [path for folder in ("saidpo_core", "plugins") for path in (ROOT / folder).rglob("*.py")]
    names = {name for path in files for name in re.findall(r"(?<![A-Z_])SAIDPO_[A-Z_]+\b", path.read_text())}
    assert "SAIDPO_CACHE" in names
    missing = [name for name in sorted(names) if f"| `{name}` |" not in page]
    assert not missing, f"docs/templates/settings.md lacks {', '.join(missing)}; then: python docs/generate.py"


def test_the_navigation_has_every_page_and_the_kinds_in_their_order() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = [page for entry in navigation for value in entry.values() for page in _pages(value)]
    assert sorted(listed) == sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md") if "templates" not in p.parts)
    assert [page for page in listed if "/kinds/" in page] == [f"reference/kinds/{kind}.md" for kind in KINDS]


def _pages(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [page for entry in value for page in entry.values()]


def test_docstrings_become_markdown_that_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import markup  # type: ignore[import-not-found]

    told = "kappa * e < 1 for ``a*b|c``, **ours**:\n\n* one * two\n\n    e_c = x * y < 1"
    assert markup.markdown(told) == "kappa \\* e &lt; 1 for `a*b|c`, **ours**:\n\n* one \\* two\n\n    e_c = x * y < 1"
    assert markup.cell("``a|b`` or\n``c``|d") == "<code>a&#124;b</code> or `c`&#124;d"
