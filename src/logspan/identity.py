"""What a request is known by: its id, and the user who made it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from opentelemetry.util.types import AnyValue

from logspan.binding import bind, bound_attributes, request_here, unbind
from logspan.values import clean_attributes, type_name

USER = ("user.", "enduser.")
"""How the names of attributes begin that say who the user is: https://opentelemetry.io/docs/specs/semconv/registry/attributes/user/."""

_LETTERS = b"bcdfghjklmnpqrst" * 16
"""What a byte becomes in a new id. Digits, or more of them, would have redaction look for secrets on each record."""

_ALLOWED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:/+=@#-"
_LONGEST = 128


def request_id(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The id that a client gives in the header `name`, or a new one: 20 letters, 80 bits of chance.

    A client's is taken when it gives exactly one, of 1 to 128 letters, digits and `._~:/+=@#-`.
    """
    given = None
    for key, value in headers:
        if key == name:
            if given is not None:  # and which of them is it?
                return _new_id()
            given = value
    if given and len(given) <= _LONGEST and not given.translate(None, _ALLOWED):
        return given.decode("ascii")
    return _new_id()


def _new_id() -> str:
    return os.urandom(20).translate(_LETTERS).decode("ascii")


def set_user(user: object = None, /, **attributes: Any) -> None:
    """Say who makes this request, once that is verified: on the request's record and on all of its later ones.

    `user` is an id, a mapping, or an object with an `id` (or an `identity`, as Starlette's users have it). Names get
    the prefix `user.`, unless they begin with `user.` or `enduser.`: `set_user(42, name="ann", roles=["admin"])` gives
    `user.id`, `user.name` and `user.roles`. What an earlier call said is replaced; `set_user()` takes it back. Outside
    of a request, or when its response is out, it binds the attributes as `bind` does. Never raises.
    """
    given = _described(user, attributes)
    request = request_here()
    if request is not None and not request.is_closed():
        request.identify(given, USER)
        return
    unbind(*(key for key in bound_attributes() if key.startswith(USER)))
    bind(given)


def _described(user: object, attributes: Mapping[str, Any]) -> dict[str, AnyValue]:
    try:
        return clean_attributes({**(user_attributes(user) or {}), **_qualified(attributes)})
    except Exception as error:  # an object that breaks when it is looked at
        return {"logspan.capture.error": type_name(error)}


def user_attributes(user: object) -> dict[str, Any] | None:
    """The attributes that describe a user, or None when there is none: see `set_user` for what a user may be.

    An object that says of itself that it is not `is_authenticated` is no user; neither is a truth value, or a text
    that is empty.
    """
    if user is None or isinstance(user, bool) or user == "":
        return None
    if isinstance(user, Mapping):
        return _qualified(user)
    if isinstance(user, str | int | UUID):
        return {"user.id": str(user)}
    if not getattr(user, "is_authenticated", True):
        return None
    name = _part(user, "username")
    identity = next((found for part in ("identity", "id") if (found := _part(user, part)) is not None), None)
    described = {"user.id": None if identity is None else str(identity), "user.name": name}
    return {key: value for key, value in described.items() if value is not None}


def _qualified(attributes: Mapping[str, Any]) -> dict[str, Any]:
    named = {key if key.startswith(USER) else f"user.{key}": value for key, value in attributes.items()}
    return {key: str(value) if key.endswith(".id") else value for key, value in named.items() if value is not None}


def _part(user: object, name: str) -> Any:
    try:
        return getattr(user, name, None)
    except NotImplementedError:  # what Starlette's `BaseUser` does where a user has none
        return None
