"""The fixtures of the core's tests."""

from tests.core.conftest import build

__all__ = ["build"]
