"""What is refused, and what is said about it (R10.3)."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from logspan.errors import SettingsError
from logspan.settings import (
    LokiSettings,
    OtlpSettings,
    RetrySettings,
    Section,
    Settings,
    SettingsWarning,
    TracingSettings,
)
from tests.settings.conftest import Env


def said(**arguments: Any) -> list[str]:
    """The lines of the refusal, without the title."""
    with pytest.raises(SettingsError) as refused:
        Settings(**arguments)
    return [line.strip() for line in str(refused.value).splitlines()[1:]]


def test_all_wrong_settings_are_listed_at_once(env: Env, empty_folder: Path) -> None:
    """One line for each, in the words of the source that it came from."""
    (empty_folder / "logspan.toml").write_text("[sending_queue]\nqueue_size = -5\nqueu_size = 1\n")
    env(LOGSPAN_QUEUE__MAX_QUEUE_SIZE="many", OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="0", LOGSPAN_RESOURCE_ATTRIBUTES="x")
    pairs = "must be name=value pairs separated by commas (a comma in a value is written %2C)"
    assert sorted(said(limits={"max_depth": 0}, sevice_name="shop")) == [
        "LOGSPAN_QUEUE__MAX_QUEUE_SIZE = 'many': must be a whole number greater than 0",
        f"LOGSPAN_RESOURCE_ATTRIBUTES = 'x': {pairs}",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE = '0': must be a whole number greater than 0",
        "argument limits.max_depth = 0: must be a whole number greater than 0",
        "argument sevice_name: there is no such setting; did you mean service_name?",
        "logspan.toml: sending_queue.queu_size: there is no such setting; did you mean queue_size?",
        "logspan.toml: sending_queue.queue_size = -5: must be a whole number greater than 0",
    ]


def test_the_title_counts(env: Env) -> None:
    """One setting, or how many."""
    with pytest.raises(SettingsError, match=r"^a setting is wrong:\n"):
        Settings(level="loud")
    env(LOGSPAN_SHUTDOWN_TIMEOUT="-1")
    with pytest.raises(SettingsError, match=r"^2 settings are wrong:\n"):
        Settings(level="loud")


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("LOGSPAN_LEVEL", "dbug", "allowed are TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL; did you mean DEBUG?"),
        (
            "LOGSPAN_QUEUE__OVERFLOW",
            "drop_oldset",
            "must be one of 'block', 'drop_newest', 'drop_oldest', 'sample'; did you mean drop_oldest?",
        ),
        ("LOGSPAN_OTLP__PROTOCOL", "http", "must be one of 'http/protobuf', 'grpc'"),
        ("LOGSPAN_METRICS__ENABLED", "maybe", "must be true or false"),
        ("LOGSPAN_SAMPLING__SAMPLING_PERCENTAGE", "101", "must be a number of at least 0 and at most 100"),
        ("LOGSPAN_SAMPLING__SAMPLING_PERCENTAGE", "nan", "must be a number of at least 0 and at most 100"),
        ("LOGSPAN_OTLP__TIMEOUT", "inf", "must be a number greater than 0"),
        ("LOGSPAN_FILE__BACKUP_COUNT", "-1", "must be a whole number of at least 0"),
        ("LOGSPAN_FILE__MAX_BYTES", "1.5", "must be a whole number greater than 0"),
        ("LOGSPAN_LOKI__ENDPOINT", "loki:3100", "must be a URL that starts with http:// or https://"),
        ("LOGSPAN_OTLP__ENDPOINT", "http://c:99999", "must be a URL such as http://localhost:4318"),
        ("LOGSPAN_REDACTION__BLOCKED_KEY_PATTERNS", "(", "must be a regular expression of RE2: missing )"),
        ("LOGSPAN_EXPORTERS", "[1,]", "must be a JSON array: "),
        ("LOGSPAN_RESOURCE_ATTRIBUTES", "{", "must be a JSON object: "),
        ("LOGSPAN_QUEUE", "[]", "must be a JSON object"),
        ("LOGSPAN_TRACING__RESPONSE_HEADER", "x id", "must be a legal header name"),
    ],
)
def test_the_value_and_what_is_allowed(variable: str, text: str, message: str, env: Env) -> None:
    """The variable, its value, what is allowed, and the nearest right spelling."""
    env(**{variable: text})
    (line,) = said()
    assert line.startswith(f"{variable} = {text!r}: {message}")


def test_the_case_of_the_variable_is_kept(env: Env) -> None:
    """The name is given as it was written."""
    env(logspan_level="loud")
    assert said()[0].startswith("logspan_level = 'loud': ")


def test_what_is_wrong_inside_a_variable(env: Env) -> None:
    """The name inside a section or a mapping that was given as a whole is told."""
    env(LOGSPAN_QUEUE='{"overfow": 1}', LOGSPAN_FILTER__SCOPE_LEVELS="shop=loud")
    assert said() == [
        "LOGSPAN_QUEUE (overfow): there is no such setting; did you mean overflow?",
        "LOGSPAN_FILTER__SCOPE_LEVELS (shop) = 'loud': allowed are TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL",
    ]


def test_a_name_of_another_section() -> None:
    """A setting that exists elsewhere is pointed at."""
    assert said(queue_size=3) == [
        "argument queue_size: there is no such setting; did you mean sending_queue.queue_size?"
    ]
    assert said(queue={"certificate": "x"}) == [
        "argument queue.certificate: there is no such setting; did you mean otlp.certificate or loki.certificate?"
    ]


def test_a_rule_between_two_settings_blames_the_one_that_was_set(env: Env) -> None:
    """The other one is a default that nobody wrote."""
    env(LOGSPAN_RETRY_ON_FAILURE__INITIAL_INTERVAL="60")
    assert said() == [
        "LOGSPAN_RETRY_ON_FAILURE__INITIAL_INTERVAL = '60': max_interval (30) must be at least initial_interval (60)"
    ]
    assert said(retry_on_failure={"max_interval": 1, "initial_interval": 5}) == [
        "argument retry_on_failure.max_interval = 1: max_interval (1) must be at least initial_interval (5)"
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"otlp": {"client_key": __file__}}, "argument otlp.client_key = "),
        ({"loki": {"password": "hunter2"}}, "argument loki.password = ***: password needs username"),
        ({"otlp": 5}, "argument otlp = ***: must be a table of settings"),
        ({"queue": None}, "argument queue = None: must be a table of settings"),
        ({"exporters": "otlp"}, "argument exporters = 'otlp': must be a list"),
        ({"exporters": ["otlp", "otlp"]}, "argument exporters = ['otlp', 'otlp']: names of exporters, each once"),
        ({"resource_attributes": ["a"]}, "argument resource_attributes = ['a']: must be name=value pairs"),
        ({"service_name": ["a"]}, "argument service_name = ['a']: must be text"),
        ({"level": 15}, "argument level = 15: allowed are TRACE"),
        ({"level": True}, "argument level = True: must be one of 'TRACE'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], line: str) -> None:
    """An argument is named by its path."""
    (only,) = said(**arguments)
    assert only.startswith(line)


def test_secrets_are_never_shown(env: Env, empty_folder: Path) -> None:
    """Not in a message, not in what the error carries, not in a repr; wherever they come from."""
    secret = "hunter2"
    (empty_folder / "logspan.toml").write_text(f'[otlp]\nheaders = {{ a = "{secret}\\n" }}\n')
    env(
        LOGSPAN_OTLP__HEADERS=f'{{"b": ["{secret}"]}}',
        LOGSPAN_OTLP__ENDPOINT=f"http://me:{secret}@collector:4318",
        LOGSPAN_OTLP=f'{{"headers": {{"a": "{secret}"',
        LOGSPAN_LOKI=f'{{"password": "{secret}", "timeout": -1}}',
        OTEL_EXPORTER_OTLP_LOGS_HEADERS=secret,
    )
    with pytest.raises(SettingsError) as refused:
        Settings.load(password=secret, loki={"password": [secret], "username": "me"}, level={"x": 1})
    assert len(str(refused.value).splitlines()) >= 9
    assert secret not in str(refused.value)
    assert secret not in repr(refused.value)
    assert refused.value.__context__ is None
    assert refused.value.__cause__ is None


def test_a_repr_shows_no_secrets() -> None:
    """Of the tree, a section, a target and the description."""
    settings = Settings.load(
        otlp={"headers": {"api-key": "hunter2"}}, loki={"username": "me", "password": "hunter2"}, exporters=["otlp"]
    )
    shown = f"{settings!r} {settings} {settings.otlp.resolved_logs_endpoint()!r} {settings.describe()!r}"
    assert "api-key" in shown
    assert "hunter2" not in shown
    assert settings.loki.password is not None
    assert settings.loki.password.get_secret_value() == "hunter2"


def test_credentials_in_a_url_are_refused() -> None:
    """They would show up wherever an endpoint is shown; the message says where they belong."""
    (line,) = said(otlp={"endpoint": "https://me:hunter2@collector"})
    assert line == (
        "argument otlp.endpoint = 'https://***@collector': credentials do not belong in a URL, "
        "put them in the headers (authorization=Basic ...)"
    )
    (line,) = said(otlp={"endpoint": "me:hunter2@collector:4317", "protocol": "grpc"})
    assert "hunter2" not in line


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\x00b", "☃"])
def test_headers_are_legal(value: str) -> None:
    """A value is one line that fits in a header; the message names the header, not its value."""
    assert said(otlp={"headers": {"fine": "x", "X-Bad": value}}) == [
        "argument otlp.headers.X-Bad = ***: must be one line of Latin-1 text without control characters"
    ]
    assert said(loki={"headers": {"no good": "x"}})[0].startswith(
        "argument loki.headers.no good = ***: must be a legal header name"
    )


@pytest.mark.parametrize(
    ("section", "arguments", "line"),
    [
        (OtlpSettings, {"protocl": "grpc"}, "argument protocl: there is no such setting; did you mean protocol?"),
        (OtlpSettings, {"headers": {"a": "\n"}}, "argument headers.a = ***: must be one line"),
        (LokiSettings, {"endpoint": "x"}, "argument endpoint = 'x': must be a URL"),
        (RetrySettings, {"initial_interval": 60}, "argument initial_interval = 60: max_interval (30) must be at least"),
        (TracingSettings, {"instrumentation": "nativ"}, "argument instrumentation = 'nativ': must be one of"),
    ],
)
def test_a_section_on_its_own_is_refused_in_the_same_way(
    section: type[Section], arguments: dict[str, Any], line: str
) -> None:
    """A SettingsError, at the line where the section is written."""
    with pytest.raises(SettingsError) as refused:
        section(**arguments)
    assert str(refused.value).splitlines()[1].strip().startswith(line)
    assert refused.value.__context__ is None


def test_an_unknown_variable_is_a_warning(env: Env) -> None:
    """Once per load, with the nearest name, at the caller's line."""
    env(LOGSPAN_OTLP__ENDPIONT="http://c", LOGSPAN_CONFIG_FIEL="x", LOGSPAN_ZZZ="1")
    with pytest.warns(SettingsWarning) as caught:
        Settings()
    assert sorted(str(warning.message) for warning in caught) == [
        "LOGSPAN_CONFIG_FIEL is no setting of logspan; did you mean LOGSPAN_CONFIG_FILE?",
        "LOGSPAN_OTLP__ENDPIONT is no setting of logspan; did you mean LOGSPAN_OTLP__ENDPOINT?",
        "LOGSPAN_ZZZ is no setting of logspan",
    ]
    assert {warning.filename for warning in caught} == {__file__}


def test_the_warning_of_load_is_at_the_callers_line(env: Env, empty_folder: Path) -> None:
    """One level more, and a variable of a .env file names the file."""
    (empty_folder / ".env").write_text("LOGSPAN_LEVLE=debug\nUNRELATED=1\n")
    with pytest.warns(SettingsWarning) as caught:
        Settings.load(env_file=".env")
    assert [str(warning.message) for warning in caught] == [
        ".env: LOGSPAN_LEVLE is no setting of logspan; did you mean LOGSPAN_LEVEL?"
    ]
    assert caught[0].filename == __file__


def test_variables_of_others_are_none_of_our_business(env: Env) -> None:
    """No warning about names with another beginning, nor about the SDK's own variables."""
    env(LOGSPANNER_X="1", OTEL_LOG_LEVEL="debug", OTEL_TRACES_SAMPLER="always_on")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Settings()


def test_the_tree_is_frozen() -> None:
    """At the top and in a section."""
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.level = "DEBUG"
    with pytest.raises(ValidationError, match="frozen"):
        settings.otlp.timeout = 3
