"""Enrichers through a whole pipeline: given at each entrance, named by settings, in a request, in a forked child."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from logspan import (
    EnrichContext,
    Enricher,
    InstrumentationError,
    RecordView,
    Settings,
    SettingsError,
    UnknownPluginError,
    build_pipeline,
    configure_logging,
    enricher,
    instrument_app,
)
from logspan.pipeline import Pipeline
from logspan.plugins import create_enricher
from logspan.testing import InMemoryExporter
from tests.core.support import attributes_of, bodies, log
from tests.core.test_fork import run
from tests.fastapi.support import TestClient, watched
from tests.test_plugins import register

QUIET: dict[str, Any] = {"tracing": {"instrumentation": "off"}, "metrics": {"enabled": False}}


@enricher
def tenant(record: RecordView, context: EnrichContext) -> Mapping[str, Any] | None:
    """The tenant of the request, from a header."""
    request = context.request
    return None if request is None else {"tenant": request.header("x-tenant"), "at": request.route}


@enricher(name="static")
def region(record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
    """The same for all records."""
    return {"region": "eu", "password": "hunter2"}


def after(pipeline: Pipeline, memory: InMemoryExporter) -> list[dict[str, Any]]:
    """The attributes of what was delivered."""
    assert pipeline.flush(10)
    return [attributes_of(record) for record in memory.records()]


def test_build_pipeline_takes_them() -> None:
    """R4.4: in a sequence or by name; they run in order, and what they add is redacted like everything else."""
    memory = InMemoryExporter()
    pipeline = build_pipeline(Settings(), exporters={"memory": memory}, enrichers=[region, lambda r, c: {"n": 1}])
    log(pipeline, order=1)
    (attributes,) = after(pipeline, memory)
    assert pipeline.shutdown().complete
    assert attributes == {"order": 1, "region": "eu", "password": "[REDACTED:password]", "n": 1}


def test_two_pipelines_do_not_touch_each_other() -> None:
    """R13.1: one function in two pipelines is switched off in one of them."""

    def fails_for(record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
        return {"fine": record.attributes["needed"]}

    settings = Settings(enrich={"failure_threshold": 1})  # type: ignore[arg-type]
    one = build_pipeline(settings, exporters={}, enrichers=[fails_for])
    other = build_pipeline(settings, exporters={}, enrichers=[fails_for])
    log(one)
    log(other, needed=1)
    assert (one.health().status, other.health().status) == ("degraded", "ok")
    assert one.shutdown().complete
    assert other.shutdown().complete


def test_configure_logging_takes_them() -> None:
    """R4.4: any source's records are enriched."""
    memory = InMemoryExporter()
    with configure_logging(Settings(**QUIET), exporters={"memory": memory}, enrichers={"where": region}) as handle:
        logging.getLogger("app").warning("through the standard library")
        assert handle.flush(10)
    assert bodies(memory.records()) == ["through the standard library"]
    assert attributes_of(memory.records()[0])["region"] == "eu"


def test_the_records_of_a_request_are_enriched_from_it() -> None:
    """R4.4: those of the endpoint, and the request's own; records outside of a request are not."""
    app = FastAPI()

    @app.get("/orders/{order_id}")
    def order(order_id: int) -> None:
        logging.getLogger("app").warning("order %s", order_id)

    with watched(app, enrichers=[tenant], **QUIET) as seen:
        with TestClient(app) as client:
            client.get("/orders/42", headers={"X-Tenant": "acme"})
        logging.getLogger("app").warning("outside")
        records = {str(record.body).split()[0]: record.attributes for record in seen.records()}
    assert {records[name]["tenant"] for name in ("order", "GET")} == {"acme"}
    assert {records[name]["at"] for name in ("order", "GET")} == {"/orders/{order_id}"}
    assert "tenant" not in records["outside"]


PLUGIN = """
class Zone:
    def __call__(self, record, context):
        return {"zone": "a"}

class Greedy:
    def __init__(self, must):
        pass

async def waits(record, context):
    pass

def plain(record, context):
    return {"plain": True}
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers two good enrichers and three bad ones."""
    (tmp_path / "acme_enrichers.py").write_text(PLUGIN)
    targets = {"zone": "Zone", "plain": "plain", "greedy": "Greedy", "waits": "waits", "gone": "gone"}
    points = {name: f"acme_enrichers:{target}" for name, target in targets.items()}
    register(tmp_path, points, "logspan_enricher")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_enrichers", raising=False)


