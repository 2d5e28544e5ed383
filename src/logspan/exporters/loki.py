"""Grafana Loki by its native OTLP endpoint: https://grafana.com/docs/loki/latest/send-data/otel/.

Loki keeps `service.name` and other resource attributes as index labels, everything else as structured metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logspan.outcome import Delivered, Divisible, Outcome, Rejected
from logspan.transport import Answer, Compression, HttpSender, PayloadExporter, Tls, basic_auth

RETRYABLE = frozenset({429, 500, 502, 503, 504})
"""Rate limits and failures of the server; a 400 names records that will never be taken."""

_SPELLED = 32
_nameable = re.compile("[0-9A-Za-z]").search


class LokiExporter(PayloadExporter):
    """Posts OTLP to `{endpoint}/otlp/v1/logs`; `tenant_id` goes into `X-Scope-OrgID`.

    `timeout` is the wall-clock time of one attempt, in seconds. Raises `SettingsError` when an argument can never work.
    """

    def __init__(
        self,
        endpoint: str = "http://localhost:3100",
        *,
        tenant_id: str | None = None,
        username: str | None = None,
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        compression: Compression = "gzip",
        timeout: float = 10.0,
        certificate: Path | None = None,
    ) -> None:
        super().__init__(timeout, valid_names)
        own = {"content-type": "application/x-protobuf", "user-agent": "logspan"}
        if tenant_id:
            own["x-scope-orgid"] = tenant_id
        if username:
            own |= basic_auth(username, password or "")
        self._sender = HttpSender(
            f"{endpoint.rstrip('/')}/otlp/v1/logs",
            headers={**(headers or {}), **own},
            compression=compression,
            timeout=timeout,
            tls=Tls(certificate),
        )

    def send(self, payload: bytes, records: int, timeout: float) -> Outcome:
        """Post one request; what the answer means is `read_answer`'s to say."""
        del records
        answer = self._sender.post(payload, timeout)
        return read_answer(answer) if isinstance(answer, Answer) else answer

    def divisible(self, refusal: Rejected) -> Divisible:
        """413 for the size; 400 for one record that is too old or too large, with which Loki may refuse all others.

        What Loki has taken from a batch that it answers with 400 may be sent again: it knows an entry that it has.
        """
        if refusal.status == "413":
            return "size"
        return "content" if refusal.status == "400" else "no"

    def close(self) -> None:
        """Close the connection; a request under way fails at once."""
        self._sender.close()

    def reset_after_fork(self) -> None:
        """Use a connection of this process's own."""
        self._sender.reset_after_fork()


def read_answer(answer: Answer) -> Outcome:
    """204 is Loki's success; 260 says that the records were blocked by policy, and is none."""
    if answer.status == 204:
        return Delivered()
    message = "blocked by a policy of Loki" if answer.status == 260 else answer.status_message()
    if answer.status == 200:
        message = "not Loki's answer, which is 204"
    return answer.refusal(RETRYABLE, message)


def valid_names(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same attributes under names that Loki takes.

    It refuses a whole request for one name without an ASCII letter or digit. Such a name is spelled out by its code
    points: `日本` becomes `key_65e5_672c`.
    """
    if all(map(_nameable, attributes)):
        return attributes
    return {key if _nameable(key) else _spelled(key): value for key, value in attributes.items()}


def _spelled(key: str) -> str:
    return "_".join(("key", *(f"{ord(character):x}" for character in key[:_SPELLED])))
