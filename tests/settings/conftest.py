"""Each test starts with an empty environment, in an empty folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

Env = Callable[..., None]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Takes our variables and the SDK's out of the environment, and enters a new folder, which it returns."""
    for name in os.environ:
        if name.upper().startswith(("LOGSPAN_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Env:
    """Sets environment variables."""

    def set_all(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all
