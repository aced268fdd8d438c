"""Checks of components of every kind: options, imports, pickling, randomness, state, and inputs of all sizes."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from saidpo_core.conformance.kit import Failed, NotApplicable, Subject, check, first_difference, must
from saidpo_core.errors import UsageError
from saidpo_core.options import OptionSpec, build_options, plain, specs_of

# How it is offered ----------------------------------------------------------------------------------------------------


@check(None)
def tells_what_it_does(subject: Subject) -> None:
    """Its summary is one line of at most 120 characters, and it says where it comes from."""
    component = subject.offer.component
    must(0 < len(component.summary.strip()) <= 120, f"the summary has {len(component.summary)} characters")
    must("\n" not in component.summary, "the summary has several lines")
    must(bool(component.source.strip()), "source is empty; name the paper and section, or say ours")


@check(None)
def options_are_frozen(subject: Subject) -> None:
    """Its options cannot be changed once they were read, and are given by name."""
    options = subject.offer.component.options
    frozen = options.__dataclass_params__.frozen  # type: ignore[attr-defined]
    must(frozen, f"{options.__name__} has to be a dataclass(frozen=True, kw_only=True)")
    positional = [field.name for field in dataclasses.fields(options) if not field.kw_only]
    must(not positional, f"{options.__name__}.{positional[0] if positional else ''} is not keyword-only")


@check(None)
def options_have_help(subject: Subject) -> None:
    """Every option has a help text, and a type that flags and TOML can hold."""
    for spec in specs_of(subject.offer.component.options):
        must(bool(spec.help.strip()), f"the option {spec.name} has no help text; make it with saidpo_core.option")
        must("<class" not in spec.type_text, f"the option {spec.name} has the type {spec.type_text}")


@check(None)
def options_come_back_from_toml(subject: Subject) -> None:
    """Options written to a TOML file and read again are the same ones; so are their bounds."""
    import tomli_w

    options = subject.offer.component.options
    for values in _variants(options):
        where = {key: key for key in values}
        try:
            built = build_options(options, values, where)
        except UsageError:
            must(bool(values), "the default options are refused")
            continue  # a value that its author rules out, in company with the defaults
        again = tomllib.loads(tomli_w.dumps(plain(built)))
        returned = build_options(options, again, {key: key for key in again})
        must(returned == built, f"{built} comes back as {returned}")


def _variants(options: type) -> Iterator[dict[str, Any]]:
    """No value at all; then one option at its low and high bound each."""
    yield {}
    for spec in specs_of(options):
        for bound in (spec.low, spec.high):
            if bound is not None:
                yield {spec.name: _as_typed(spec, bound)}


def _as_typed(spec: OptionSpec, bound: float) -> Any:
    return int(bound) if "number" not in spec.type_text else bound


# What it costs to have it ---------------------------------------------------------------------------------------------


@check(None)
def imports_nothing_heavy(subject: Subject) -> None:
    """Its module imports no heavy package (torch, numpy, ...), so that ``saidpo --help`` stays quick."""
    heavy = subject.alone["heavy imports"]
    must(not heavy, f"importing {subject.offer.owner.module} imports {', '.join(heavy)}; import them inside methods")


@check(None)
def building_does_no_work(subject: Subject) -> None:
    """Building it keeps the options and imports nothing heavy; work begins when it is called."""
    report = subject.alone
    heavy = report["heavy builds"]
    must(not heavy, f"building it imports {', '.join(heavy)}; import them where they are used")
    must(report["build seconds"] < 0.5, f"building it takes {report['build seconds']:.1f} s")


@check(None)
def pickles_or_says_not(subject: Subject) -> None:
    """It can be pickled and works the same afterwards, or it says ``picklable=False``."""
    if not subject.offer.component.picklable:
        raise NotApplicable("says that it cannot be pickled")
    component = subject.fresh()
    try:
        copied = pickle.loads(pickle.dumps(component))  # our own bytes, not a stranger's
    except Exception as error:
        raise Failed(f"{type(error).__name__}: {error}; offer it with picklable=False if that is meant") from error
    must(type(copied) is type(component), f"it comes back as {type(copied).__name__}")
    if hasattr(copied, "close"):
        copied.close()


# What it makes of its input -------------------------------------------------------------------------------------------


@check(None)
def works_on_ordinary_input(subject: Subject) -> None:
    """It keeps the contract of its kind on ordinary input: types, shapes, ranges, ids that exist."""
    subject.result("ordinary")


@check(None)
def works_on_one(subject: Subject) -> None:
    """It keeps the contract on the smallest input."""
    subject.result("one")


@check(None)
def works_on_duplicates(subject: Subject) -> None:
    """It keeps the contract where everything is the same."""
    subject.result("duplicates")


@check(None)
def works_on_extremes(subject: Subject) -> None:
    """It keeps the contract on what is rare and happens: nothing counted, all right, empty texts."""
    subject.result("extremes")


@check(None)
def works_on_huge_input(subject: Subject) -> None:
    """It keeps the contract on input of the size that real pools have, in reasonable time."""
    subject.result("huge")


@check(None)
def works_on_nothing(subject: Subject) -> None:
    """It keeps the contract on no input at all, where the core may hand it none."""
    subject.result("nothing")


@check(None)
def leaves_its_input_alone(subject: Subject) -> None:
    """What it is handed is the same afterwards."""
    given = subject.input("ordinary")
    before = copy.deepcopy(given)
    subject.work(subject.fresh(), "ordinary")
    found = first_difference(_plain_input(before), _plain_input(given))
    must(not found, f"it changed its input: {found}")


def _plain_input(value: Any) -> Any:
    """Inputs as comparable data: records as dicts, arrays as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain_input(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain_input(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_input(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


# Randomness and state -------------------------------------------------------------------------------------------------


@check(None)
def same_seed_same_result(subject: Subject) -> None:
    """The same input and seed give the same result, to the bit."""
    _same(subject.result(), subject.work(subject.fresh(), "ordinary"))


@check(None)
def another_process_gives_the_same(subject: Subject) -> None:
    """A fresh process, in which sets of texts have another order, gives the same result: a killed run goes on alike."""
    mine, report = subject.result(), subject.alone
    must(not report["problem"], f"in a process of its own: {report['problem']}")
    _same(mine, report["result"])


@check(None)
def keeps_no_state_between_calls(subject: Subject) -> None:
    """A call gives the same whatever it was called with before: after a kill it starts anew."""
    component = subject.fresh()
    for name in ("one", "ordinary"):
        if name in subject.inputs:
            subject.work(component, name, seed=5)
    _same(subject.result(), subject.work(component, "ordinary"))


@check(None)
def reads_no_global_random_state(subject: Subject) -> None:
    """It draws its numbers from the generator or seed that it is handed, not from the global ones."""
    with _global_random_state() as scramble:
        scramble(1)
        first = subject.work(subject.fresh(), "ordinary")
        scramble(2)
        _same(first, subject.work(subject.fresh(), "ordinary"))


@check(None)
def leaves_global_random_state_alone(subject: Subject) -> None:
    """The global random numbers of ``random``, numpy and torch go on as if it had not been called."""
    subject.result()  # whatever it imports is imported now
    with _global_random_state() as scramble:
        before = scramble(3)
        subject.work(subject.fresh(), "ordinary")
        after = _states()
        touched = [name for name in before if before[name] != after.get(name)]
        must(not touched, f"it changed the global random state of {', '.join(touched)}")


@check(None)
def prints_nothing(subject: Subject) -> None:
    """Nothing goes to standard output: that belongs to the user's pipes."""
    with redirect_stdout(io.StringIO()) as out:
        subject.work(subject.fresh(), "ordinary")
    must(not out.getvalue(), f"it printed {out.getvalue()!r:.80}; raise an error, or return it as a note")


def _same(first: Any, second: Any) -> None:
    found = first_difference(first, second)
    must(not found, found)


def _states() -> dict[str, Any]:
    """The global states of what is imported, as comparable data."""
    import random
    import sys

    import numpy as np

    states: dict[str, Any] = {"random": random.getstate(), "numpy": repr(np.random.get_state(legacy=False))}
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return states


@contextmanager
def _global_random_state() -> Iterator[Callable[[int], dict[str, Any]]]:
    """Hands over a function that seeds all global generators; puts them back as they were in the end."""
    import random
    import sys

    import numpy as np

    ours, theirs = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    tensor = torch.get_rng_state() if torch else None

    def scramble(seed: int) -> dict[str, Any]:
        random.seed(seed)
        np.random.seed(seed)
        if torch:
            torch.manual_seed(seed)
        return _states()

    try:
        yield scramble
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)
        if torch and tensor is not None:
            torch.set_rng_state(tensor)
