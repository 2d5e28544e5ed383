"""Spans without secrets: what redaction does to a record, done to a span before it is exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, TraceState

from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.processors.redact import Redactor, tenant_of


class SpanRedactor:
    """Makes spans for export: names, attributes, events, links, status and scope without secrets.

    The resource is the pipeline's, which has none. A span on which redaction fails is dropped, and counted among the
    ledger's `processor_errors` as `redact_span`.
    """

    def __init__(self, redactor: Redactor, ledger: Ledger, notices: Notices) -> None:
        self._redactor = redactor
        self._ledger = ledger
        self._notices = notices

    def __call__(self, spans: Sequence[ReadableSpan]) -> list[ReadableSpan]:
        """New spans in the place of these, which stay as they are; never raises."""
        return [safe for span in spans if (safe := self._guarded(span)) is not None]

    def _guarded(self, span: ReadableSpan) -> ReadableSpan | None:
        try:
            return self._span(span)
        except Exception as error:
            self._ledger.processor_errors.add("redact_span")
            self._notices.say("redact_span", f"redaction failed on a span, which is dropped: {type(error).__name__}")
            return None

    def _span(self, span: ReadableSpan) -> ReadableSpan:
        tenant = tenant_of(span.attributes or {})
        scope = span.instrumentation_scope
        return _Span(
            span,
            context=None if span.context is None else self._context(span.context, tenant),
            name=self._redactor.text(span.name, tenant=tenant),
            attributes=self._attributes(span.attributes, tenant),
            events=[self._event(event, tenant) for event in span.events],
            links=[self._link(link, tenant) for link in span.links],
            status=self._status(span.status, tenant),
            scope=None if scope is None else self._redactor.scope(scope),
        )

    def _attributes(self, attributes: Mapping[str, Any] | None, tenant: str) -> Any:
        return self._redactor.attributes(attributes, tenant=tenant) if attributes else {}

    def _context(self, context: SpanContext, tenant: str) -> SpanContext:
        """The ids, with a `tracestate` (W3C Trace Context) without secrets: any system on the way writes into it."""
        if not context.trace_state:
            return context
        members = self._redactor.attributes(dict(context.trace_state), tenant=tenant)
        if members == dict(context.trace_state):
            return context
        state = TraceState([(key, str(value)) for key, value in members.items()])
        return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, state)

    def _link(self, link: Link, tenant: str) -> Link:
        return _Link(link, self._context(link.context, tenant), self._attributes(link.attributes, tenant))

    def _event(self, event: Event, tenant: str) -> Event:
        return _Event(event, self._redactor.text(event.name, tenant=tenant), self._attributes(event.attributes, tenant))

    def _status(self, status: Status, tenant: str) -> Status:
        if not status.description:
            return status
        return Status(status.status_code, self._redactor.text(status.description, tenant=tenant))


class _Span(ReadableSpan):
    """A span that has ended, in other words; what was left out of it before stays counted."""

    def __init__(
        self,
        span: ReadableSpan,
        *,
        context: SpanContext | None,
        name: str,
        attributes: Any,
        events: Sequence[Event],
        links: Sequence[Link],
        status: Status,
        scope: InstrumentationScope | None,
    ) -> None:
        super().__init__(
            name,
            context=context,
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=events,
            links=links,
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=scope,
        )
        self._dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        """Those of the span itself that were over the SDK's limit."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """Its events over the limit."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """Its links over the limit."""
        return self._dropped[2]


class _Event(Event):
    def __init__(self, event: Event, name: str, attributes: Any) -> None:
        super().__init__(name, attributes, event.timestamp)
        self._dropped = event.dropped_attributes

    @property
    def dropped_attributes(self) -> int:
        """Those over the SDK's limit."""
        return self._dropped


class _Link(Link):
    def __init__(self, link: Link, context: SpanContext, attributes: Any) -> None:
        super().__init__(context, attributes)
        self._dropped = link.dropped_attributes

    @property
    def dropped_attributes(self) -> int:
        """Those over the SDK's limit."""
        return self._dropped
