"""The conformance checks in pytest (entry point ``pytest11``). The whole test of an author:

    @pytest.mark.saidpo("saidpo-spectral")
    def test_conformance(saidpo_check):
        saidpo_check()

It becomes one test for each check of each component of the package: a name as for ``saidpo check``, or several. Without
the mark it is every installed component. Loaded in every pytest run of an environment with saidpo, so it is light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from saidpo_core.conformance import Check, Subject
    from saidpo_core.registry import Offer, Registry

    Subjects = Callable[[Offer], Subject]

_REGISTRY = pytest.StashKey["Registry"]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "saidpo(*names): whose components saidpo_check checks; a name as saidpo check takes"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a check of each component that the mark names."""
    if "saidpo_check" not in metafunc.fixturenames:
        return
    from saidpo_core.cli.check import choose
    from saidpo_core.conformance import checks_of
    from saidpo_core.errors import UsageError

    registry = _registry(metafunc.config)
    names = [name for mark in metafunc.definition.iter_markers("saidpo") for name in mark.args]
    broken = [str(item) for item in registry.broken if not names or item.owner.distribution in names]
    if broken:
        raise pytest.UsageError(f"could not be loaded: {'; '.join(broken)}")
    try:
        offers = choose(registry, names)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    cases = [(offer, item) for offer in offers for item in checks_of(offer.kind)]
    ids = [f"{offer.kind}/{offer.component.name}-{item.name}" for offer, item in cases]
    metafunc.parametrize("saidpo_check", cases, ids=ids, indirect=True)


@pytest.fixture(scope="session")
def saidpo_subjects(request: pytest.FixtureRequest) -> Iterator[Subjects]:
    """Components under check by offer; one is made ready once for all of its checks."""
    from saidpo_core.conformance import subject_of

    registry = _registry(request.config)
    with ExitStack() as stack:
        ready: dict[tuple[str, str], Subject] = {}

        def subject(offer: Offer) -> Subject:
            key = (offer.kind, offer.qualified)
            if key not in ready:
                ready[key] = stack.enter_context(subject_of(offer, registry))
            return ready[key]

        yield subject


@pytest.fixture
def saidpo_check(request: pytest.FixtureRequest, saidpo_subjects: Subjects) -> Callable[[], None]:
    """Call it to run the check of this test: it fails, skips or passes."""
    from saidpo_core.conformance import run_check
    from saidpo_core.errors import MissingExtra

    offer: Offer
    item: Check
    offer, item = request.param

    def run() -> None:
        __tracebackhide__ = True
        try:
            subject = saidpo_subjects(offer)
        except MissingExtra as error:
            pytest.skip(str(error))
        result = run_check(item, subject)
        if result.status in ("skipped", "missing", "absent"):
            pytest.skip(result.message)
        if result.status == "failed":
            pytest.fail(f"{offer}\n{result.message}\npromised: {item.promise}", pytrace=False)

    return run


def _registry(config: pytest.Config) -> Registry:
    if _REGISTRY not in config.stash:
        from saidpo_core.registry import load_registry

        config.stash[_REGISTRY] = load_registry()
    return config.stash[_REGISTRY]
