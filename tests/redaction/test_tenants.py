"""R7.2: a hash is made with the key of the tenant that a record or a span belongs to, wherever the secret stands."""

from __future__ import annotations

import re
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.processors.redact import Redactor
from logspan.providers.redaction import SpanRedactor
from logspan.record import Record
from logspan.settings import RedactionSettings

MAIL = "kim@example.com"
DSN = "postgres://shop:s3cr3t-pw@db:5432/orders"
ELSEWHERE = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))


def redactor(**settings: Any) -> Redactor:
    return Redactor.from_settings(RedactionSettings(hash_key="k" * 32, **settings))  # type: ignore[arg-type]


def hashes(value: object) -> set[str]:
    return set(re.findall(r"#([0-9a-f]{16})", str(value)))


def record(tenant: Any) -> Record:
    """A record with the same secret in every place."""
    attributes = {"logspan.tenant.id": tenant, f"of {MAIL}": 1, "deep": {f"of {MAIL}": [MAIL]}, "to": MAIL}
    return Record(None, SeverityNumber.INFO, "INFO", f"mail {MAIL}", attributes, event_name=MAIL)


def span(tenant: Any) -> ReadableSpan:
    """A span with the same secret in every place."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    made = provider.get_tracer("t").start_span(
        f"to {MAIL}", attributes={"logspan.tenant.id": tenant, "to": MAIL}, links=[Link(ELSEWHERE, {"to": MAIL})]
    )
    made.add_event(f"sent {MAIL}", {"to": MAIL})
    made.set_status(Status(StatusCode.ERROR, f"no {MAIL}"))
    made.end()
    return memory.get_finished_spans()[0]


@pytest.mark.parametrize("tenants", [("x", "y"), (1, 2)], ids=["text", "integer"])
def test_every_hash_of_a_record_is_its_tenants(tenants: tuple[Any, Any]) -> None:
    """Bodies, event names, keys, values at any depth: one hash for one secret, another for another tenant."""
    own, seen = redactor(), list[set[str]]()
    for tenant in (*tenants, tenants[0]):
        made = record(tenant)
        own(made)
        assert MAIL not in str((made.body, made.attributes, made.event_name))
        assert len(re.findall("#[0-9a-f]{16}", str((made.body, made.attributes, made.event_name)))) == 6
        seen.append(hashes((made.body, made.attributes, made.event_name)))
    assert [len(found) for found in seen] == [1, 1, 1]
    assert seen[0] == seen[2] != seen[1]
    assert hashes(own.text(MAIL)) not in seen
    assert hashes(own.text(MAIL, tenant=str(tenants[0]))) == seen[0]


def test_every_hash_of_a_span_is_its_tenants() -> None:
    """Name, status, events and links have no tenant of their own: the span's counts."""
    own, seen = redactor(), list[set[str]]()
    silent: Any = None
    for tenant in ("x", 7):
        (safe,) = SpanRedactor(own, Ledger(), Notices(lambda: silent))([span(tenant)])
        shown = (safe.name, safe.status.description, [dict(link.attributes or {}) for link in safe.links])
        events = [(event.name, dict(event.attributes or {})) for event in safe.events]
        assert MAIL not in str((shown, events, dict(safe.attributes or {})))
        seen.append(hashes((shown, events, dict(safe.attributes or {}))))
    assert [len(found) for found in seen] == [1, 1]
    assert seen[0] == hashes(own.text(MAIL, tenant="x"))
    assert seen[1] == hashes(own.text(MAIL, tenant="7"))


def test_a_secret_in_a_key_is_counted_each_time() -> None:
    """Under the rule that finds it, like one in a value."""
    own = redactor()
    for _ in range(3):
        own.attributes({f"of {MAIL}": 1})
    assert own.hits == {"email": 3}
    (found,) = own.explain({f"of {MAIL}": 1})
    assert (found.rule, found.start, found.end) == ("email", 3, 3 + len(MAIL))
    assert MAIL not in str(own.explain({f"of {MAIL}": MAIL}))


def test_a_scope_is_redacted_in_every_part() -> None:
    """A logger's name may be made of anything; the same scope stays the same object."""
    own = redactor()
    scope = InstrumentationScope(f"pool {DSN}", f"1.0 {DSN}", f"https://u:s3cr3t-pw@h/{DSN}", {"dsn": DSN, "n": 1})
    made = [Record(scope, SeverityNumber.INFO, "INFO", "x", {}) for _ in range(2)]
    for each in made:
        own(each)
    safe = made[0].instrumentation_scope
    assert safe is not None
    assert safe is made[1].instrumentation_scope
    assert "s3cr3t" not in str((safe.name, safe.version, safe.schema_url, dict(safe.attributes or {})))
    assert (safe.name[:15], safe.attributes and safe.attributes["n"]) == ("pool postgres:/", 1)
    assert own.scope(scope) is safe


def test_a_plain_scope_stays_as_it_is() -> None:
    """Names, versions, what is not there."""
    own = redactor()
    for scope in (InstrumentationScope("shop.client", "1.2", "https://schema", {"a": 1}), InstrumentationScope("x")):
        safe = own.scope(scope)
        assert (safe.name, safe.version, safe.schema_url) == (scope.name, scope.version, scope.schema_url)
        assert dict(safe.attributes or {}) == dict(scope.attributes or {})
