"""The kit itself: what a check is, what it is put to, and how its outcome is told.

A check is one promise, a function with a name and a docstring. Those of ``any_kind`` hold for every component; the
module named after a kind (``clusterer.py``, ``pair_builder.py``) holds that kind's own and says how to put it to work:

``inputs(subject)``   inputs by name: ``ordinary``, and what applies of ``one``, ``duplicates``, ``huge``, ...
``work(subject, component, input, seed)``   calls the component as the core does, checks its contract, and returns what
                      came of it as plain data, so that two results can be compared.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from saidpo_core.components import Trial
from saidpo_core.conformance.alone import report_of
from saidpo_core.contracts import blame
from saidpo_core.errors import MissingExtra, PluginError, SaidpoError
from saidpo_core.options import build_options
from saidpo_core.registry import Offer, Registry

Status = Literal["passed", "failed", "skipped", "missing", "absent"]
"""``skipped``: it means nothing for this component. ``absent``: nor for any other of its kind. ``missing``: an optional
package that the component needs is not installed."""


class Failed(Exception):
    """A promise was broken; the message says how."""


class NotApplicable(Exception):
    """The check means nothing for this component; the message says why."""


class NoSuchInput(Exception):
    """The check needs an input that this kind of component has not."""


@dataclass(frozen=True)
class Check:
    """One promise. ``kind`` is None for those of every kind."""

    name: str
    kind: str | None
    run: Callable[[Subject], None]

    @property
    def promise(self) -> str:
        """The first line of its docstring."""
        return (self.run.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True)
class Result:
    """What came of one check of one component."""

    offer: Offer
    check: Check
    status: Status
    message: str
    """How the promise was broken, or why the check was skipped."""
    seconds: float


_CHECKS: dict[tuple[str | None, str], Check] = {}
"""By kind and name: a module that is imported anew gives its checks once more."""


def check(kind: str | None) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Make a function a check of ``kind``, or of every kind."""

    def register(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        _CHECKS[kind, function.__name__] = Check(function.__name__, kind, function)
        return function

    return register


def checks_of(kind: str) -> list[Check]:
    """The checks of a kind: those of every kind first. A kind without a module of its own has just those."""
    import_module("saidpo_core.conformance.any_kind")
    kind_module(kind)
    return [item for item in _CHECKS.values() if item.kind in (None, kind)]


def kind_module(kind: str) -> Any:
    """The module of a kind, None if there is none."""
    name = f"saidpo_core.conformance.{kind.replace('-', '_')}"
    return import_module(name) if find_spec(name) else None


class Subject:
    """A component under check, with what its trial brings. Make one with ``subject_of``."""

    def __init__(self, offer: Offer, trial: Trial, policy: Path, folder: Path, stack: ExitStack) -> None:
        self.offer = offer
        self.trial = trial
        self.policy = policy
        """A small policy that loads and answers: a copy of the trial's, or else of the one that ships with saidpo."""
        self.folder = folder
        """For files; gone afterwards."""
        self._stack = stack
        self._results: dict[tuple[str, int], Any] = {}
        self.module = kind_module(offer.kind)

    @cached_property
    def options(self) -> Any:
        """The options of the trial, checked as those of a user are."""
        where = {key: f"trial of {self.offer}: {key}" for key in self.trial.options}
        return build_options(self.offer.component.options, self.trial.options, where)

    @cached_property
    def alone(self) -> dict[str, Any]:
        """What ``alone`` reports of it from a process of its own; run once, for all checks that look at it."""
        return report_of(self.offer)

    @cached_property
    def inputs(self) -> Mapping[str, Any]:
        return self.module.inputs(self) if self.module else {}

    def fresh(self) -> Any:
        """A newly built component; one with a ``close`` is closed when the checks are over."""
        with blame(self.offer, "build"):
            component = self.offer.component.build(self.options)
        if hasattr(component, "close"):
            self._stack.callback(_close, component)
        return component

    def input(self, name: str) -> Any:
        if name not in self.inputs:
            raise NoSuchInput(f"a {self.offer.kind} has no such input")
        return self.inputs[name]

    def work(self, component: Any, name: str, seed: int = 0) -> Any:
        """What the component makes of the input called ``name``, as plain data."""
        return self.module.work(self, component, self.input(name), seed)

    def result(self, name: str = "ordinary", seed: int = 0) -> Any:
        """The same of a fresh component; made once, as some of it takes seconds."""
        if (name, seed) not in self._results:
            self._results[name, seed] = self.work(self.fresh(), name, seed)
        return self._results[name, seed]

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


def _close(component: Any) -> None:
    """What it raises here is no matter of the check at hand."""
    with suppress(Exception):
        component.close()


@contextmanager
def subject_of(offer: Offer, registry: Registry) -> Iterator[Subject]:
    """The component, ready to be checked, in a temporary folder of its own."""
    shipped = next((policy.folder for policy in registry.policies if policy.default), None)
    offer.require_package()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="saidpo-check-", ignore_cleanup_errors=True))
        )
        policy, trial = folder / "policy", Trial()
        if offer.component.trial is not None:
            (folder / "trial").mkdir()
            with blame(offer, "trial"):
                trial = stack.enter_context(offer.component.trial(folder / "trial"))
        if source := trial.policy or shipped:
            shutil.copytree(source, policy)  # what is checked here may do anything to it
        yield Subject(offer, trial, policy, folder, stack)


