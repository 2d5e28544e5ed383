"""Detectors of what every process runs on: its host, its operating system, itself."""

from __future__ import annotations

import platform
import socket
from pathlib import Path
from types import MappingProxyType

from opentelemetry.sdk.resources import OsResourceDetector, Resource, ResourceDetector
from opentelemetry.util.types import AnyValue

_ARCHITECTURES = MappingProxyType(
    {
        "x86_64": "amd64",
        "amd64": "amd64",
        "aarch64": "arm64",
        "arm64": "arm64",
        "i386": "x86",
        "i686": "x86",
        "armv6l": "arm32",
        "armv7l": "arm32",
        "ppc64le": "ppc64",
        "ppc": "ppc32",
    }
)
_MACHINE_IDS = ("etc/machine-id", "var/lib/dbus/machine-id", "etc/hostid")


class HostDetector(ResourceDetector):
    """`host.name`, `host.arch` by the names of the conventions, and `host.id` where the machine has one on file.

    https://opentelemetry.io/docs/specs/semconv/resource/host/#non-privileged-machine-id-lookup
    """

    def __init__(self, root: Path = Path("/")) -> None:
        super().__init__()
        self._root = root

    def detect(self) -> Resource:
        """No name is resolved, and no command run."""
        machine = platform.machine()
        found: dict[str, AnyValue] = {
            "host.name": socket.gethostname(),
            "host.arch": _ARCHITECTURES.get(machine.lower(), machine),
            "host.id": next(filter(None, (read_text(self._root / path).strip() for path in _MACHINE_IDS)), ""),
        }
        return Resource({name: value for name, value in found.items() if value})


class OsDetector(ResourceDetector):
    """What the SDK's detector has (`os.type`, `os.version`), and on Linux the distribution's `os.name` and description.

    https://opentelemetry.io/docs/specs/semconv/resource/os/
    """

    def detect(self) -> Resource:
        """Reads `/etc/os-release`, as freedesktop.org has it."""
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            release = {}
        named = {"os.name": release.get("NAME"), "os.description": release.get("PRETTY_NAME")}
        return Resource({name: value for name, value in named.items() if value}).merge(OsResourceDetector().detect())


def read_text(path: Path) -> str:
    """A small file's text; of one that cannot be read: nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
