"""The standard `OTEL_*` variables that settings honour, and what each means here.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from logspan.settings.report import MASK, Origin, Problem
from logspan.settings.schema import SettingPath, find, is_secret
from logspan.settings.sources import Entry, VariableSource, flattened_at
from logspan.settings.text import items, pairs

_OTLP = "OTEL_EXPORTER_OTLP_"


def _text(text: str) -> str:
    return text.strip()


def _milliseconds(text: str) -> float:
    try:
        return float(text) / 1000
    except ValueError:
        raise ValueError("must be a number of milliseconds") from None


def _limit(text: str) -> str:
    """The SDK reads `unset` as if the variable were not there."""
    return "" if text.strip().lower() == "unset" else text.strip()


@dataclass(frozen=True, slots=True)
class Rule:
    """One setting and the variables for it, the most specific first."""

    path: SettingPath
    names: tuple[str, ...]
    convert: Callable[[str], Any] = _text
    boolean: bool = False


def _signal(field: str, suffix: str, convert: Callable[[str], Any] = _text, *, boolean: bool = False) -> Rule:
    return Rule(("otlp", field), (f"{_OTLP}LOGS_{suffix}", f"{_OTLP}{suffix}"), convert, boolean)


RULES = (
    Rule(("sdk_disabled",), ("OTEL_SDK_DISABLED",), boolean=True),
    Rule(("resource_attributes",), ("OTEL_RESOURCE_ATTRIBUTES",), pairs),
    Rule(("service_name",), ("OTEL_SERVICE_NAME",)),
    Rule(("resource", "detectors"), ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",), items),
    Rule(("exporters",), ("OTEL_LOGS_EXPORTER",), items),
    Rule(("request", "known_methods"), ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",), items),
    Rule(("otlp", "endpoint"), (f"{_OTLP}ENDPOINT",)),
    Rule(("otlp", "logs_endpoint"), (f"{_OTLP}LOGS_ENDPOINT",)),
    Rule(("otlp", "traces_endpoint"), (f"{_OTLP}TRACES_ENDPOINT",)),
    _signal("protocol", "PROTOCOL"),
    _signal("headers", "HEADERS", pairs),
    _signal("compression", "COMPRESSION"),
    _signal("timeout", "TIMEOUT"),
    _signal("certificate", "CERTIFICATE"),
    _signal("client_key", "CLIENT_KEY"),
    _signal("client_certificate", "CLIENT_CERTIFICATE"),
    _signal("insecure", "INSECURE", boolean=True),
    Rule(("sending_queue", "queue_size"), ("OTEL_BLRP_MAX_QUEUE_SIZE",)),
    Rule(("sending_queue", "max_export_batch_size"), ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",)),
    Rule(("sending_queue", "schedule_delay"), ("OTEL_BLRP_SCHEDULE_DELAY",), _milliseconds),
    Rule(("limits", "max_attributes"), ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"), _limit),
    Rule(
        ("limits", "max_value_length"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        _limit,
    ),
)

_TRACES_HEADERS = Rule(("otlp", "traces_headers"), (f"{_OTLP}TRACES_HEADERS", f"{_OTLP}HEADERS"), pairs)
_TRACES_PROTOCOL = Rule(("otlp", "traces_protocol"), (f"{_OTLP}TRACES_PROTOCOL", f"{_OTLP}PROTOCOL"))
SPAN_RULES: tuple[tuple[Rule, str, Any], ...] = (
    (_TRACES_HEADERS, f"{_OTLP}LOGS_HEADERS", {}),
    (_TRACES_PROTOCOL, f"{_OTLP}LOGS_PROTOCOL", "http/protobuf"),
)
"""Where logs and spans are told apart: spans must not get the headers (secrets) that are meant for logs."""


class OtelSource(VariableSource):
    """`OTEL_*` variables, of the environment or of a `.env` file; their names are in upper case."""

    def entries(self) -> Iterator[Entry]:
        """The settings that the variables stand for."""
        for rule in RULES:
            yield from self._rule(rule)
        for rule, logs_only, otherwise in SPAN_RULES:
            if self._set(rule.names[0]) or self._set(logs_only):
                found = list(self._rule(rule))
                yield from found or [Entry(rule.path, otherwise, Origin(self.label + logs_only, rule.path))]

    def _set(self, name: str) -> bool:
        return bool(self.variables.get(name, "").strip())

    def _rule(self, rule: Rule) -> Iterator[Entry]:
        for name in rule.names:
            text = self.variables.get(name, "")
            if not text.strip():
                continue
            origin = Origin(self.label + name, rule.path, text)
            value = self._value(rule, origin, text)
            if value == "":
                continue
            if value is not None:
                yield from (
                    Entry(path, leaf, origin) for path, leaf in flattened_at(self.settings_cls, rule.path, value)
                )
            return

    def _value(self, rule: Rule, origin: Origin, text: str) -> Any:
        """The converted value; None when it is wrong, which is noted."""
        if rule.boolean:
            return self._boolean(origin.label, text)
        try:
            return rule.convert(text)
        except ValueError as error:
            _, field = find(self.settings_cls, rule.path)
            shown = MASK if field is None or is_secret(field) else repr(text)
            self.reading.problems.append(Problem(origin.label, str(error), shown))
            return None

    def _boolean(self, label: str, text: str) -> bool:
        """Only `true` is true, as the specification has it; what is neither true nor false makes a warning."""
        word = text.strip().lower()
        if word not in ("true", "false"):
            self.reading.warnings.append(f"{label}={text!r} counts as false; allowed are true and false")
        return word == "true"
