"""The sink's process, seen from the runner."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Self


class Receiver:
    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.endpoint = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def counts(self, run: str) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.endpoint}/counts", timeout=10) as answer:
            counts: dict[str, dict[str, int]] = json.load(answer)
        return counts.get(run, {"distinct": 0, "received": 0, "traced": 0})

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
