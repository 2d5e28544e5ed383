"""Who speaks: the resource that stands on every record of a pipeline."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import AnyValue

if TYPE_CHECKING:
    from logspan.settings import Settings


def build_resource(settings: Settings) -> Resource:
    """The resource of this process, by the semantic conventions.

    What is configured comes first. `service.instance.id` is made when it is not configured; `process.pid` tells
    workers apart in either case.
    """
    named: dict[str, AnyValue] = {
        "service.name": settings.service_name,
        "service.namespace": settings.service_namespace,
        "service.version": settings.service_version,
        "service.instance.id": _configured_instance(settings) or str(uuid.uuid4()),
        "deployment.environment.name": settings.deployment_environment_name,
    }
    attributes: dict[str, AnyValue] = {"process.pid": os.getpid(), **settings.resource_attributes}
    return Resource.create(attributes | {key: value for key, value in named.items() if value})


def resource_of_child(parent: Resource, settings: Settings) -> Resource:
    """The resource in a forked child: another process, and another instance unless its id was configured.

    Made from the parent's: detecting it again would import modules and start threads in the middle of a fork.
    """
    instance = _configured_instance(settings) or str(uuid.uuid4())
    return parent.merge(Resource({"process.pid": os.getpid(), "service.instance.id": instance}))


def redacted_resource(resource: Resource, redact: Callable[[Mapping[str, object]], Mapping[str, AnyValue]]) -> Resource:
    """The resource without secrets. An attribute on which `redact` fails is left out: it is never sent as it is."""
    safe: dict[str, Any] = {}
    for key, value in resource.attributes.items():
        with suppress(Exception):
            safe |= redact({key: value})
    return Resource(safe, resource.schema_url)


def _configured_instance(settings: Settings) -> str | None:
    return settings.service_instance_id or settings.resource_attributes.get("service.instance.id")
