"""Stage 2, enrich: enrichers of the user's own, how they are made, what they see, and when they are switched off."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from logspan import EnrichContext, Enricher, RecordView, bind, enricher
from logspan.context import REQUEST, inside_pipeline
from logspan.errors import SettingsError
from logspan.processors.enrich import EnricherFunction, OwnEnrichers, named_enrichers
from logspan.testing import SampleRequest
from tests.core.support import record


class Stage(OwnEnrichers):
    """The stage, with what it has reported and a timer that the test moves."""

    def __init__(self, *functions: EnricherFunction, budget: float = 1.0, failure_threshold: int = 3) -> None:
        self.failures: list[str] = []
        self.said: list[str] = []
        self.now = 0.0
        super().__init__(
            named_enrichers(functions),
            budget=budget,
            failure_threshold=failure_threshold,
            count=self.failures.append,
            say=lambda _, text: self.said.append(text),
            timer=lambda: self.now,
        )

    def attributes(self, **given: Any) -> dict[str, Any]:
        """What a record with the given attributes has after the stage."""
        made = record(**given)
        self(made)
        return made.attributes


def returning(value: Any) -> EnricherFunction:
    """An enricher that returns that."""

    def returns(record: RecordView, context: EnrichContext) -> Any:
        return value

    return returns


def failing(record: RecordView, context: EnrichContext) -> NoReturn:
    raise LookupError(record.body)


@pytest.fixture(autouse=True)
def _no_request() -> Iterator[None]:
    token = REQUEST.set(None)
    yield
    REQUEST.reset(token)


# how one is made


def test_the_decorator_makes_an_enricher_that_is_still_a_function() -> None:
    """R4.4: by its own name or another one; it registers nothing."""

    @enricher
    def tenant(record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
        return {"tenant": "acme"}

    @enricher(name="zone")
    def whatever(record: RecordView, context: EnrichContext) -> None:
        return None

    assert (tenant.name, whatever.name) == ("tenant", "zone")
    assert tenant(RecordView(record()), EnrichContext()) == {"tenant": "acme"}
    assert Stage().attributes(a=1) == {"a": 1}


def test_objects_methods_and_partials_are_enrichers_too() -> None:
    """R4.4: whatever can be called with a record and a context; each goes by its name, or by name and number."""

    class Region:
        def __init__(self, name: str) -> None:
            self.name_of_region = name

        def __call__(self, record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
            return {self.name_of_region: True}

    def added(key: str, record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
        return {key: True}

    given: list[EnricherFunction] = [Region("eu"), Region("us"), functools.partial(added, "p"), Region("ap").__call__]
    assert [one.name for one in named_enrichers(given)] == ["Region", "Region#2", "partial", "__call__"]
    assert [one.name for one in named_enrichers({"eu": given[0]})] == ["eu"]
    assert Stage(*given).attributes() == {"eu": True, "us": True, "p": True, "ap": True}


async def awaits(record: RecordView, context: EnrichContext) -> None:
    """No enricher."""


class Awaits:
    async def __call__(self, record: RecordView, context: EnrichContext) -> None:
        """No enricher."""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (awaits, "it is async"),
        (Awaits(), "it is async"),
        (functools.partial(awaits), "it is async"),
        (lambda record, context: (yield), "it is a generator"),
        (Awaits, "a class is no enricher"),
        (lambda record: None, "must take two arguments"),
        (lambda: None, "must take two arguments"),
        (7, "a int cannot be called"),
        ("tenant", "a str cannot be called"),
    ],
)
def test_what_cannot_be_an_enricher_is_refused(function: Any, said: str) -> None:
    """R4.4, R10.3: sync only; the message says what is wrong with it and what to do."""
    with pytest.raises(SettingsError, match=rf"^enricher .*: .*{said}"):
        named_enrichers([function])


# what it sees, and what it can do


def test_it_sees_the_record_and_where_it_was_made() -> None:
    """R4.4: the record's fields, what was bound, the request, the span; outside of them nothing, and no error."""
    seen: list[Any] = []

    def look(record: RecordView, context: EnrichContext) -> None:
        request = context.request
        seen.append((record.body, dict(record.attributes), record.severity_number, record.severity_text, record.scope))
        seen.append((dict(context.bound), request and (request.method, request.path, request.route)))
        seen.append((request and request.header("x-tenant"), context.span_context.is_valid, record.trace_id))
        seen.append((record.event_name, record.timestamp > 0, record.span_id))

    stage = Stage(look)
    stage(record("outside", a=1))
    expected = [("outside", {"a": 1}, 9, "INFO", "app"), ({}, None), (None, False, 0), (None, True, 0)]
    assert seen == expected
    seen.clear()
    REQUEST.set(SampleRequest("POST", "/orders/42", "/orders/{order_id}", {"x-tenant": "acme"}))
    span = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(span)), bind(user=7):
        stage(record("inside", severity=17))
    assert seen[0] == ("inside", {}, 17, "ERROR", "app")
    assert seen[1] == ({"user": 7}, ("POST", "/orders/42", "/orders/{order_id}"))
    assert (seen[2], seen[3]) == (("acme", True, 7), (None, True, 8))


