"""The beginning of a body, for the record: opt-in, bounded, of chosen media types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json

from logspan.values import CUT, cut_text

_LOOK_AHEAD = 1_024
"""What is kept beyond the limit, so that the cut finds the end of a token."""
_MAX_FIELDS = 256
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ContentTypes:
    """The media types whose bodies are kept."""

    exact: frozenset[str] = frozenset()
    ranges: tuple[str, ...] = ()

    @classmethod
    def named(cls, names: Iterable[str]) -> ContentTypes:
        """Of settings: `application/json`, `text/*`."""
        given = frozenset(names)
        return cls(given, tuple(name[:-1] for name in given if name.endswith("/*")))

    def have(self, media_type: str) -> bool:
        """Whether a media type is one of them; `application/problem+json` is `application/json`."""
        kind, _, rest = media_type.partition("/")
        _, plus, suffix = rest.rpartition("+")
        return (
            media_type in self.exact
            or media_type.startswith(self.ranges)
            or (bool(plus) and f"{kind}/{suffix}" in self.exact)
        )


class Content:
    """The beginning of one body, added to as its parts pass. `limit` in bytes."""

    __slots__ = ("_kept", "_limit", "_media_type", "_size")

    def __init__(self, media_type: str, limit: int) -> None:
        self._media_type = media_type
        self._limit = limit
        self._kept = bytearray()
        self._size = 0

    def add(self, part: Any) -> None:
        """Keep what still has room."""
        room = self._limit + _LOOK_AHEAD - len(self._kept)
        if room > 0:
            self._kept += memoryview(part).cast("B")[:room]
        self._size += memoryview(part).nbytes

    def value(self, limit: int) -> Any:
        """As an attribute; structured where it can be, so that redaction sees the names of its fields.

        What was cut off is marked with a cut mark at the end, or an entry for it. Where `limit` is less than that of
        before, it counts.
        """
        if not self._size:
            return None
        limit = min(limit, self._limit)
        cut = self._size > limit
        if self._media_type.endswith(("/json", "+json")):
            return self._json(limit, cut=cut)
        if self._media_type == _FORM:
            return self._form(limit, cut=cut)
        text = self._kept.decode("utf-8", "replace")
        return cut_text(text, limit) if len(self._kept) > limit else text

    def _json(self, limit: int, *, cut: bool) -> Any:
        """Of JSON that is cut off, the values that are whole; of what is no JSON nothing: it cannot be looked into."""
        data = bytes(self._kept[:limit])
        try:
            value = from_json(data, allow_inf_nan=True, allow_partial=cut)
        except ValueError:
            return "<no valid JSON>"
        return _marked(value) if cut else value

    def _form(self, limit: int, *, cut: bool) -> dict[str, Any]:
        text = self._kept[:limit].decode("utf-8", "replace")
        if cut:
            text = text.rpartition("&")[0]
        fields: dict[str, Any] = {}
        for name, value in parse_qsl(text, keep_blank_values=True)[:_MAX_FIELDS]:
            fields[name] = value if name not in fields else [*_as_list(fields[name]), value]
        return {**fields, "…": CUT} if cut else fields


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {**value, "…": CUT}
    return [*value, CUT] if isinstance(value, list) else CUT


def media_type_of(content_type: str | None) -> str:
    """`text/plain` of `Text/Plain; charset=utf-8`."""
    return (content_type or "").partition(";")[0].strip().lower()
