"""Who speaks (R4.1): what is configured, what is detected, in time and once, and what a forked child changes of it."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource, ResourceDetector

from logspan import LogspanError, Settings, SettingsError, UnknownPluginError, build_pipeline
from logspan.plugins import create_detectors
from logspan.resource import build_resource, resource_of_child
from logspan.resource.container import ContainerDetector, KubernetesDetector
from logspan.resource.detection import NamedDetector, detect
from logspan.resource.machine import HostDetector, OsDetector
from logspan.settings.kubernetes import VARIABLES, kubernetes_variables
from tests.core.test_fork import run
from tests.test_plugins import register

ID = "0123456789abcdef" * 4
OTHER = "f" * 64
UID = "6e5ba9a9-4a14-4b34-8f4b-1c6c1a3d2b7e"


class Found(ResourceDetector):
    """Finds what it is told to."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self._attributes = attributes

    def detect(self) -> Resource:
        return Resource(self._attributes, "https://opentelemetry.io/schemas/1.9.0")


class Fails(ResourceDetector):
    """Raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def detect(self) -> Resource:
        raise self._error


class Hangs(ResourceDetector):
    """Like a cloud's metadata endpoint that drops what it gets."""

    release = threading.Event()

    def detect(self) -> Resource:
        self.release.wait(30)
        return Resource({"late": True})


@pytest.fixture(autouse=True)
def _released() -> Any:
    Hangs.release.clear()
    yield
    Hangs.release.set()


def attributes(**settings: Any) -> dict[str, Any]:
    """The resource of a pipeline."""
    pipeline = build_pipeline(Settings(**settings), exporters={})
    try:
        return dict(pipeline.resource.attributes)
    finally:
        pipeline.shutdown(1)


def tree(root: Path, files: dict[str, str]) -> Path:
    """A file system."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# a pipeline's resource


def test_where_it_runs_is_detected_by_default() -> None:
    """R4.1: host, operating system and process, by the names of the conventions; nothing is empty."""
    found = attributes(service_name="shop")
    assert found["service.name"] == "shop"
    assert found["host.name"] == socket.gethostname()
    assert found["process.pid"] == os.getpid()
    assert found["process.parent_pid"] == os.getppid()
    assert found["process.runtime.name"] == sys.implementation.name
    assert found["telemetry.sdk.language"] == "python"
    assert {"os.type", "os.version", "process.executable.name", "process.runtime.version"} <= set(found)
    assert "" not in found.values()


def test_arguments_are_left_out_unless_asked_for() -> None:
    """They may hold secrets; what is recognised of those is masked."""
    assert not {"process.command_args", "process.command_line"} & set(attributes())
    assert attributes(resource={"command_args": True})["process.command_args"]


def test_secrets_in_arguments_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redaction is for the resource as well."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "shop", "--db=postgres://u:hunter2@db/x"])
    found = attributes(resource={"command_args": True})
    assert "postgres://u:" in str(found)
    assert "hunter2" not in str(found)


def test_what_is_detected_survives_redaction() -> None:
    """Ids are no secrets: as built, so sent."""
    found = {"host.id": "3d1219c7c4c5404aaa1f6d2a48adfda4", "container.id": ID, "k8s.pod.uid": UID}
    assert found.items() <= attributes(resource_attributes=found).items()


def test_none_are_run_when_none_are_named() -> None:
    """Then there is what OpenTelemetry asks for, and the process id."""
    assert set(attributes(resource={"detectors": ["none"]})) == {
        *("telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"),
        *("service.name", "service.instance.id", "process.pid"),
    }


def test_a_service_with_no_name_is_called_what_the_specification_says() -> None:
    """https://opentelemetry.io/docs/specs/semconv/resource/#service."""
    assert attributes()["service.name"] == f"unknown_service:{Path(sys.executable).name}"