def test_what_it_sees_is_to_be_read() -> None:
    """It adds by what it returns; the record itself cannot be written to."""

    def writes(record: RecordView, context: EnrichContext) -> None:
        record.attributes["a"] = 2  # type: ignore[index]

    def sets(record: RecordView, context: EnrichContext) -> None:
        record.body = "changed"  # type: ignore[misc]

    def binds(record: RecordView, context: EnrichContext) -> None:
        context.bound["a"] = 2  # type: ignore[index]

    stage = Stage(writes, sets, binds)
    assert stage.attributes(a=1) == {"a": 1}
    assert [text.rpartition(" ")[2] for text in stage.said] == ["TypeError", "AttributeError", "TypeError"]


def test_what_the_record_has_is_kept() -> None:
    """An enricher adds, and replaces nothing; a later one sees what the earlier has added."""

    def later(record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
        return {"seen": record.attributes["b"], "b": 3}

    assert Stage(returning({"a": 2, "b": 2}), later).attributes(a=1) == {"a": 1, "b": 2, "seen": 2}


def test_hostile_values_are_cleaned() -> None:
    """R4.4: what it adds is captured like the attributes of a log call, so that nothing behind it can be harmed."""

    class Worse:
        def __str__(self) -> str:
            raise RuntimeError

    cycle: list[Any] = []
    cycle.append(cycle)
    found = Stage(returning({"": 1, 7: 2**80, "cycle": cycle, "worse": Worse(), "set": {1}})).attributes()
    assert found["_"] == 1
    assert found["7"] == str(2**80)
    assert found["cycle"] == ["<cycle>"]
    assert "unprintable" in found["worse"]
    assert found["set"] == [1]


@pytest.mark.parametrize("value", [[("a", 1)], "text", 7, False, 0.0])
def test_anything_but_a_mapping_is_a_failure(value: Any) -> None:
    """None and an empty mapping add nothing; all else is counted as a mistake of the enricher."""
    stage = Stage(returning(value), returning(None), returning({}), returning({"b": 2}))
    assert stage.attributes(a=1) == {"a": 1, "b": 2}
    assert stage.failures == ["enricher:returns"]


def test_a_coroutine_that_comes_out_is_closed() -> None:
    """A plain function that calls an async one: a failure, and no warning that something was never awaited."""

    def hides_it(record: RecordView, context: EnrichContext) -> Any:
        return awaits(record, context)

    stage = Stage(hides_it)
    assert stage.attributes(a=1) == {"a": 1}
    assert stage.failures == ["enricher:hides_it"]


def test_it_runs_inside_the_pipeline() -> None:
    """Fault 33: what it logs would come back to it. The mark is gone afterwards, also when it has failed."""
    inside: list[bool] = []

    def looks(record: RecordView, context: EnrichContext) -> NoReturn:
        inside.append(inside_pipeline())
        raise LookupError

    Stage(looks).attributes()
    assert inside == [True]
    assert not inside_pipeline()


def test_the_callers_interrupt_passes() -> None:
    """Ctrl-C is the caller's; the mark is gone, and so is the note that somebody is inside."""

    def interrupted(record: RecordView, context: EnrichContext) -> NoReturn:
        raise KeyboardInterrupt

    stage = Stage(interrupted)
    with pytest.raises(KeyboardInterrupt):
        stage.attributes()
    stage.now += 100.0
    with pytest.raises(KeyboardInterrupt):  # it is on, and nobody is thought to hang in it
        stage.attributes()
    assert not inside_pipeline()


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_what_plain_functions_can_raise_only_by_themselves_is_their_failure(error: type[BaseException]) -> None:
    """Fault 29: let out, it would cancel the task that logs, for whoever waits for it."""

    def cancelling(record: RecordView, context: EnrichContext) -> NoReturn:
        raise error

    stage = Stage(cancelling, returning({"b": 2}))
    assert stage.attributes(a=1) == {"a": 1, "b": 2}
    assert stage.failures == ["enricher:cancelling"]


# when it is switched off


def test_a_failure_costs_what_it_would_have_added() -> None:
    """Fault 29: the others run, and the failure is counted under its name."""
    stage = Stage(failing, returning({"b": 2}))
    assert stage.attributes(a=1) == {"a": 1, "b": 2}
    assert stage.failures == ["enricher:failing"]
    assert stage.said == ["enricher:failing failed, and added nothing to a record: LookupError"]
    assert not stage.switched_off


def test_it_is_switched_off_after_failures_in_a_row() -> None:
    """R4.4: one warning, no further call, the others go on; health has the reason."""
    stage = Stage(failing, returning({"b": 2}), failure_threshold=3)
    for _ in range(10):
        assert stage.attributes() == {"b": 2}
    assert len(stage.failures) == 3
    assert stage.said[3:] == ["enricher:failing is switched off: it failed 3 times in a row, last with LookupError"]
    assert stage.switched_off == {"enricher:failing": "failed 3 times in a row, last with LookupError"}


def test_one_success_forgives() -> None:
    """What fails now and then stays on."""
    answers = iter([KeyError(), KeyError(), None] * 5)

    def sometimes(record: RecordView, context: EnrichContext) -> None:
        answer = next(answers)
        if answer:
            raise answer

    stage = Stage(sometimes, failure_threshold=3)
    for _ in range(15):
        stage.attributes()
    assert (len(stage.failures), stage.switched_off) == (10, {})


def slow(stage: Callable[[], Stage], seconds: float) -> EnricherFunction:
    """An enricher that takes so many seconds of the stage's timer."""

    def takes_long(record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
        stage().now += seconds
        return {"slow": True}

    return takes_long


def test_31_it_is_switched_off_when_it_takes_too_long_once() -> None:
    """Fault 31: what it has found is kept, it is counted, said once, and never called again."""
    stage = Stage(slow(lambda: stage, 1.5), returning({"b": 2}), budget=1.0)
    assert stage.attributes() == {"slow": True, "b": 2}
    assert stage.attributes() == {"b": 2}
    assert stage.failures == ["enricher:takes_long"]
    assert stage.said == ["enricher:takes_long is switched off: it took 1.5 s, and enrich.budget is 1 s"]
    assert list(stage.switched_off) == ["enricher:takes_long"]


def test_31_a_failure_that_took_too_long_is_one_failure() -> None:
    """A call that waits for a time-out and then raises is counted once, and is the last one."""

    def times_out(record: RecordView, context: EnrichContext) -> NoReturn:
        stage.now += 1.5
        raise TimeoutError

    stage = Stage(times_out, budget=1.0)
    for _ in range(3):
        assert stage.attributes(a=1) == {"a": 1}
    assert stage.failures == ["enricher:times_out"]
    assert len(stage.said) == len(stage.switched_off) == 1


def test_31_the_budget_itself_is_allowed() -> None:
    """And each call has one of its own."""
    stage = Stage(slow(lambda: stage, 1.0), budget=1.0)
    for _ in range(5):
        assert stage.attributes() == {"slow": True}
    assert not stage.switched_off


def test_31_another_thread_does_not_follow_into_one_that_hangs() -> None:
    """Fault 31: nothing can interrupt it; but who comes later sees that somebody is stuck, and passes it by."""
    reached, release = threading.Event(), threading.Event()

    def hangs(record: RecordView, context: EnrichContext) -> None:
        reached.set()
        release.wait(20)

    stage = Stage(hangs, returning({"b": 2}), budget=1.0)
    thread = threading.Thread(target=stage.attributes)
    thread.start()
    try:
        assert reached.wait(10)
        stage.now += 1.5
        assert stage.attributes() == {"b": 2}  # would hang, if it were called
        assert stage.said == ["enricher:hangs is switched off: it took 1.5 s, and enrich.budget is 1 s"]
    finally:
        release.set()
        thread.join(10)
    assert stage.failures == ["enricher:hangs"]


def test_threads_that_overlap_harm_nobody() -> None:
    """Several inside at once, none of them for long."""
    barrier = threading.Barrier(4)

    def meets(record: RecordView, context: EnrichContext) -> None:
        barrier.wait(10)

    stage = Stage(meets)
    threads = [threading.Thread(target=stage.attributes) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not stage.switched_off
    assert not stage.failures


def test_a_forked_child_begins_anew() -> None:
    """What was switched off in the parent is on again, and a thread that hung there is not there."""
    stage = Stage(failing, failure_threshold=1)
    stage.attributes()
    assert stage.switched_off
    stage.reset()
    assert not stage.switched_off
    stage.attributes()
    assert len(stage.failures) == 2


def test_an_enricher_can_be_made_without_the_decorator() -> None:
    """The class is public; it refuses the same."""
    assert Enricher(returning(None), "mine").name == "mine"
    with pytest.raises(SettingsError, match="async"):
        Enricher(awaits, "mine")  # type: ignore[arg-type]
