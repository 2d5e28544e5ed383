"""What `import logspan` shows, and what it leaves alone."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import logspan

PROBE = """
import logging, os, sys, threading

class Watched(dict):
    read = []
    def __getitem__(self, key):
        Watched.read.append(key)
        return super().__getitem__(key)
    def get(self, key, default=None):
        Watched.read.append(key)
        return super().get(key, default)

before = set(sys.modules)
handlers, threads = list(logging.root.handlers), threading.active_count()
os.environ = Watched(os.environ)
{statement}
print("modules", *sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names))
print("read", *Watched.read)
print("handlers", len(logging.root.handlers) - len(handlers))
print("threads", threading.active_count() - threads)
for module, name in (
    ("trace", "_TRACER_PROVIDER"), ("_logs._internal", "_LOGGER_PROVIDER"), ("metrics._internal", "_METER_PROVIDER")
):
    api = sys.modules.get("opentelemetry." + module)
    print("provider", "none" if api is None or getattr(api, name) is None else name)
"""


def probe(statement: str) -> dict[str, list[str]]:
    """What a fresh interpreter has to say after the statement: a word, and the words that belong to it."""
    script = PROBE.format(statement=statement)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    seen: dict[str, list[str]] = {}
    for word, *rest in (line.split() for line in run.stdout.splitlines()):
        seen.setdefault(word, []).extend(rest)
    return seen


def test_all_is_sorted_and_is_what_is_visible() -> None:
    """R13.4: `__all__` is sorted and names exactly what `dir()` shows."""
    assert logspan.__all__ == sorted(logspan.__all__)
    assert dir(logspan) == logspan.__all__
    assert len(set(logspan.__all__)) == len(logspan.__all__)


def test_type_checkers_see_the_same_names() -> None:
    """What is imported under TYPE_CHECKING, for tools, is what `__getattr__` gives, from the same modules."""
    tree = ast.parse(Path(logspan.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    declared = {alias.name: node.module for node in imports for alias in node.names}
    found = {name: f"logspan.{module}" for name, module in logspan._MODULES.items()}
    assert declared == found
    assert {*declared, "__version__"} == set(logspan.__all__)


@pytest.mark.parametrize("name", logspan.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    """R9.1: each name of `__all__` can be imported, and has a docstring of its own."""
    value = getattr(logspan, name)
    if name == "__version__":
        assert value[0].isdigit()
        return
    assert inspect.getdoc(value)
    assert "__doc__" in vars(value) or inspect.isfunction(value)


@pytest.mark.parametrize("name", [name for name in logspan.__all__ if name[0].isupper()])
def test_every_public_method_says_what_it_does(name: str) -> None:
    """R9.1: the public methods and properties that logspan's classes add have docstrings."""
    kind = getattr(logspan, name)
    added = {
        attribute: value
        for attribute, value in vars(kind).items()
        if not attribute.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | classmethod))
    }
    assert [attribute for attribute, value in added.items() if not inspect.getdoc(value)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    """`hasattr` and tools rely on AttributeError, with the name in it."""
    with pytest.raises(AttributeError, match="no attribute 'instrument'"):
        logspan.instrument  # noqa: B018


def test_import_costs_nothing_and_touches_nothing() -> None:
    """R13.1: `import logspan` imports no package at all, reads no variable, adds no handler, thread or provider."""
    seen = probe("import logspan")
    assert seen["modules"] == ["logspan"]
    assert seen["read"] == []
    assert (seen["handlers"], seen["threads"]) == (["0"], ["0"])
    assert seen["provider"] == ["none"] * 3


@pytest.mark.parametrize("name", ["get_logger", "bind", "Redactor", "Settings", "build_pipeline", "configure_logging"])
def test_a_name_touches_nothing_before_it_is_used(name: str) -> None:
    """R13.1: importing what a program without a web app needs installs nothing, and does not import a web framework."""
    seen = probe(f"from logspan import {name}")
    assert (seen["handlers"], seen["threads"]) == (["0"], ["0"])
    assert seen["provider"] == ["none"] * 3
    heavy = {"fastapi", "starlette", "grpc", "uvicorn", "structlog", "loguru", "prometheus_client"}
    assert heavy.isdisjoint(seen["modules"])


@pytest.mark.parametrize("name", ["get_logger", "bind"])
def test_logging_needs_no_settings(name: str) -> None:
    """R1.2: a library that only logs or binds pays neither for pydantic nor for an HTTP client."""
    assert {"pydantic", "urllib3", "requests"}.isdisjoint(probe(f"from logspan import {name}")["modules"])
