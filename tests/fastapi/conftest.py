"""What the tests of the FastAPI edge share."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor


@pytest.fixture(scope="session", autouse=True)
def stable_conventions() -> None:
    """Contrib chooses its conventions once in a process: let no test's own use of it be the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        app = FastAPI()
        FastAPIInstrumentor.instrument_app(app)
        FastAPIInstrumentor.uninstrument_app(app)