def run_checks(offer: Offer, registry: Registry, names: Sequence[str] = ()) -> Iterator[Result]:
    """Put all checks of its kind (or those called ``names``) to a component; one result each, as they come."""
    checks = [item for item in checks_of(offer.kind) if not names or item.name in names]
    with ExitStack() as stack:
        try:
            subject = stack.enter_context(subject_of(offer, registry))
        except (SaidpoError, OSError) as error:
            status: Status = "missing" if isinstance(error, MissingExtra) else "failed"
            yield from (Result(offer, item, status, str(error), 0.0) for item in checks)
            return
        for item in checks:
            result = run_check(item, subject)
            if result.status != "absent":
                yield result


def run_check(item: Check, subject: Subject) -> Result:
    """Run one check. Whatever the component does, this comes back with a result."""
    started = time.perf_counter()
    status: Status = "passed"
    message = ""
    try:
        item.run(subject)
    except NotApplicable as error:
        status, message = "skipped", str(error)
    except MissingExtra as error:
        status, message = "missing", str(error)
    except NoSuchInput as error:
        status, message = "absent", str(error)
    except (Failed, SaidpoError) as error:
        status, message = "failed", without_owner(str(error), subject.offer)
    except Exception as error:
        status, message = "failed", f"{type(error).__name__}: {error}"
    return Result(subject.offer, item, status, message, time.perf_counter() - started)


def without_owner(message: str, offer: Offer) -> str:
    """Without the name of the component, which stands above it already."""
    return message.removeprefix(f"{offer} ")


def must(condition: bool, message: str) -> None:
    if not condition:
        raise Failed(message)


@contextmanager
def expect_refusal(what: str, error: type[Exception] = SaidpoError) -> Iterator[None]:
    """Fail unless ``error`` is raised inside, and not because a component broke down."""
    with suppress(error):
        try:
            yield
        except PluginError as broken:
            raise Failed(f"{what}: {broken}") from broken
        raise Failed(f"{what}: expected {error.__name__}, and nothing was raised")


def first_difference(a: Any, b: Any, place: str = "") -> str:
    """Where and how two pieces of plain data differ; empty if they do not. NaN equals NaN."""
    if isinstance(a, Mapping) and isinstance(b, Mapping) and list(a) == list(b):
        pairs = [(f"{place}.{key}" if place else str(key), a[key], b[key]) for key in a]
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = [(f"{place}[{index}]", x, y) for index, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        equal = type(a) is type(b) and (a == b or (a != a and b != b))
        return "" if equal else f"{place or 'result'}: {a!r:.60}, then {b!r:.60}"
    return next((found for item in pairs if (found := first_difference(item[1], item[2], item[0]))), "")
