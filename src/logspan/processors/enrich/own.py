"""Enrichers of the user's own: how one is named, and which cannot be one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from logspan.errors import SettingsError
from logspan.processors.enrich.view import EnrichContext, RecordView
from logspan.values import type_name

EnricherFunction = Callable[[RecordView, EnrichContext], Mapping[str, Any] | None]
Enrichers = Mapping[str, EnricherFunction] | Sequence[EnricherFunction]


@dataclass(frozen=True, slots=True)
class Enricher:
    """A function that adds attributes to records, and its name: what `@enricher` makes. To be called like the function.

    The name stands in the ledger (`processor_errors["enricher:<name>"]`) and in what is said when it fails. Raises
    `SettingsError` for what cannot be called with a record and a context, and for async functions.
    """

    function: EnricherFunction
    name: str

    def __post_init__(self) -> None:
        problem = _problem(self.function)
        if problem:
            raise SettingsError(f"enricher {self.name!r}: {problem}")

    def __call__(self, record: RecordView, context: EnrichContext) -> Mapping[str, Any] | None:
        """The attributes to add, or None."""
        return self.function(record, context)


@overload
def enricher(function: EnricherFunction, /) -> Enricher: ...
@overload
def enricher(*, name: str) -> Callable[[EnricherFunction], Enricher]: ...
def enricher(
    function: EnricherFunction | None = None, /, *, name: str | None = None
) -> Enricher | Callable[[EnricherFunction], Enricher]:
    """Make a function an enricher: `@enricher`, or `@enricher(name="tenant")` for another name than its own.

    The function is called for each record, on the thread that logs: with a `RecordView` and an `EnrichContext`, to
    return the attributes to add, or None. What the record has already is kept. Registers nothing: give it to
    `instrument_app(app, enrichers=[...])`, `configure_logging` or `build_pipeline`, or let a package name it as an
    entry point of the group `logspan_enricher`.
    """
    if function is not None:
        return Enricher(function, name or _name_of(function))
    return lambda given: Enricher(given, name or _name_of(given))


def named_enrichers(given: Enrichers) -> list[Enricher]:
    """Each with its name: the key of the mapping, or its own, numbered when there are several of one name."""
    if isinstance(given, Mapping):
        return [_renamed(function, str(name)) for name, function in given.items()]
    named: list[Enricher] = []
    for function in given:
        name = _name_of(function)
        number = sum(known.name.split("#")[0] == name for known in named)
        named.append(_renamed(function, f"{name}#{number + 1}" if number else name))
    return named


def _renamed(function: EnricherFunction, name: str) -> Enricher:
    return Enricher(function.function if isinstance(function, Enricher) else function, name)


def _name_of(function: object) -> str:
    if isinstance(function, Enricher):
        return function.name
    return str(getattr(function, "__name__", None) or type_name(function))


def _problem(function: Any) -> str | None:
    """Why something cannot be an enricher; None if it can."""
    if not callable(function):
        return f"a {type_name(function)} cannot be called"
    if inspect.isclass(function):
        return "a class is no enricher; give an instance of it"
    called = [function, getattr(function, "__call__", None), getattr(function, "func", None)]  # noqa: B004
    if any(inspect.iscoroutinefunction(part) or inspect.isasyncgenfunction(part) for part in called):
        return "it is async; an enricher runs inside the log call, where nothing can be awaited: use a plain function"
    if any(inspect.isgeneratorfunction(part) for part in called):
        return "it is a generator; an enricher returns its attributes, all at once"
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return "it must take two arguments: the record and the context"
    except ValueError:  # made in C, and tells nothing of its arguments
        pass
    return None
