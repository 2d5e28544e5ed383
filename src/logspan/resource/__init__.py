"""Who speaks: the resource that stands on every record of a pipeline."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.version import __version__
from opentelemetry.util.types import AnyValue

if TYPE_CHECKING:
    from logspan.settings import Settings


def build_resource(settings: Settings, detected: Mapping[str, AnyValue] = MappingProxyType({})) -> Resource:
    """The resource of this process, by the semantic conventions.

    What is configured goes before what was detected. `service.instance.id` is made when neither has one; `process.pid`
    tells workers apart in any case. `Resource.create` would run detectors of its own, with no end to a hanging one.
    """
    named: dict[str, AnyValue] = {
        "service.name": settings.service_name,
        "service.namespace": settings.service_namespace,
        "service.version": settings.service_version,
        "service.instance.id": settings.service_instance_id,
        "deployment.environment.name": settings.deployment_environment_name,
    }
    return Resource(
        {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": __version__,
            "service.name": f"unknown_service:{Path(sys.executable or 'python').name}",
            "service.instance.id": str(uuid.uuid4()),
            **detected,
            "process.pid": os.getpid(),
            **settings.resource_attributes,
            **{key: value for key, value in named.items() if value},
        }
    )


def resource_of_child(parent: Resource, settings: Settings, detected: Mapping[str, AnyValue]) -> Resource:
    """The resource in a forked child: another process, and another instance unless somebody else has named it.

    Made from the parent's: detecting it again would import modules and start threads in the middle of a fork.
    """
    own: dict[str, AnyValue] = {"process.pid": os.getpid()}
    if "process.parent_pid" in detected:
        own["process.parent_pid"] = os.getppid()
    if not _names_the_instance(settings, detected):
        own["service.instance.id"] = str(uuid.uuid4())
    return parent.merge(Resource(own))


def _names_the_instance(settings: Settings, detected: Mapping[str, AnyValue]) -> bool:
    key = "service.instance.id"
    return bool(settings.service_instance_id or settings.resource_attributes.get(key) or detected.get(key))


def redacted_resource(resource: Resource, redact: Callable[[Mapping[str, object]], Mapping[str, AnyValue]]) -> Resource:
    """The resource without secrets. An attribute on which `redact` fails is left out: it is never sent as it is."""
    safe: dict[str, Any] = {}
    for key, value in resource.attributes.items():
        with suppress(Exception):
            safe |= redact({key: value})
    return Resource(safe, resource.schema_url)