@pytest.mark.usefixtures("acme")
def test_packages_register_them_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.4: a function, or a class that is made with no arguments; before those that the application gives."""
    monkeypatch.setenv("LOGSPAN_ENRICH__ENRICHERS", "zone,plain")
    memory = InMemoryExporter()
    pipeline = build_pipeline(Settings(), exporters={"memory": memory}, enrichers=[lambda r, c: {"zone": "b", "x": 1}])
    log(pipeline)
    (attributes,) = after(pipeline, memory)
    assert pipeline.shutdown().complete
    assert attributes == {"zone": "a", "plain": True, "x": 1}


@pytest.mark.usefixtures("acme")
def test_an_unknown_name_is_told_with_its_setting_and_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """R10.3: who set it, what comes near, what there is."""
    monkeypatch.setenv("LOGSPAN_ENRICH__ENRICHERS", "zona")
    expected = (
        r"^LOGSPAN_ENRICH__ENRICHERS: no enricher is registered as 'zona'; did you mean 'zone' or 'gone'\? "
        r"Known: gone, greedy, plain, waits, zone$"
    )
    with pytest.raises(UnknownPluginError, match=expected):
        build_pipeline(Settings(), exporters={})


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(("name", "said"), [("greedy", "TypeError"), ("waits", "is async"), ("gone", "AttributeError")])
def test_a_broken_registration_is_named(name: str, said: str) -> None:
    """With the package that it comes from, at start-up."""
    with pytest.raises(UnknownPluginError, match=rf"(?s)enricher '{name}'.*acme-logs.*{said}"):
        create_enricher(name, Settings())


def test_what_cannot_be_an_enricher_is_refused_at_start_up() -> None:
    """R4.4: sync only, said before the first record."""

    async def waits(record: RecordView, context: EnrichContext) -> None:
        """No enricher."""

    with pytest.raises(SettingsError, match="enricher 'waits': it is async"):
        build_pipeline(Settings(), exporters={}, enrichers=[waits])  # type: ignore[list-item]


@pytest.mark.parametrize("names", [["a", "a"], ["", "b"], ["none", "b"]])
def test_names_are_given_once(names: list[str]) -> None:
    """R10.3: `none` alone is the empty list."""
    with pytest.raises(SettingsError, match="names of enrichers, each once; `none` stands alone"):
        Settings(enrich={"enrichers": names})  # type: ignore[arg-type]
    assert Settings(enrich={"enrichers": ["none"]}).enrich.enrichers == []  # type: ignore[arg-type]


def test_names_that_clash_are_told_apart() -> None:
    """The ledger counts each on its own."""

    def fails(record: RecordView, context: EnrichContext) -> None:
        raise LookupError

    pipeline = build_pipeline(Settings(), exporters={}, enrichers=[Enricher(fails, "a"), Enricher(fails, "a")])
    log(pipeline)
    assert dict(pipeline.shutdown().ledger.processor_errors) == {"enricher:a": 1, "enricher:a#2": 1}


def test_a_forked_child_has_them_all() -> None:
    """Fault 25: what was switched off in the parent, or hung in one of its threads, is on again in the child."""
    run(
        """
        calls = []
        def fails(record, context):
            calls.append(os.getpid())
            raise LookupError
        settings = Settings(service_name="test", enrich={"failure_threshold": 1})
        p = build_pipeline(settings, exporters={}, enrichers=[fails])
        sys.__stderr__ = None  # it would be told there
        log(p)
        log(p)
        assert len(calls) == 1
        assert p.health().causes
        def work():
            assert not p.health().causes
            log(p)
            log(p)
            assert len(calls) == 2
            assert p.shutdown(5).ledger.processor_errors == {"enricher:fails": 1}
        ended(child(work))
        p.shutdown(5)
        """
    )


def test_they_do_not_go_with_a_pipeline_that_is_made_already() -> None:
    """R10.3: what would be of no effect is refused."""
    pipeline = build_pipeline(Settings(), exporters={})
    with pytest.raises(InstrumentationError, match="enrichers go to the build_pipeline"):
        instrument_app(FastAPI(), Settings(**QUIET), pipeline=pipeline, enrichers=[tenant])
    assert pipeline.shutdown().complete