def test_what_is_configured_goes_before_what_was_detected() -> None:
    """And a detected name before the one that is made up."""
    detected = {"service.name": "detected", "host.name": "detected", "cloud.region": "eu", "service.instance.id": "i-1"}
    plain = build_resource(Settings(), detected).attributes
    assert (plain["service.name"], plain["service.instance.id"], plain["cloud.region"]) == ("detected", "i-1", "eu")
    settings = Settings(service_name="shop", service_instance_id="mine", resource_attributes={"host.name": "web-1"})
    resource = build_resource(settings, detected).attributes
    expected = {"service.name": "shop", "host.name": "web-1", "service.instance.id": "mine"}
    assert expected.items() <= resource.items()


# running detectors


def test_later_detectors_count() -> None:
    """In the order in which they are named, whatever the schema that each has in mind; empty values are no values."""
    found = detect(
        [
            NamedDetector("one", Found(a=1, b=1, c="kept")),
            NamedDetector("two", Found(b=2, c="", d=None), local=True),
            NamedDetector("three", Found(a=3)),
        ],
        timeout=10.0,
    )
    assert (dict(found.attributes), dict(found.problems)) == ({"a": 3, "b": 2, "c": "kept"}, {})


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt()])
def test_one_that_raises_costs_only_its_own(error: BaseException, local: bool) -> None:
    """It never stops the start; its problem has a name, and no text that might hold a secret."""
    detectors = [NamedDetector("bad", Fails(error), local=local), NamedDetector("good", Found(a=1), local=True)]
    found = detect(detectors, timeout=10.0)
    assert dict(found.attributes) == {"a": 1}
    assert dict(found.problems) == {"bad": f"failed with {type(error).__name__}"}


def test_all_together_have_one_budget() -> None:
    """Three that hang cost no more than one; what the others find is there."""
    hanging = [NamedDetector(f"hangs-{number}", Hangs()) for number in range(3)]
    started = time.monotonic()
    found = detect([*hanging, NamedDetector("good", Found(a=1))], timeout=1.0)
    assert time.monotonic() - started < 15.0
    assert dict(found.attributes) == {"a": 1}
    assert set(found.problems.values()) == {"did not answer in time"}


def test_what_comes_late_is_not_taken() -> None:
    """The resource of a process does not change while it runs."""
    found = detect([NamedDetector("hangs", Hangs())], timeout=0.05)
    Hangs.release.set()
    for thread in threading.enumerate():
        if thread.name == "logspan-detect":
            thread.join(10)
    assert dict(found.attributes) == {}


PLUGIN = """
from opentelemetry.sdk.resources import Resource, ResourceDetector
import threading

class Region(ResourceDetector):
    def detect(self):
        return Resource({"cloud.region": "eu"})

class Hangs(ResourceDetector):
    def detect(self):
        threading.Event().wait(10)
        return Resource({"late": True})

class Broken(ResourceDetector):
    def detect(self):
        raise LookupError("hunter2")

class Foreign:
    pass
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers a good detector and three bad ones."""
    (tmp_path / "acme_detectors.py").write_text(PLUGIN)
    targets = {"acme": "Region", "acme_hangs": "Hangs", "acme_broken": "Broken", "acme_foreign": "Foreign"}
    points = {name: f"acme_detectors:{target}" for name, target in targets.items()}
    register(tmp_path, points, "opentelemetry_resource_detector")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_detectors", raising=False)


@pytest.mark.usefixtures("acme")
def test_the_standard_variable_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.1: detectors of packages by `OTEL_EXPERIMENTAL_RESOURCE_DETECTORS`, in place of the default."""
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "otel,acme,host,service_instance")
    found = attributes()
    assert (found["cloud.region"], "host.name" in found, "os.type" in found) == ("eu", True, False)
    monkeypatch.setenv("LOGSPAN_RESOURCE__DETECTORS", "os")
    assert "cloud.region" not in attributes()


@pytest.mark.usefixtures("acme")
def test_failures_are_counted_and_said_and_the_start_goes_on(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.1: within `resource.timeout`; the message has no text of the error."""
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    settings = Settings(resource={"detectors": ["acme_hangs", "acme_broken", "acme"], "timeout": 1.0})  # type: ignore[arg-type]
    pipeline = build_pipeline(settings, exporters={})
    assert pipeline.resource.attributes["cloud.region"] == "eu"
    counted = dict(pipeline.shutdown(1).ledger.processor_errors)
    assert counted == {"detector:acme_broken": 1, "detector:acme_hangs": 1}
    said = capfd.readouterr().err
    assert "resource detector 'acme_hangs' did not answer in time" in said
    assert "resource detector 'acme_broken' failed with LookupError" in said
    assert "hunter2" not in said


