"""What the models themselves say about a setting: its path, its kind, what it allows, whether it is a secret."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from logspan.settings.fields import LEVELS, Level

SettingPath = tuple[str, ...]
Kind = Literal["section", "list", "mapping", "scalar"]

_ARTICLES = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path", str: "text"}


def walk(model: type[BaseModel], prefix: SettingPath = ()) -> Iterator[tuple[SettingPath, FieldInfo]]:
    """Every field of a tree of models, sections before what is in them."""
    for name, field in model.model_fields.items():
        path = (*prefix, name)
        yield path, field
        section = section_of(field)
        if section is not None:
            yield from walk(section, path)


def leaves(model: type[BaseModel]) -> dict[SettingPath, FieldInfo]:
    """The fields that hold values."""
    return {path: field for path, field in walk(model) if section_of(field) is None}


def find(model: type[BaseModel], path: tuple[str | int, ...]) -> tuple[SettingPath, FieldInfo | None]:
    """The deepest field on a path (which may go on inside its value), and the path of that field."""
    found: SettingPath = ()
    field: FieldInfo | None = None
    current: type[BaseModel] | None = model
    for name in path:
        inner = current.model_fields.get(str(name)) if current is not None else None
        if inner is None:
            break
        found, field, current = (*found, str(name)), inner, section_of(inner)
    return found, field


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model that a field holds, or None."""
    annotation = _plain(field.annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def kind_of(field: FieldInfo) -> Kind:
    """How the value of a field is written as text."""
    if section_of(field) is not None:
        return "section"
    origin = get_origin(_plain(field.annotation))
    return "list" if origin is list else "mapping" if origin is dict else "scalar"


def is_secret(field: FieldInfo) -> bool:
    """Whether a field holds a secret, or a section has one somewhere."""
    section = section_of(field)
    if section is not None:
        return any(is_secret(inner) for inner in section.model_fields.values())
    return _mentions(field.annotation, SecretStr)


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The words that a field (or an item of it) accepts, when they can be listed."""
    if _is_level(field) or _mentions(field.annotation, Level):
        return LEVELS
    return _literals(field.annotation)


def allowed(field: FieldInfo) -> str:
    """What a field accepts, in words that follow on "must be"."""
    words = choices(field)
    kind = kind_of(field)
    if kind == "section":
        return "a table of settings"
    if kind == "list":
        return "a list: items separated by commas, or a JSON array"
    if kind == "mapping":
        return "name=value pairs separated by commas, or a JSON object"
    if words:
        return "one of " + ", ".join(repr(word) for word in words)
    return _ARTICLES.get(_plain(field.annotation), "text") + _bounds(field)


def type_name(field: FieldInfo) -> str:
    """A short name of the type, for the reference page."""
    words = choices(field)
    kind = kind_of(field)
    if kind != "scalar":
        return "list" if kind == "list" else "name=value pairs"
    if words:
        return " \\| ".join(f"`{word}`" for word in words)
    plain = _plain(field.annotation)
    return {int: "integer", float: "number", bool: "boolean", Path: "path", SecretStr: "secret"}.get(plain, "text")


def _plain(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        rest = [arm for arm in get_args(annotation) if arm is not types.NoneType]
        return _plain(rest[0]) if len(rest) == 1 else annotation
    if hasattr(annotation, "__metadata__"):
        return _plain(get_args(annotation)[0])
    return annotation


def _mentions(annotation: Any, wanted: Any) -> bool:
    return annotation == wanted or any(_mentions(inner, wanted) for inner in get_args(annotation))


def _is_level(field: FieldInfo) -> bool:
    return any(part in field.metadata for part in Level.__metadata__)  # type: ignore[attr-defined]


def _literals(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(get_args(annotation))
    return next((words for words in map(_literals, get_args(annotation)) if words), ())


def _bounds(field: FieldInfo) -> str:
    low = next((f"greater than {part.gt}" for part in field.metadata if isinstance(part, Gt)), "")
    low = low or next((f"of at least {part.ge}" for part in field.metadata if isinstance(part, Ge)), "")
    high = next((f"at most {part.le}" for part in field.metadata if isinstance(part, Le)), "")
    return " " + " and ".join(filter(None, (low, high))) if low or high else ""
