"""What every test relies on: the process-wide things are after it as they were before it."""

import logging
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from logspan.context import ROUTING

# A machine that is busy is no defect; each test has a time-out.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


SLOW_TIMEOUT = 300.0
"""Seconds that a slow test has unless it says something else: some take a minute where other tests run beside them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


def _handlers() -> list[logging.Handler]:
    """Those of the root logger, without the ones that pytest puts there for each phase of a test."""
    return [handler for handler in logging.root.handlers if "pytest" not in type(handler).__module__]


@pytest.fixture(autouse=True)
def process_is_left_as_it_was() -> Iterator[None]:
    """A test that installs something undoes it: what is left behind is taken away, and is a failure of that test."""
    handlers, level, hook = _handlers(), logging.root.level, sys.excepthook
    yield
    left = [handler for handler in _handlers() if handler not in handlers]
    gone = [handler for handler in handlers if handler not in _handlers()]
    target = ROUTING.target()
    for handler in left:
        logging.root.removeHandler(handler)
    for handler in gone:
        logging.root.addHandler(handler)
    logging.root.setLevel(level)
    sys.excepthook = hook
    if target is not None:
        ROUTING.uninstall(target)
    assert not left, f"left on the root logger: {left}"
    assert not gone, f"taken from the root logger: {gone}"
    assert target is None, "a pipeline is still installed"