@pytest.mark.usefixtures("acme")
def test_a_star_stands_for_all_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and those of packages, each once; what cannot be made is passed over."""
    points = list(entry_points(group="opentelemetry_resource_detector"))
    others = {point.name for point in points if not point.value.startswith("acme")}
    names = [named.name for named in create_detectors(Settings(resource={"detectors": ["*", "acme"]}))]  # type: ignore[arg-type]
    assert names[-1] == "acme"
    assert len(names) == len(set(names))
    expected = others | {"container", "k8s", "acme", "acme_hangs", "acme_broken"}
    assert set(names) == expected - {"otel", "service_instance"}


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hots", r"^argument resource.detectors: no resource detector is registered as 'hots'; did you mean 'host'"),
        ("acme_foreign", "'acme_foreign'.*acme-logs.*no ResourceDetector"),
    ],
)
def test_a_wrong_name_is_told_with_its_neighbours(name: str, said: str) -> None:
    """R10.3: who set it, what comes near, what there is."""
    with pytest.raises(UnknownPluginError, match=said):
        build_pipeline(Settings(resource={"detectors": [name]}), exporters={})  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "extra"), [("aws_ec2", "aws"), ("gcp", "gcp"), ("azure_vm", "azure")])
def test_the_clouds_are_extras(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """R12.2: made from the packages when they are installed, else told what to install. Nobody is asked here."""
    settings = Settings(resource={"detectors": [name]})  # type: ignore[arg-type]
    (named,) = create_detectors(settings)
    assert isinstance(named.detector, ResourceDetector)
    assert not named.local
    monkeypatch.setattr("logspan.plugins.entry_points", lambda **_: [])
    with pytest.raises(LogspanError, match=rf"'{name}' needs a package: pip install 'logspan\[{extra}\]'"):
        create_detectors(settings)


def test_names_are_given_once() -> None:
    """R10.3: `none` stands alone."""
    with pytest.raises(SettingsError, match="names of resource detectors, each once; `none` stands alone"):
        Settings(resource={"detectors": ["host", "none"]})  # type: ignore[arg-type]


# our own detectors


def test_the_host(tmp_path: Path) -> None:
    """`host.id` is the machine id, from the first file that has one; the architecture has the conventions' name."""
    assert "host.id" not in HostDetector(tmp_path).detect().attributes
    tree(tmp_path, {"etc/machine-id": "\n", "var/lib/dbus/machine-id": "abc\n"})
    found = HostDetector(tmp_path).detect().attributes
    assert (found["host.id"], found["host.name"]) == ("abc", socket.gethostname())
    assert found["host.arch"] not in ("x86_64", "aarch64")


