"""Bound attributes, and which pipeline a record goes to (R2.4, R13.1)."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NoReturn

import pytest
from opentelemetry._logs import NoOpLogger, NoOpLoggerProvider

from logspan.binding import bind, bound, unbind
from logspan.context import Routing, inside_pipeline, mark_pipeline_thread


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    """Each test begins with nothing bound, and leaves nothing."""
    unbind(*bound())
    yield
    unbind(*bound())


def test_binding_adds_and_resets() -> None:
    """`bind` adds to what is bound, `reset` puts back what was; a second reset changes nothing."""
    outer = bind(a=1)
    inner = bind({"b.c": 2}, a=3)
    assert bound() == {"a": 3, "b.c": 2}
    inner.reset()
    inner.reset()
    assert bound() == {"a": 1}
    outer.reset()
    assert bound() == {}


def test_a_block_binds_for_its_length_also_when_it_raises() -> None:
    """The context manager undoes itself."""
    with pytest.raises(KeyError), bind(a=1):
        assert bound() == {"a": 1}
        raise KeyError
    assert bound() == {}


def test_unbinding_takes_off_and_resets() -> None:
    """Keys that are not bound are passed over."""
    bind(a=1, b=2)
    token = unbind("a", "z")
    assert bound() == {"b": 2}
    token.reset()
    assert bound() == {"a": 1, "b": 2}


def test_what_is_bound_cannot_be_changed_from_outside() -> None:
    """The view is read-only, and values are those of the moment of binding."""
    values = [1]
    bind(a=values)
    values.append(2)
    assert bound() == {"a": [1]}
    with pytest.raises(TypeError):
        bound()["a"] = 2  # type: ignore[index]


async def test_tasks_do_not_share_what_they_bind() -> None:
    """A task begins with what its creator had bound; what it binds is its own."""
    bind(request=1)
    ready, go = asyncio.Event(), asyncio.Event()

    async def other() -> Mapping[str, Any]:
        bind(task="other")
        ready.set()
        await go.wait()
        return bound()

    task = asyncio.create_task(other())
    await ready.wait()
    assert bound() == {"request": 1}
    bind(late=True)
    go.set()
    assert await task == {"request": 1, "task": "other"}


async def test_a_token_is_harmless_in_another_task() -> None:
    """Reset elsewhere it neither raises nor unbinds anything there."""
    token = bind(a=1)

    async def elsewhere() -> Mapping[str, Any]:
        bind(b=2)
        token.reset()
        return bound()

    assert await asyncio.create_task(elsewhere()) == {"a": 1, "b": 2}


def test_a_token_is_harmless_in_another_thread() -> None:
    """The same across threads."""
    token, seen = bind(a=1), []

    def elsewhere() -> None:
        token.reset()
        seen.append(dict(bound()))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(seen) == 1
    assert bound() == {"a": 1}


async def test_a_block_inside_an_async_generator_that_is_closed_elsewhere() -> None:
    """A streaming response's generator is closed in another task: no error reaches the server."""

    async def stream() -> AsyncIterator[int]:
        with bind(a=1):
            yield 1
            yield 2

    generator = stream()
    await contextvars.copy_context().run(asyncio.ensure_future, anext(generator))

    async def close() -> None:
        await generator.aclose()  # type: ignore[attr-defined]

    await asyncio.create_task(close())
    assert bound() == {}


def test_hostile_attributes_do_not_raise() -> None:
    """Binding is part of logging: it never raises into the application."""

    class Fails(dict[str, int]):
        def keys(self) -> NoReturn:
            raise RuntimeError

        items = __iter__ = __len__ = __bool__ = keys

    bind(Fails(), good=1)
    assert bound() == {"logspan.capture.error": "RuntimeError", "good": 1}


def test_the_pipelines_own_threads_are_known() -> None:
    """The mark holds for the thread that sets it, and for no other."""
    seen = []

    def worker() -> None:
        mark_pipeline_thread()
        seen.append(inside_pipeline())

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert seen == [True]
    assert not inside_pipeline()


def test_records_go_to_the_contexts_pipeline_else_to_the_first_installed() -> None:
    """And to none when nothing is installed."""
    routing, first, second = Routing(), NoOpLoggerProvider(), NoOpLoggerProvider()
    assert routing.target() is None
    assert isinstance(routing.get_logger("x"), NoOpLogger)
    routing.install(first)
    routing.install(second)
    routing.install(first)
    assert routing.target() is first
    token = routing.current.set(second)
    assert routing.target() is second
    routing.current.reset(token)
    assert routing.target() is first
    routing.uninstall(first)
    assert routing.target() is second
    routing.uninstall(second)
    routing.uninstall(second)
    assert routing.target() is None
