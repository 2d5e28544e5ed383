"""R7.1, fault 30: secrets planted in every place where leaks survive; none is found in any byte that leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from logspan.testing import OtlpSink, Reply
from tests.canary.canaries import PLACES
from tests.canary.search import forms, leaks, missing
from tests.canary.support import CANARIES, SECRETS, on, plant, said_by_cli, sent, service


def test_no_canary_leaves_by_console_file_or_otlp(tmp_path: Path) -> None:
    """Console (JSON), standard error, file, OTLP logs and spans, Loki: every canary arrived, and no secret did.

    Nor is one in what `logspan redact` says of the file, in health, the ledger, or metrics.
    """
    with OtlpSink() as sink:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            "LOGSPAN_LOKI__ENDPOINT": sink.endpoint,
            "LOGSPAN_EXPORTERS": "console,file,otlp,loki",
            "LOGSPAN_SHUTDOWN_TIMEOUT": "20",
        }
        with service(tmp_path, **environment) as running:
            plant(running)
        outputs = {**running.outputs(), "OTLP logs": sent(sink, "/v1/logs", but="/otlp")}
        outputs |= {"Loki": sent(sink, "/otlp/v1/logs"), "OTLP spans": sent(sink, "/traces")}
        outputs["logspan redact"] = said_by_cli(running, "redact", "check", "--json", "log.jsonl")
    assert b"HealthReport" in outputs["report"]
    for name in ("stdout", "log.jsonl", "OTLP logs", "Loki"):
        unwritten = ("access-line", "resource") if name == "stdout" else ("access-line",)
        assert missing(outputs[name], on("logs", but=unwritten)) == [], name
    assert missing(outputs["OTLP spans"], on("spans")) == []
    assert leaks(outputs, CANARIES) == []


@pytest.mark.slow
def test_no_canary_is_on_the_console_or_in_the_spool(tmp_path: Path) -> None:
    """Console (pretty), standard error, and the files of the spool while the peer is down."""
    answer = f"password={SECRETS['canary-peer-answer']}".encode()
    with OtlpSink(decide=lambda _: Reply(503, body=answer, headers={"content-type": "text/plain"})) as sink:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            "LOGSPAN_EXPORTERS": "console,otlp",
            "LOGSPAN_CONSOLE__FORMAT": "pretty",
            "LOGSPAN_FILE_STORAGE__DIRECTORY": str(tmp_path / "service" / "spool"),
            "LOGSPAN_FILE_STORAGE__MODE": "always",
            "LOGSPAN_REQUEST__RECORD": "false",  # so the server's own lines are there
            "LOGSPAN_SHUTDOWN_TIMEOUT": "2",
        }
        with service(tmp_path / "service", **environment) as running:
            plant(running)
        outputs = {**running.outputs(), "OTLP logs": sent(sink, "/logs"), "OTLP spans": sent(sink, "/traces")}
        outputs["logspan spool"] = said_by_cli(running, "spool", "status", "--directory", "spool")
    spool = b"".join(data for name, data in outputs.items() if name.startswith("spool/"))
    # what is logged after the lifespan's end has no time left while the peer is down, and is counted
    assert missing(spool, on("logs", but=("uncaught",))) == []
    assert missing(outputs["stdout"], on("logs", but=("resource", "uncaught"))) == []
    assert leaks(outputs, CANARIES) == []


@pytest.mark.slow
def test_without_redaction_every_canary_is_found(tmp_path: Path) -> None:
    """The search can see: with redaction off each secret that no limit cuts off is found in what OTLP sends."""
    with OtlpSink() as sink:
        with service(
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint,
            LOGSPAN_EXPORTERS="otlp",
            LOGSPAN_SHUTDOWN_TIMEOUT="20",
            LOGSPAN_REQUEST__RECORD="false",
            LOGSPAN_REDACTION__ENABLED="false",
        ) as running:
            plant(running)
        outputs = {"logs": sent(sink, "/logs"), "spans": sent(sink, "/traces")}
    found = {leak.partition(" in ")[0] for leak in leaks(outputs, CANARIES)}
    assert [canary.name for canary in CANARIES if canary.name not in found and not canary.cut] == []


def test_there_are_enough_of_them_and_none_is_in_another() -> None:
    """At least fifty, each of its own."""
    assert len({canary.secret for canary in CANARIES}) == len(CANARIES) >= 50
    for canary in CANARIES:
        others = b" ".join(other.secret.encode() for other in CANARIES if other is not canary)
        assert not any(form in others for form in forms(canary.secret)), canary.name


def test_every_place_where_leaks_survive_has_its_canaries() -> None:
    """Each of them is there, and none is in no place."""
    names = {f"canary-{name}" for place in PLACES.values() for name in place.split()}
    known = {canary.name for canary in CANARIES}
    assert names <= known
    assert all(place.split() for place in PLACES.values())
