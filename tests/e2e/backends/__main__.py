"""Keep the backends running for a look around: `python -m tests.e2e.backends [FOLDER]`, until Ctrl-C.

Built when they are missing; data goes into FOLDER (by default a temporary one), ports are free ones and are printed.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from tests.e2e.backends.build import BuildError, build
from tests.e2e.backends.run import collector, jaeger, loki


def main(arguments: list[str]) -> int:
    """Start Loki, Jaeger and a Collector that feeds both; print the endpoints; wait for SIGINT or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in ("collector", "loki", "jaeger"):
            build(name)
        with contextlib.ExitStack() as stack:
            folder = arguments[0] if arguments else stack.enter_context(tempfile.TemporaryDirectory(prefix="backends-"))
            serve(Path(folder).resolve(), stack)
            signal.pause()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def serve(folder: Path, stack: contextlib.ExitStack) -> None:
    """Start the backends, to be stopped by `stack`, and say where they are."""
    logs = stack.enter_context(loki(folder))
    traces = stack.enter_context(jaeger(folder))
    gate = stack.enter_context(collector(folder, loki=logs.otlp_endpoint, jaeger=traces.otlp_grpc))
    print(f"OTEL_EXPORTER_OTLP_ENDPOINT={gate.http_endpoint}   # OTLP over HTTP; gRPC: http://{gate.grpc_endpoint}")
    print(f"Jaeger  {traces.url}")
    print(f"Loki    {logs.url}")
    print(f"files   {gate.data}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