def test_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the SDK has it, and the distribution's name where there is one."""
    release = {"NAME": "Debian GNU/Linux", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    found = OsDetector().detect().attributes
    assert (found["os.name"], found["os.description"]) == (release["NAME"], release["PRETTY_NAME"])
    assert {"os.type", "os.version"} <= set(found)

    def missing() -> None:
        raise OSError

    monkeypatch.setattr("platform.freedesktop_os_release", missing)
    assert set(OsDetector().detect().attributes) == {"os.type", "os.version"}


DOCKER = f"617 610 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n"
OVERLAY = f"600 590 0:50 / / rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/{OTHER}/diff\n"
SANDBOX = f"620 610 254:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{OTHER}/hostname /etc/hostname rw\n"
CRIO_POD = f"621 610 0:24 /containers/storage/overlay-containers/{OTHER}/userdata/hostname /etc/hostname rw\n"
CRIO = f"622 610 0:24 /containers/storage/overlay-containers/{ID}/userdata/run/secrets /run/secrets rw\n"
PODMAN = f"623 610 0:24 /containers/overlay-containers/{ID}/userdata/.containerenv /run/.containerenv rw\n"


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "expected"),
    [
        (f"5:cpu:/docker/{ID}\n0::/\n", "", ID),
        (f"0::/system.slice/docker-{ID}.scope\n", "", ID),
        (f"9:pids:/kubepods/burstable/pod{UID}/{ID}\n", "", ID),
        (f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope\n", "", ID),
        (f"0::/machine.slice/libpod-{ID}.scope\n", "", ID),
        (f"4:cpu:/ecs/{'a' * 32}/{'b' * 32}-0123456789\n", "", f"{'b' * 32}-0123456789"),
        ("0::/\n", OVERLAY + DOCKER, ID),
        ("0::/\n", CRIO_POD + CRIO, ID),
        ("0::/\n", PODMAN, ID),
        ("0::/\n", OVERLAY + SANDBOX, None),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", OVERLAY, None),
        ("0::/process_api/e12b87f63be391faa41864eb44ada727\n", "", None),
        ("", "", None),
    ],
)
def test_the_container(cgroup: str, mountinfo: str, expected: str | None, tmp_path: Path) -> None:
    """Its id as each runtime shows it; never that of the pod's sandbox, of an image layer, or of a login session."""
    root = tree(tmp_path, {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo})
    assert ContainerDetector(root).detect().attributes.get("container.id") == expected


def pod(root: Path, files: dict[str, str], **variables: str) -> dict[str, Any]:
    """What is detected in a pod of such files and variables."""
    tree(root, files)
    detector = KubernetesDetector(root / "etc/podinfo", lambda: kubernetes_variables(variables), root)
    return dict(detector.detect().attributes)


def test_a_pod_is_told_by_its_variables(tmp_path: Path) -> None:
    """The downward API: each attribute by its own name in capitals, in a pod by the usual shorter ones too."""
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAME": "shop-1", "NODE_NAME": "node-1", "K8S_POD_UID": UID}
    expected = {"k8s.pod.name": "shop-1", "k8s.node.name": "node-1", "k8s.pod.uid": UID}
    assert pod(tmp_path, {}, **inside, POD_NAMESPACE="") == expected
    outside = {"NODE_NAME": "a build server's", "POD_NAME": "x", "K8S_CLUSTER_NAME": "c"}
    assert pod(tmp_path, {}, **outside) == {"k8s.cluster.name": "c"}


def test_each_attribute_has_its_variable() -> None:
    """None is forgotten, and no variable stands for two."""
    environ = {name.upper().replace(".", "_"): name for name in VARIABLES}
    assert kubernetes_variables(environ) == {name: name for name in VARIABLES}
    others = [other for names in VARIABLES.values() for other in names]
    assert len(set(others)) == len(others)


def test_a_pod_is_told_by_a_volume(tmp_path: Path) -> None:
    """The files of a downward API volume; a deployment where name and label agree; variables go before files."""
    labels = 'app="shop"\npod-template-hash="5d4f8c7b9"\nnote="a \\"quoted\\" one"\n'
    files = {"etc/podinfo/name": "shop-web-5d4f8c7b9-x2x4z", "etc/podinfo/namespace": "prod\n"}
    files |= {"etc/podinfo/uid": UID, "etc/podinfo/labels": labels}
    assert pod(tmp_path, files, K8S_NAMESPACE_NAME="from-environment") == {
        "k8s.pod.name": "shop-web-5d4f8c7b9-x2x4z",
        "k8s.namespace.name": "from-environment",
        "k8s.pod.uid": UID,
        "k8s.replicaset.name": "shop-web-5d4f8c7b9",
        "k8s.deployment.name": "shop-web",
    }


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("job-x2x4z", 'batch.kubernetes.io/job-name="job"', {"k8s.job.name": "job"}),
        ("db-0", 'statefulset.kubernetes.io/pod-name="db-0"', {"k8s.statefulset.name": "db"}),
        ("db-0", 'statefulset.kubernetes.io/pod-name="other-0"', {}),
        ("static", 'pod-template-hash="5d4f8c7b9"', {}),
    ],
)
def test_who_made_a_pod(name: str, labels: str, expected: dict[str, str], tmp_path: Path) -> None:
    """Only where it is certain."""
    found = pod(tmp_path, {"etc/podinfo/name": name, "etc/podinfo/labels": labels})
    assert found == {"k8s.pod.name": name, **expected}


