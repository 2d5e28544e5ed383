"""Where values come from, and which source goes before which (R1.3)."""

from pathlib import Path

import pytest

from logspan.settings import OtlpSettings, QueueSettings, Settings
from tests.settings.conftest import Env

SOURCES = ("argument", "LOGSPAN_", "OTEL_", ".env LOGSPAN_", ".env OTEL_", "TOML")


@pytest.mark.parametrize("highest", range(len(SOURCES)))
def test_each_source_goes_before_those_below_it(highest: int, env: Env, empty_folder: Path) -> None:
    """Arguments, LOGSPAN_*, OTEL_*, .env (LOGSPAN_* before OTEL_*), TOML: the first that has a value counts."""
    arguments = {"service_name": SOURCES[0]} if highest <= 0 else {}
    if highest <= 1:
        env(LOGSPAN_SERVICE_NAME=SOURCES[1])
    if highest <= 2:
        env(OTEL_SERVICE_NAME=SOURCES[2])
    dotenv = [f"LOGSPAN_SERVICE_NAME='{SOURCES[3]}'"] if highest <= 3 else []
    dotenv += [f"OTEL_SERVICE_NAME='{SOURCES[4]}'"] if highest <= 4 else []
    (empty_folder / ".env").write_text("\n".join(dotenv))
    (empty_folder / "logspan.toml").write_text(f'service_name = "{SOURCES[5]}"')
    assert Settings.load(env_file=".env", **arguments).service_name == SOURCES[highest]


def test_defaults_stand_alone() -> None:
    """With nothing set there is a complete tree, and every origin is `default`."""
    settings = Settings()
    assert settings.level == "INFO"
    assert settings.queue == QueueSettings()
    assert settings.effective_exporters() == ("console",)
    assert {line.origin for line in settings.describe()} == {"default"}


def test_one_section_from_several_sources(env: Env, empty_folder: Path) -> None:
    """A source that sets one field of a section leaves the others to the sources below it."""
    (empty_folder / "logspan.toml").write_text("[queue]\nmax_queue_size = 7\nschedule_delay = 0.5\n")
    env(LOGSPAN_QUEUE__MAX_QUEUE_SIZE="8", LOGSPAN_QUEUE__SCHEDULE_DELAY="0.7")
    queue = Settings(queue=QueueSettings(schedule_delay=0.9)).queue
    assert (queue.max_queue_size, queue.schedule_delay, queue.overflow) == (8, 0.9, "drop_oldest")


def test_a_section_given_as_mapping_or_as_model(env: Env) -> None:
    """Both are the same, and what a model was not given is left to the environment."""
    env(LOGSPAN_OTLP__TIMEOUT="3")
    assert Settings.load(otlp={"protocol": "grpc"}) == Settings(otlp=OtlpSettings(protocol="grpc"))
    assert Settings(otlp=OtlpSettings(protocol="grpc")).otlp.timeout == 3


def test_a_default_given_as_an_argument_counts(env: Env) -> None:
    """An argument that equals the default still goes before the environment."""
    env(LOGSPAN_LEVEL="DEBUG", LOGSPAN_QUEUE__MAX_QUEUE_SIZE="1", LOGSPAN_EXPORTERS="file")
    settings = Settings(level="INFO", queue=QueueSettings(max_queue_size=50_000), exporters=None)
    assert (settings.level, settings.queue.max_queue_size, settings.exporters) == ("INFO", 50_000, None)


def test_mappings_are_merged_name_by_name(env: Env) -> None:
    """Resource attributes of all sources are kept; of one name, the highest source's."""
    env(LOGSPAN_RESOURCE_ATTRIBUTES="a=env,b=env", OTEL_RESOURCE_ATTRIBUTES="b=otel,c=otel")
    assert Settings(resource_attributes={"a": "argument"}).resource_attributes == {
        "a": "argument",
        "b": "env",
        "c": "otel",
    }


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_string_means_unset_everywhere(empty: str, env: Env, empty_folder: Path) -> None:
    """In variables, in a .env file, in TOML and in arguments."""
    env(LOGSPAN_LEVEL=empty, OTEL_EXPORTER_OTLP_TIMEOUT=empty, OTEL_SDK_DISABLED=empty, LOGSPAN_UNKNOWN=empty)
    (empty_folder / ".env").write_text(f"LOGSPAN_QUEUE__OVERFLOW='{empty}'\n")
    (empty_folder / "logspan.toml").write_text(f'[otlp]\nendpoint = "{empty}"\n')
    assert Settings.load(env_file=".env", service_name=empty) == Settings()
    assert Settings(service_name=empty).service_name is None


def test_an_empty_variable_does_not_hide_a_lower_source(env: Env) -> None:
    """The value below an empty one counts."""
    env(LOGSPAN_SERVICE_NAME="", OTEL_SERVICE_NAME="shop")
    assert Settings().service_name == "shop"


def test_an_empty_value_inside_a_mapping_is_a_value() -> None:
    """`a=` sets an attribute to the empty string."""
    assert Settings(resource_attributes={"a": ""}).resource_attributes == {"a": ""}


