"""What a pod may tell its container in environment variables (the downward API), as attributes of the resource.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
https://opentelemetry.io/docs/specs/semconv/resource/k8s/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

VARIABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "k8s.cluster.name": (),
        "k8s.namespace.name": ("K8S_NAMESPACE", "POD_NAMESPACE", "MY_POD_NAMESPACE", "KUBERNETES_NAMESPACE"),
        "k8s.node.name": ("NODE_NAME", "MY_NODE_NAME"),
        "k8s.pod.name": ("POD_NAME", "MY_POD_NAME"),
        "k8s.pod.uid": ("POD_UID", "MY_POD_UID"),
        "k8s.pod.ip": ("POD_IP", "MY_POD_IP"),
        "k8s.container.name": ("CONTAINER_NAME",),
        "k8s.deployment.name": (),
        "k8s.replicaset.name": (),
        "k8s.statefulset.name": (),
        "k8s.daemonset.name": (),
        "k8s.job.name": (),
        "k8s.cronjob.name": (),
    }
)
"""Each attribute is read from its own name in capitals, `K8S_POD_NAME`; in a pod from these others as well."""

_IN_A_POD = "KUBERNETES_SERVICE_HOST"  # the kubelet sets it in every container


def kubernetes_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The attributes that the environment names; outside of a pod only those under their own names."""
    in_a_pod = bool(environ.get(_IN_A_POD))
    found: dict[str, str] = {}
    for attribute, others in VARIABLES.items():
        names = (attribute.upper().replace(".", "_"), *(others if in_a_pod else ()))
        value = next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
        if value is not None:
            found[attribute] = value
    return found