def test_a_pod_that_was_told_nothing_knows_what_its_mounts_show(tmp_path: Path) -> None:
    """Its uid and the container's name are in the kubelet's paths, the namespace is with the service account."""
    log = f"/var/lib/kubelet/pods/{UID}/containers/web/3c0ad7c2 /dev/termination-log rw - ext4 /dev/vda1 rw"
    hosts = f"/var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/vda1 rw"
    files = {"proc/self/mountinfo": f"700 690 254:1 {log}\n701 690 254:1 {hosts}\n"}
    files["var/run/secrets/kubernetes.io/serviceaccount/namespace"] = "prod"
    expected = {"k8s.pod.uid": UID, "k8s.container.name": "web", "k8s.namespace.name": "prod"}
    assert pod(tmp_path, files) == expected


def test_a_pods_uid_in_its_control_group(tmp_path: Path) -> None:
    """Where there is no such mount; systemd writes it with underscores."""
    name = f"kubepods-burstable-pod{UID.replace('-', '_')}.slice"
    assert pod(tmp_path, {"proc/self/cgroup": f"0::/kubepods.slice/{name}/x.scope\n"}) == {"k8s.pod.uid": UID}


def test_outside_of_a_pod_there_is_nothing(tmp_path: Path) -> None:
    """No file, no variable: no attribute."""
    assert pod(tmp_path, {}) == {}


# in a forked child


def test_a_child_is_another_process_and_another_instance() -> None:
    """Fault 25: without detecting anew; a name that somebody gave the instance is kept."""
    detected: dict[str, Any] = {"process.parent_pid": 1, "host.name": "web-1"}
    parent = build_resource(Settings(), detected)
    child = resource_of_child(parent, Settings(), detected).attributes
    assert child["process.parent_pid"] == os.getppid()
    assert child["host.name"] == "web-1"
    assert child["service.instance.id"] != parent.attributes["service.instance.id"]
    named: dict[str, Any] = {"service.instance.id": "i-1"}
    assert resource_of_child(build_resource(Settings(), named), Settings(), named).attributes.items() >= named.items()


def test_nothing_is_detected_again_in_a_child() -> None:
    """R4.1: it would import modules and start threads in the midst of a fork."""
    run(
        """
        from opentelemetry.sdk.resources import Resource, ResourceDetector
        calls = []
        class Counts(ResourceDetector):
            def detect(self):
                calls.append(os.getpid())
                return Resource({"found": True})
        import logspan.plugins
        original = logspan.plugins.create_detectors
        import logspan.assemble
        from logspan.resource.detection import NamedDetector
        logspan.assemble.create_detectors = lambda settings: [*original(settings), NamedDetector("counts", Counts())]
        p = pipeline()
        parent = dict(p.resource.attributes)
        def work():
            child = dict(p.resource.attributes)
            assert calls == [os.getppid()]
            assert (child["process.pid"], child["process.parent_pid"]) == (os.getpid(), os.getppid())
            changed = {name for name in parent if parent[name] != child[name]}
            assert changed == {"process.pid", "process.parent_pid", "service.instance.id"}
            p.shutdown(5)
        ended(child(work))
        p.shutdown(5)
        """
    )
