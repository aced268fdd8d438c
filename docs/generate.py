"""Writes the reference pages from the code: hooks, kinds, checks, records, settings.

    python docs/generate.py              into docs/reference
    python docs/generate.py --out DIR    elsewhere

The pages depend on the code and on the bundled components alone: not on the machine, on what else is installed, or on
optional packages. Components are found through their entry points, so a new one needs nothing here. What is not in the
code stands in ``docs/templates``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markup import cell, code_cell, fenced, markdown, table
from reading import Class, Field, Function, source

from saidpo_core.conformance import Check, checks_of
from saidpo_core.discovery import BUNDLED
from saidpo_core.hookspecs import KINDS
from saidpo_core.kind_options import core_options
from saidpo_core.options import OptionSpec, shown, specs_of
from saidpo_core.records import Policy
from saidpo_core.registry import Offer, Registry, load_registry
from saidpo_core.settings import RunOptions

DOCS = Path(__file__).parent
NOTICE = "<!-- Written by docs/generate.py from the code; do not edit. -->\n"
MODULES = ("saidpo_core.records", "saidpo_core.components", "saidpo_core.planning.records", "saidpo_core.events")
PLANNED = ("PoolSize", "GenerationEstimate", "TrainingEstimate")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the reference pages from the code.")
    parser.add_argument("--out", type=Path, default=DOCS / "reference", help="folder of the pages")
    out = parser.parse_args().out
    pages = dict(all_pages(load_registry()))
    for old in out.rglob("*.md"):  # of a kind that is no more
        if old.read_text(encoding="utf-8").startswith(NOTICE):
            old.unlink()
    for name, text in pages.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(NOTICE + text.strip() + "\n", encoding="utf-8")


def all_pages(registry: Registry) -> Iterator[tuple[str, str]]:
    """Path below ``docs/reference`` and text of each page."""
    yield "hooks.md", hooks_page(registry)
    yield "checks.md", checks_page()
    yield "records.md", records_page()
    yield "settings.md", settings_page(registry)
    for kind in KINDS:
        yield f"kinds/{kind}.md", kind_page(registry, kind)


# Hooks ----------------------------------------------------------------------------------------------------------------


def hooks_page(registry: Registry) -> str:
    specs = hook_specs()
    rows = [
        [f"[{kind}](kinds/{kind}.md)", f"`--{kind}`", f"[`{hook}`](#{hook})", names_of(registry, kind)]
        for kind, hook in KINDS.items()
    ]
    return filled(
        "hooks.md",
        kinds=table(["kind", "flag", "hook", "bundled, the default first"], rows),
        offering="\n\n".join(offering_section(spec) for spec in specs if offers(spec)),
        observing="\n\n".join(section(spec, spec.name) for spec in specs if not offers(spec)),
        observers="\n\n".join(map(observer_section, bundled(registry, "observer"))),
        observer=fenced("python", (DOCS / "examples/observer.py").read_text(encoding="utf-8")),
    )


@cache
def hook_specs() -> list[Function]:
    return source("saidpo_core.hookspecs").functions("hookspec")


def offers(spec: Function) -> bool:
    """Whether this hook offers something; the others observe."""
    return spec.result.startswith(("list[Component", "list[Policy"))


def observer_section(offer: Offer) -> str:
    """A bundled observer that can be chosen, with its options."""
    specs = specs_of(offer.component.options)
    names = [offer.option_flag(spec.name).removeprefix("--") for spec in specs]
    parts = [f"### {offer.component.name}", markdown(source(offer.owner.module.partition(":")[0]).doc)]
    if offer.component.needs:
        parts.append(f"Needs `pip install 'saidpo[{offer.component.extra}]'`.")
    return "\n\n".join([*parts, options_table(names, specs)] if specs else parts)


def offering_section(spec: Function) -> str:
    kind = {hook: kind for kind, hook in KINDS.items()}.get(spec.name)
    others = {
        "saidpo_policies": "Of what: [`Policy`](records.md#policy).",
        "saidpo_observers": "Those that come with saidpo: [below](#observers-that-are-chosen).",
    }
    promises = f"What {a(kind)} promises: [{kind}](kinds/{kind}.md)." if kind else others[spec.name]
    return f"{section(spec, spec.name)}\n\n{promises}"


def section(function: Function, title: str) -> str:
    """Heading, signature and docstring."""
    signature = f"<!-- not run: a signature -->\n{fenced('python', function.signature)}"
    return f"### {title}\n\n{signature}\n\n{markdown(function.doc)}"


def names_of(registry: Registry, kind: str) -> str:
    return ", ".join(f"`{offer.component.name}`" for offer in bundled(registry, kind))


def bundled(registry: Registry, kind: str) -> list[Offer]:
    """The bundled components of a kind, the default first, the others by name."""
    offers = [offer for offer in registry.of_kind(kind) if offer.bundled]
    return sorted(offers, key=lambda offer: (not offer.default, offer.component.name))


# Kinds ----------------------------------------------------------------------------------------------------------------


def kind_page(registry: Registry, kind: str) -> str:
    classes = source("saidpo_core.components").classes
    contract = [classes[protocol_of(kind)], *helpers(classes, protocol_of(kind))]
    offers = bundled(registry, kind)
    hook, default = KINDS[kind], offers[0].component.name
    parts = [
        f"# {words(kind).capitalize()}",
        markdown(contract[0].doc),
        f"Offered by [`{hook}`](../hooks.md#{hook}); chosen with `--{kind}=NAME`; by default `{default}`.",
        "## Contract",
        *methods_of(contract[0]),
    ]
    for helper in contract[1:]:
        fields = [fields_table(helper.fields)] if helper.fields else []
        parts += [f"### {helper.name}", markdown(helper.doc), *fields, *methods_of(helper)]
    planned = classes.get(f"{protocol_of(kind)}Plan")
    parts += plan_section(planned) if planned else []
    parts += [*links_to_records(contract), "## Bundled components", *map(component_section, offers)]
    return "\n\n".join([*parts, *core_section(kind), *conformance_section(kind)])


def plan_section(planned: Class) -> list[str]:
    """What a component of this kind may say before a run: ``Component(plan=...)``."""
    records = ", ".join(f"[`{name}`](../records.md#{name.lower()})" for name in PLANNED if mentions(planned.doc, name))
    head = "Optional: `Component(plan=...)`, for [`saidpo --dry-run`](../../machines.md)."
    return ["### Planning", head, markdown(planned.doc), *([f"Gives {records}."] if records else [])]


def protocol_of(kind: str) -> str:
    """The Protocol that the hook of a kind promises: ``Clusterer`` of ``list[Component[Clusterer]]``."""
    result = next(spec.result for spec in hook_specs() if spec.name == KINDS[kind])
    found = re.fullmatch(r"list\[Component\[(\w+)\]\]", result)
    if found is None:
        raise SystemExit(f"saidpo_core/hookspecs.py: {KINDS[kind]} has to return list[Component[...]], not {result}")
    return found[1]


def helpers(classes: dict[str, Class], protocol: str) -> list[Class]:
    """Classes that belong to a Protocol and are no kind of their own: what its methods speak of (its job, its engine),
    and what a component may offer besides (a Protocol made from it)."""
    kinds = {protocol_of(kind) for kind in KINDS}
    spoken = " ".join(method.signature for method in classes[protocol].methods)
    own = {name: item for name, item in classes.items() if name not in kinds}
    return [item for name, item in own.items() if mentions(spoken, name) or protocol in item.bases]


def methods_of(item: Class) -> list[str]:
    return [section(method, f"{item.name}.{method.name}") for method in item.methods]


def links_to_records(contract: Sequence[Class]) -> list[str]:
    signatures = [method.signature for item in contract for method in item.methods]
    spoken = " ".join([*signatures, *(field.type for item in contract for field in item.fields)])
    shown = {item.name for item in contract}
    names = [name for name in dataclasses_by_name() if mentions(spoken, name) and name not in shown]
    links = ", ".join(f"[`{name}`](../records.md#{name.lower()})" for name in names)
    return [f"Records: {links}."] if names else []


def mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def component_section(offer: Offer) -> str:
    component = offer.component
    facts = [f"summary: {cell(component.summary)}", f"source: {cell(component.source)}"]
    facts += ["used by default"] if offer.default else []
    facts += [f"domains: {', '.join(f'`{name}`' for name in component.domains)}"] if component.domains else []
    facts += ["its results depend on the order of its input"] if component.order_matters else []
    facts += ["cannot be pickled"] if not component.picklable else []
    told = markdown(source(offer.owner.module.partition(":")[0]).doc)
    specs = specs_of(component.options)
    options = options_table([f"{offer.kind}.{spec.name}" for spec in specs], specs) if specs else "No options."
    return "\n\n".join([f"### {component.name}", "\n".join(f"- {fact}" for fact in facts), told, options])


def core_section(kind: str) -> list[str]:
    """The options that the core heeds whichever component of the kind was chosen."""
    core = core_options(kind)
    specs = specs_of(core)
    if not specs:
        return []
    told = f"Every {words(kind)} has these beside its own; the core heeds them."
    doc = markdown(source(core.__module__).classes[core.__name__].doc)
    return ["## Options of all", told, doc, options_table([f"{kind}.{spec.name}" for spec in specs], specs)]


# Checks ---------------------------------------------------------------------------------------------------------------


def checks_page() -> str:
    rows = [[f"[{kind}](kinds/{kind}.md#conformance)", names_of_checks(own_checks(kind))] for kind in KINDS]
    shared = [item for item in checks_of(next(iter(KINDS))) if item.kind is None]
    return filled("checks.md", shared=checks_table(shared), own=table(["kind", "checks"], rows))


def conformance_section(kind: str) -> list[str]:
    shared = "those of a [component of any kind](../checks.md)"
    own = own_checks(kind)
    if not own:
        return ["## Conformance", f"`saidpo check {kind}` puts it to {shared}."]
    return ["## Conformance", f"`saidpo check {kind}` puts it to these checks, and to {shared}.", checks_table(own)]


def own_checks(kind: str) -> list[Check]:
    return [item for item in checks_of(kind) if item.kind == kind]


def checks_table(checks: Sequence[Check]) -> str:
    return table(["check", "promise"], [[f"`{item.name}`", cell(item.promise)] for item in checks])


def names_of_checks(checks: Sequence[Check]) -> str:
    return ", ".join(f"`{item.name}`" for item in checks)


# Records --------------------------------------------------------------------------------------------------------------


def dataclasses_by_name() -> dict[str, Class]:
    """What plug-ins give and take; Protocols are on the pages of the kinds."""
    classes = [item for module in MODULES for item in source(module).classes.values()]
    return {item.name: item for item in classes if item.is_dataclass}


def records_page() -> str:
    aliases = [alias for module in MODULES for alias in source(module).aliases()]
    rows = [[f"`{alias.name}`", code_cell(alias.type), cell(alias.doc)] for alias in aliases]
    return filled(
        "records.md",
        records="\n\n".join(record_section(item) for item in dataclasses_by_name().values()),
        aliases=table(["name", "type", "what it is"], rows),
    )


def record_section(item: Class) -> str:
    parts = [f"## {item.name}", markdown(item.doc)]
    parts += [fields_table(item.fields)] if item.fields else []
    properties = [[f"`{m.name}`", code_cell(m.result), cell(m.doc)] for m in item.methods if m.is_property]
    parts += [table(["property", "type", "what it is"], properties)] if properties else []
    return "\n\n".join(parts)


def fields_table(fields: Sequence[Field]) -> str:
    rows = [[f"`{f.name}`", code_cell(f.type), code_cell(f.default) or "required", cell(f.doc)] for f in fields]
    return table(["field", "type", "default", "what it is"], rows)


# Settings -------------------------------------------------------------------------------------------------------------


def settings_page(registry: Registry) -> str:
    specs = specs_of(RunOptions)
    rows = [[f"`--{kind}`", names_of(registry, kind), f"[{kind}](kinds/{kind}.md)"] for kind in KINDS]
    return filled(
        "settings.md",
        run=options_table([spec.name.replace("_", "-") for spec in specs], specs),
        components=table(["flag", "bundled, the default first", "contract and options"], rows),
        advice="\n\n".join(advice_section(policy) for policy in bundled_policies(registry)),
    )


def bundled_policies(registry: Registry) -> list[Policy]:
    """Those with settings of their own, by name."""
    impls: list[Any] = registry.manager.hook.saidpo_policies.get_hookimpls()
    ours = [impl.function for impl in impls if impl.plugin_name.split()[0] == BUNDLED]
    policies = [policy for offered in ours for policy in offered() if policy.settings]
    return sorted(policies, key=lambda policy: policy.name)


def advice_section(policy: Policy) -> str:
    rows = [[f"`--{key}`", f"`{value}`"] for key, value in policy.settings.items()]
    return f"### {policy.name}\n\n- summary: {cell(policy.summary)}\n\n{table(['flag', 'advised'], rows)}"


def options_table(names: Sequence[str], specs: Sequence[OptionSpec]) -> str:
    rows = [
        [f"`--{name}`", type_of(spec), default_of(spec), spec.bounds_text, cell(spec.help)]
        for name, spec in zip(names, specs, strict=True)
    ]
    return table(["option", "type", "default", "bounds", "what it does"], rows)


def type_of(spec: OptionSpec) -> str:
    def listed(kind: str) -> str:
        return ", ".join(f"`{item}`" if "|" in kind else item for item in kind.split("|"))

    return " or ".join(map(listed, spec.type_text.split(" or ")))


def default_of(spec: OptionSpec) -> str:
    """As one would type it; a path of the machine on which this runs has no place in the pages."""
    if isinstance(spec.default, Path) and spec.default.is_absolute():
        return "depends on the machine"
    return f"`{shown(spec.default)}`" if shown(spec.default) else "none"


# Text -----------------------------------------------------------------------------------------------------------------


def filled(template: str, **inserts: str) -> str:
    """The template with the line ``<!-- insert: NAME -->`` replaced by what is given under that name."""
    text = (DOCS / "templates" / template).read_text(encoding="utf-8")
    return re.sub(r"<!-- insert: (\w+) -->", lambda found: inserts[found[1]], text)


def words(kind: str) -> str:
    return kind.replace("-", " ")


def a(kind: str) -> str:
    """``a clusterer``, ``an embedder``."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {words(kind)}"


if __name__ == "__main__":
    main()
