"""Detectors of the container and of the pod that a process runs in, from what the kernel and the kubelet show it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from opentelemetry.sdk.resources import Resource, ResourceDetector

from logspan.resource.machine import read_text

_UID = r"([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})"
_CGROUP = re.compile(r"/(?:[a-z-]+-)?([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{6,12})(?:\.scope)?$", re.MULTILINE)
# `sandboxes/`, and the overlay container that the host files come from, are the pod's own container and not this one
_MOUNT = re.compile(r"/containers/([0-9a-f]{64})/|/overlay-containers/([0-9a-f]{64})/userdata/(?!host|resolv)")
_POD_CGROUP = re.compile(rf"[/-]pod{_UID}(?:[./]|$)", re.MULTILINE)
_POD_MOUNT = re.compile(rf"/pods/{_UID}/(?:etc-hosts|containers/([^/ ]+)/[0-9a-f]+) ")
_LABEL = re.compile(r'^([^=\s]+)="((?:[^"\\]|\\.)*)"$', re.MULTILINE)


class ContainerDetector(ResourceDetector):
    """`container.id`, from the control groups of the process or from its mounts; nothing where it is not certain.

    Docker, containerd, CRI-O, Podman and ECS write it differently; with containerd under version 2 of the control
    groups it is not to be seen from inside. https://opentelemetry.io/docs/specs/semconv/resource/container/
    """

    def __init__(self, root: Path = Path("/")) -> None:
        super().__init__()
        self._process = root / "proc/self"

    def detect(self) -> Resource:
        """Reads two files of `/proc/self`."""
        found = _CGROUP.search(read_text(self._process / "cgroup"))
        found = found or _MOUNT.search(read_text(self._process / "mountinfo"))
        return Resource({"container.id": found[found.lastindex or 0]} if found else {})


class KubernetesDetector(ResourceDetector):
    """`k8s.*` of the pod: from its environment, else from the files of a downward API volume, else from its mounts.

    `variables` gives what the environment says. In the volume are read: `name`, `namespace`, `uid` and `labels`.
    https://opentelemetry.io/docs/specs/semconv/resource/k8s/
    """

    def __init__(self, podinfo: Path, variables: Callable[[], Mapping[str, str]], root: Path = Path("/")) -> None:
        super().__init__()
        self._podinfo = podinfo
        self._variables = variables
        self._root = root

    def detect(self) -> Resource:
        """Asks no server: what the pod was not told, it does not know."""
        account = self._root / "var/run/secrets/kubernetes.io/serviceaccount/namespace"
        found = {**self._mounts(), "k8s.namespace.name": read_text(account).strip(), **self._volume()}
        found = {name: value for name, value in found.items() if value} | dict(self._variables())
        return Resource({**_owner(found.get("k8s.pod.name", ""), self._labels()), **found})

    def _mounts(self) -> dict[str, str]:
        """The pod's uid and the container's name, which the kubelet has in the paths of what it mounts."""
        process = self._root / "proc/self"
        found: dict[str, str] = {}
        for uid, container in _POD_MOUNT.findall(read_text(process / "mountinfo")):
            found |= {"k8s.pod.uid": uid} | ({"k8s.container.name": container} if container else {})
        group = _POD_CGROUP.search(read_text(process / "cgroup"))
        if group and "k8s.pod.uid" not in found:
            found["k8s.pod.uid"] = group[1].replace("_", "-")
        return found

    def _volume(self) -> dict[str, str]:
        names = {"k8s.pod.name": "name", "k8s.namespace.name": "namespace", "k8s.pod.uid": "uid"}
        texts = {attribute: read_text(self._podinfo / name).strip() for attribute, name in names.items()}
        return {attribute: text for attribute, text in texts.items() if text}

    def _labels(self) -> dict[str, str]:
        return dict(_LABEL.findall(read_text(self._podinfo / "labels")))


def _owner(pod: str, labels: Mapping[str, str]) -> dict[str, str]:
    """What has made the pod, where its labels and its name agree on it."""
    found: dict[str, str] = {}
    job = labels.get("batch.kubernetes.io/job-name") or labels.get("job-name")
    if job:
        found["k8s.job.name"] = job
    template = labels.get("pod-template-hash")
    replicaset = pod.rpartition("-")[0]
    if template and replicaset.endswith(f"-{template}"):
        found["k8s.replicaset.name"] = replicaset
        found["k8s.deployment.name"] = replicaset.removesuffix(f"-{template}")
    if labels.get("statefulset.kubernetes.io/pod-name") == pod != "":
        found["k8s.statefulset.name"] = pod.rpartition("-")[0]
    return found
