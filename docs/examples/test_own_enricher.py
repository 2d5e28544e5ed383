import logging

from fastapi import FastAPI
from fastapi.testclient import TestClient
from own_enricher import OnCall, tenant

from logspan import Settings, instrument_app
from logspan.testing import InMemoryExporter, check_enricher


def test_they_keep_the_rules() -> None:
    check_enricher(tenant)
    check_enricher(OnCall({"contract": "core"}))


def test_they_add_to_the_records_of_a_request() -> None:
    app, memory = FastAPI(), InMemoryExporter()

    @app.get("/orders/{order_id}")
    def order(order_id: int) -> None:
        logging.getLogger("billing.cards").error("card refused")

    enrichers = [tenant, OnCall({"billing": "payments"})]
    with instrument_app(app, Settings(), exporters={"memory": memory}, enrichers=enrichers) as handle:
        TestClient(app).get("/orders/42", headers={"X-Tenant": "acme"})
        assert handle.flush(timeout=5.0)
        assert handle.pipeline.health().status == "ok"

    added = {str(item.log_record.body): dict(item.log_record.attributes or {}) for item in memory.records()}
    refused = added["card refused"]
    assert (refused["app.tenant"], refused["app.team"]) == ("acme", "payments")
    assert any(attributes.get("http.route") and attributes["app.tenant"] == "acme" for attributes in added.values())
