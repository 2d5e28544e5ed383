"""The template of the route that a request took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from opentelemetry.trace import Span
from starlette.routing import Mount

from logspan.fastapi.asgi import Scope

_REST = "/{path}"
"""What Starlette puts at the end of a mount's template."""
_MAX_ROUTES = 1_000
"""How many routes of one router are looked at where none is in the scope; few of them are matched again."""


def route_of(scope: Scope, span: Span | None, routes: Callable[[], Iterable[Any]]) -> str | None:
    """The route as the span has it, so that both are found by the same name; else as the router left it in the scope.

    In a mounted application the span may know no more than the mount, and the scope's is taken if that says more.
    `routes` gives those of the outermost application: they know the templates of mounts, where the scope has only the
    path as it was called.
    """
    attributes = getattr(span, "attributes", None)
    named = attributes.get("http.route") if attributes is not None else None
    if named and "app_root_path" not in scope:
        return str(named)
    found = _found(scope, routes)
    if named and (found is None or _depth(found) <= _depth(named.removeprefix(scope.get("app_root_path", "")))):
        return str(named)
    return found


def _depth(template: str) -> int:
    """How much a template says, as a number to compare."""
    return len(template.removesuffix(_REST))


def _found(scope: Scope, routes: Callable[[], Iterable[Any]]) -> str | None:
    route = _matched(scope)
    if route is None or isinstance(route, Mount):  # FastAPI leaves plain routes and mounts out
        return _again(scope, routes)
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return f"{_mounts(scope, routes)}{template}" if template else None


def _matched(scope: Scope) -> Any:
    """The innermost route; `scope["route"]` alone lacks the prefixes of `include_router`."""
    route = scope.get("route")
    included = scope.get("fastapi", {}).get("effective_route_context")
    if included is None:
        return route
    original = getattr(included, "original_route", None)
    if original is route or (route is None and _leads_to(original, scope.get("endpoint"))):
        return getattr(included, "starlette_route", None) or included
    return route


def _leads_to(route: Any, endpoint: Any) -> bool:
    return endpoint is not None and getattr(route, "app" if isinstance(route, Mount) else "endpoint", None) is endpoint


def _again(scope: Scope, routes: Callable[[], Iterable[Any]]) -> str | None:
    """Of the routes that lead to the endpoint the one that the path matches; None where nothing was reached."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    path, root = str(scope["path"]), scope.get("app_root_path", scope.get("root_path", ""))
    found = _way(path[len(root) :] if root and path.startswith(f"{root}/") else path, endpoint, routes())
    if found is None and "app_root_path" in scope:
        return f"{_mounts(scope, routes)}{_REST}"
    return found


def _way(path: str, endpoint: Any, routes: Iterable[Any]) -> str | None:
    """The templates that lead to an endpoint, one after the other."""
    for route in islice(routes, _MAX_ROUTES):
        leads, regex = _leads_to(route, endpoint), getattr(route, "path_regex", None)
        if regex is None or not (leads or isinstance(route, Mount)) or (matched := regex.match(path)) is None:
            continue
        if leads or "path" not in matched.groupdict():
            return str(route.path_format)
        inside = _way(f"/{matched['path']}", endpoint, getattr(route, "routes", None) or ())
        return None if inside is None else f"{route.path_format.removesuffix(_REST)}{inside}"
    return None


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