def test_case_of_our_variables_does_not_matter(env: Env) -> None:
    """As pydantic-settings has it; where both spellings exist, the one in upper case counts."""
    env(logspan_level="debug", Logspan_Queue__Max_Queue_Size="7", LOGSPAN_SERVICE_NAME="upper")
    env(logspan_service_name="lower")
    settings = Settings()
    assert (settings.level, settings.queue.max_queue_size, settings.service_name) == ("DEBUG", 7, "upper")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("otlp", ["otlp"]),
        (" otlp , file ,", ["otlp", "file"]),
        ('["otlp", "file"]', ["otlp", "file"]),
        ("[]", []),
        ("none", []),
    ],
)
def test_lists_as_text(text: str, names: list[str], env: Env) -> None:
    """Comma-separated or as a JSON array; `none` alone is no exporter at all."""
    env(LOGSPAN_EXPORTERS=text)
    settings = Settings()
    assert settings.exporters == names
    assert settings.effective_exporters() == tuple(names)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1,b=2", {"a": "1", "b": "2"}),
        (" a = 1 , b=x=y ,", {"a": "1", "b": "x=y"}),
        ("a=%2C%20%C3%A9", {"a": ", é"}),
        ('{"a": "1", "b": 2}', {"a": "1", "b": "2"}),
    ],
)
def test_mappings_as_text(text: str, pairs: dict[str, str], env: Env) -> None:
    """name=value pairs, percent-encoded, or a JSON object."""
    env(LOGSPAN_RESOURCE_ATTRIBUTES=text)
    assert Settings().resource_attributes == pairs


def test_a_pattern_that_begins_with_a_bracket_is_no_json(env: Env) -> None:
    """`[ab]_key` is a regular expression."""
    env(LOGSPAN_REDACTION__BLOCKED_KEY_PATTERNS="[ab]_key,^x$")
    assert Settings().redaction.blocked_key_patterns == ["[ab]_key", "^x$"]


def test_a_whole_section_as_json(env: Env) -> None:
    """The variable of a field goes before that of its section."""
    env(LOGSPAN_QUEUE='{"max_queue_size": 3, "overflow": "drop_newest"}', LOGSPAN_QUEUE__MAX_QUEUE_SIZE="4")
    queue = Settings().queue
    assert (queue.max_queue_size, queue.overflow) == (4, "drop_newest")


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ("debug", "DEBUG"),
        ("Warn", "WARNING"),
        ("fatal", "CRITICAL"),
        ("trace", "TRACE"),
        (10, "DEBUG"),
        ("40", "ERROR"),
    ],
)
def test_levels_have_one_spelling(given: str | int, level: str) -> None:
    """Names in any case, OTel's names and the numbers of `logging` become the names of `logging`, and TRACE."""
    settings = Settings(level=given, filter={"scope_levels": {"shop": given}})  # type: ignore[arg-type]
    assert settings.level == level
    assert settings.filter.scope_levels == {"shop": level}


def test_resource_attributes_that_are_settings_of_their_own(env: Env) -> None:
    """`service.name` among the attributes of a source is `service_name` of that source."""
    env(OTEL_SERVICE_NAME="otel", LOGSPAN_RESOURCE_ATTRIBUTES="service.name=own,service.version=1,x=y")
    settings = Settings(resource_attributes={"deployment.environment.name": "staging"})
    assert (settings.service_name, settings.service_version) == ("own", "1")
    assert settings.deployment_environment_name == "staging"
    assert settings.resource_attributes == {"x": "y"}


def test_the_response_header_can_be_switched_off(env: Env) -> None:
    """`none` says so where a variable cannot; None does in an argument."""
    env(LOGSPAN_TRACING__RESPONSE_HEADER="None")
    assert Settings().tracing.response_header is None
    assert Settings.load(tracing={"response_header": "x-id"}).tracing.response_header == "x-id"
    assert Settings.load(tracing={"response_header": None}).tracing.response_header is None


def test_describe_says_who_set_what(env: Env, empty_folder: Path) -> None:
    """Each value with the name that set it, as it was written; secrets are masked."""
    (empty_folder / "logspan.toml").write_text("[queue]\nmax_queue_size = 7\n")
    (empty_folder / "dev.env").write_text("LOGSPAN_LEVEL=debug\n")
    env(LOGSPAN_OTLP__HEADERS="api-key=hunter2", OTEL_SERVICE_NAME="shop", LOGSPAN_LOKI__USERNAME="me")
    settings = Settings.load(env_file="dev.env", loki={"password": "hunter2"})
    described = {line.name: line[1:] for line in settings.describe() if line.origin != "default"}
    assert described == {
        "service_name": ("shop", "OTEL_SERVICE_NAME"),
        "level": ("DEBUG", "dev.env: LOGSPAN_LEVEL"),
        "otlp.headers": ({"api-key": "***"}, "LOGSPAN_OTLP__HEADERS"),
        "loki.username": ("me", "LOGSPAN_LOKI__USERNAME"),
        "loki.password": ("***", "argument loki.password"),
        "queue.max_queue_size": (7, "logspan.toml: queue.max_queue_size"),
    }


def test_who_set_a_value_does_not_count_in_a_comparison(env: Env) -> None:
    """Settings with the same values are equal."""
    here = Settings(service_name="shop")
    env(LOGSPAN_SERVICE_NAME="shop")
    assert Settings() == here
    assert Settings(service_name="other") != here
