"""The standard OTEL_* variables (R1.3)."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk import environment_variables

from logspan.errors import SettingsError
from logspan.settings import OtlpSettings, Settings, SettingsWarning
from logspan.settings.otel import RULES, SPAN_RULES
from tests.settings.conftest import Env

OTLP = "OTEL_EXPORTER_OTLP_"


def value_of(settings: Settings, name: str) -> Any:
    """A setting by its dotted name, as `describe` has it."""
    return {line.name: line.value for line in settings.describe()}[name]


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("OTEL_SERVICE_NAME", "shop", "service_name", "shop"),
        ("OTEL_SDK_DISABLED", "TRUE", "sdk_disabled", True),
        ("OTEL_SDK_DISABLED", "false", "sdk_disabled", False),
        ("OTEL_LOGS_EXPORTER", "otlp,console", "exporters", ["otlp", "console"]),
        ("OTEL_LOGS_EXPORTER", "none", "exporters", []),
        ("OTEL_LOGS_EXPORTER", "my_exporter", "exporters", ["my_exporter"]),
        ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "host, aws_ec2", "resource.detectors", ["host", "aws_ec2"]),
        (f"{OTLP}ENDPOINT", "http://c:4318", "otlp.endpoint", "http://c:4318"),
        (f"{OTLP}LOGS_ENDPOINT", "http://c/own", "otlp.logs_endpoint", "http://c/own"),
        (f"{OTLP}TRACES_ENDPOINT", "http://c/own", "otlp.traces_endpoint", "http://c/own"),
        (f"{OTLP}PROTOCOL", "grpc", "otlp.protocol", "grpc"),
        (f"{OTLP}HEADERS", "api-key=hunter2,b=c", "otlp.headers", {"api-key": "***", "b": "***"}),
        (f"{OTLP}COMPRESSION", "none", "otlp.compression", "none"),
        (f"{OTLP}TIMEOUT", "2.5", "otlp.timeout", 2.5),
        (f"{OTLP}CERTIFICATE", "a.pem", "otlp.certificate", Path("a.pem")),
        (f"{OTLP}CLIENT_CERTIFICATE", "a.pem", "otlp.client_certificate", Path("a.pem")),
        (f"{OTLP}INSECURE", "true", "otlp.insecure", True),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "100", "sending_queue.queue_size", 100),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "10", "sending_queue.max_export_batch_size", 10),
        ("OTEL_BLRP_SCHEDULE_DELAY", "1000", "sending_queue.schedule_delay", 1.0),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "5", "limits.max_attributes", 5),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5", "limits.max_attributes", 5),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "50", "limits.max_value_length", 50),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "unset", "limits.max_value_length", 32_768),
    ],
)
def test_each_variable_sets_its_setting(
    variable: str, text: str, name: str, value: object, env: Env, empty_folder: Path
) -> None:
    """What each variable means here; a .env file may hold it as well."""
    (empty_folder / "a.pem").touch()
    (empty_folder / ".env").write_text(f"{variable}='{text}'\n")
    assert value_of(Settings.load(env_file=".env"), name) == value
    env(**{variable: text})
    assert value_of(Settings(), name) == value


@pytest.mark.parametrize(
    ("suffix", "general", "special", "field"),
    [
        ("PROTOCOL", "http/protobuf", "grpc", "protocol"),
        ("COMPRESSION", "gzip", "none", "compression"),
        ("TIMEOUT", "1", "2", "timeout"),
        ("INSECURE", "false", "true", "insecure"),
        ("CERTIFICATE", "a.pem", "b.pem", "certificate"),
        ("CLIENT_CERTIFICATE", "a.pem", "b.pem", "client_certificate"),
    ],
)
def test_the_variable_for_logs_goes_before_the_general_one(
    suffix: str, general: str, special: str, field: str, env: Env, empty_folder: Path
) -> None:
    """OTEL_EXPORTER_OTLP_LOGS_x replaces OTEL_EXPORTER_OTLP_x."""
    (empty_folder / "a.pem").touch()
    (empty_folder / "b.pem").touch()
    env(**{f"{OTLP}{suffix}": general})
    before = getattr(Settings().otlp, field)
    env(**{f"{OTLP}LOGS_{suffix}": special})
    after = getattr(Settings().otlp, field)
    assert (str(before).lower().removesuffix(".0"), str(after).lower().removesuffix(".0")) == (general, special)


def test_a_client_key_comes_with_its_certificate(env: Env, empty_folder: Path) -> None:
    """Both are read, each in its form for logs."""
    (empty_folder / "a.pem").touch()
    env(**{f"{OTLP}LOGS_CLIENT_KEY": "a.pem", f"{OTLP}LOGS_CLIENT_CERTIFICATE": "a.pem"})
    assert Settings().otlp.client_key == Path("a.pem")


def test_headers_for_logs_are_not_sent_with_spans(env: Env) -> None:
    """A secret for the receiver of logs does not reach the receiver of spans."""
    env(**{f"{OTLP}LOGS_HEADERS": "api-key=logs"})
    otlp = Settings().otlp
    assert otlp.resolved_logs_endpoint().headers["api-key"].get_secret_value() == "logs"
    assert otlp.resolved_traces_endpoint().headers == {}


def test_general_headers_are_sent_with_both(env: Env) -> None:
    """Spans get the general headers, unless they have their own."""
    env(**{f"{OTLP}HEADERS": "api-key=both"})
    assert Settings().otlp.resolved_traces_endpoint().headers["api-key"].get_secret_value() == "both"
    env(**{f"{OTLP}LOGS_HEADERS": "api-key=logs"})
    assert Settings().otlp.resolved_traces_endpoint().headers["api-key"].get_secret_value() == "both"
    env(**{f"{OTLP}TRACES_HEADERS": "api-key=spans"})
    assert Settings().otlp.resolved_traces_endpoint().headers["api-key"].get_secret_value() == "spans"
    assert Settings().otlp.resolved_logs_endpoint().headers["api-key"].get_secret_value() == "logs"


def test_spans_do_not_take_the_protocol_of_logs(env: Env) -> None:
    """Each signal has its own transport, the default where only the other one is set."""
    env(**{f"{OTLP}LOGS_PROTOCOL": "grpc"})
    otlp = Settings().otlp
    assert (otlp.resolved_logs_endpoint().protocol, otlp.resolved_traces_endpoint().protocol) == (
        "grpc",
        "http/protobuf",
    )
    env(**{f"{OTLP}TRACES_PROTOCOL": "grpc", f"{OTLP}LOGS_PROTOCOL": "http/protobuf"})
    otlp = Settings().otlp
    assert (otlp.resolved_logs_endpoint().protocol, otlp.resolved_traces_endpoint().protocol) == (
        "http/protobuf",
        "grpc",
    )


def test_a_higher_general_setting_goes_before_a_lower_special_one(env: Env) -> None:
    """An endpoint, protocol or headers given as arguments are not undone by variables for one signal."""
    env(
        **{
            f"{OTLP}LOGS_ENDPOINT": "http://platform/logs",
            f"{OTLP}TRACES_ENDPOINT": "http://platform/traces",
            f"{OTLP}TRACES_HEADERS": "a=b",
            f"{OTLP}TRACES_PROTOCOL": "grpc",
        }
    )
    given = OtlpSettings(endpoint="http://mine:4318", headers={"x": "y"}, protocol="http/protobuf")  # type: ignore[dict-item]
    otlp = Settings(otlp=given).otlp
    assert otlp.resolved_logs_endpoint().address == "http://mine:4318/v1/logs"
    assert otlp.resolved_traces_endpoint().address == "http://mine:4318/v1/traces"
    assert otlp.resolved_traces_endpoint().headers.keys() == {"x"}


def test_a_special_setting_of_the_same_source_counts(env: Env) -> None:
    """Between two variables of one kind, the one for logs goes before the general one."""
    env(**{f"{OTLP}ENDPOINT": "http://c:4318", f"{OTLP}LOGS_ENDPOINT": "http://logs/own"})
    otlp = Settings().otlp
    assert otlp.resolved_logs_endpoint().address == "http://logs/own"
    assert otlp.resolved_traces_endpoint().address == "http://c:4318/v1/traces"


def test_resource_attributes_are_decoded_and_lifted(env: Env) -> None:
    """Percent-encoding is undone; what is a setting of its own becomes one."""
    env(
        OTEL_RESOURCE_ATTRIBUTES="service.name=a%20shop,service.namespace=n,service.version=1.2,"
        "service.instance.id=i,deployment.environment.name=prod,team=a%2Cb"
    )
    settings = Settings()
    assert settings.service_name == "a shop"
    assert (settings.service_namespace, settings.service_version, settings.service_instance_id) == ("n", "1.2", "i")
    assert settings.deployment_environment_name == "prod"
    assert settings.resource_attributes == {"team": "a,b"}


def test_the_service_name_variable_goes_before_the_attribute(env: Env) -> None:
    """As the resource specification says."""
    env(OTEL_RESOURCE_ATTRIBUTES="service.name=attribute", OTEL_SERVICE_NAME="variable")
    settings = Settings()
    assert settings.service_name == "variable"
    assert settings.resource_attributes == {}


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED", f"{OTLP}INSECURE"])
def test_only_true_is_true(variable: str, env: Env) -> None:
    """Another word than true or false counts as false, with one warning."""
    env(**{variable: "1"})
    with pytest.warns(SettingsWarning, match=rf"{variable}='1' counts as false") as caught:
        settings = Settings()
    assert len(caught) == 1
    assert not settings.sdk_disabled
    assert not settings.otlp.insecure


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("OTEL_BLRP_SCHEDULE_DELAY", "soon", "= 'soon': must be a number of milliseconds"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "-5", "= '-5': must be a number greater than 0"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nonsense", "= 'nonsense': must be name=value pairs"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%FF", "= 'a=%FF': has a percent-encoding that is not UTF-8"),
        (f"{OTLP}PROTOCOL", "http/json", "= 'http/json': must be one of 'http/protobuf', 'grpc'"),
        (f"{OTLP}LOGS_TIMEOUT", "10s", "= '10s': must be a number greater than 0"),
        (f"{OTLP}LOGS_HEADERS", "hunter2", "= ***: must be name=value pairs"),
        (f"{OTLP}CERTIFICATE", "nowhere.pem", "= 'nowhere.pem': there is no such file"),
        (f"{OTLP}ENDPOINT", "localhost:4318", "= 'localhost:4318': must start with http:// or https://"),
        ("OTEL_LOGS_EXPORTER", "none,otlp", "= 'none,otlp': names of exporters, each once; `none` stands alone"),
    ],
)
def test_wrong_values_name_the_variable(variable: str, text: str, said: str, env: Env) -> None:
    """The message has the variable that was used, its text, and what is allowed (R10.3)."""
    env(**{variable: text})
    with pytest.raises(SettingsError) as refused:
        Settings()
    assert f"  {variable} {said}" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_names_are_those_of_the_sdk() -> None:
    """Every variable in the table is one that the SDK knows, or the specification's or an instrumentation's name."""
    names = {name for rule in (*RULES, *(rule for rule, _, _ in SPAN_RULES)) for name in rule.names}
    sdk = set(vars(environment_variables))
    others = {"OTEL_LOGS_EXPORTER", f"{OTLP}TRACES_PROTOCOL", f"{OTLP}LOGS_PROTOCOL"}
    assert names - sdk == {*others, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"} - sdk
