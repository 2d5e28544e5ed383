"""The template of the route that a request took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.trace import Span

from logspan.fastapi.asgi import Scope

_REST = "/{path}"
"""What Starlette puts at the end of a mount's template."""


def route_of(scope: Scope, span: Span | None, routes: Callable[[], Iterable[Any]]) -> str | None:
    """The route as the span has it, so that both are found by the same name; else as the router left it in the scope.

    `routes` gives those of the outermost application: they know the templates of mounts, where the scope has only the
    path as it was called.
    """
    attributes = getattr(span, "attributes", None)
    if attributes is not None and (route := attributes.get("http.route")):
        return str(route)
    template = _matched(scope)
    if template is None:
        return None
    return f"{_mounts(scope, routes)}{template}"


def _matched(scope: Scope) -> str | None:
    """The innermost template; `scope["route"]` alone lacks the prefixes of `include_router`."""
    route = scope.get("route")
    included = scope.get("fastapi", {}).get("effective_route_context")
    if included is not None and getattr(included, "original_route", None) is route:
        route = getattr(included, "starlette_route", None) or included
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return str(template) if template else None


def _mounts(scope: Scope, routes: Callable[[], Iterable[Any]]) -> str:
    """The templates of the mounts that lead to the application which was reached, one after the other."""
    outside, inside = scope.get("app_root_path", ""), scope.get("root_path", "")
    if inside == outside or not inside.startswith(outside):
        return ""
    return "".join(_prefixes(inside[len(outside) :], routes())) or str(inside[len(outside) :])


def _prefixes(called: str, routes: Iterable[Any]) -> Iterator[str]:
    for mount in routes:
        template, regex = str(getattr(mount, "path_format", "")), getattr(mount, "path_regex", None)
        matched = regex.match(called + "/") if regex is not None and template.endswith(_REST) else None
        if matched is not None and "path" in matched.groupdict():
            yield template.removesuffix(_REST)
            rest = matched["path"].strip("/")
            yield from _prefixes(f"/{rest}", getattr(mount, "routes", None) or ()) if rest else ()
            return
