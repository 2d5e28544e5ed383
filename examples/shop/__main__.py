"""The shop under uvicorn, as a program: `python -m examples.shop --port 8000`.

With `--ledger FILE` it writes what became of its records when it ends.
"""

import argparse
import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn

from examples.shop.app import app, handle


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--ledger", type=Path)
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        uvicorn.run(app, host="127.0.0.1", port=options.port)
    report = handle.shutdown()
    if options.ledger:
        options.ledger.write_text(json.dumps(report, default=_plain), encoding="utf-8")


def _plain(value: Any) -> dict[str, Any]:
    """A report is made of frozen dataclasses and read-only mappings."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(value)


if __name__ == "__main__":
    main()
