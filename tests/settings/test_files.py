"""The files that settings come from: .env when it is asked for, and TOML (R1.3)."""

from pathlib import Path

import pytest

from logspan.errors import SettingsError
from logspan.settings import Settings
from tests.settings.conftest import Env


def test_a_dotenv_file_is_read_only_when_asked_for(env: Env, empty_folder: Path) -> None:
    """Lying there is not enough; an argument or LOGSPAN_ENV_FILE asks."""
    (empty_folder / ".env").write_text("LOGSPAN_SERVICE_NAME=shop\n")
    assert Settings().service_name is None
    assert Settings.load(env_file=empty_folder / ".env").service_name == "shop"
    env(LOGSPAN_ENV_FILE=".env")
    assert Settings().service_name == "shop"


def test_the_environment_goes_before_a_dotenv_file_whatever_the_names(env: Env, empty_folder: Path) -> None:
    """Even OTEL_* of the environment goes before LOGSPAN_* of the file."""
    (empty_folder / ".env").write_text("LOGSPAN_SERVICE_NAME=file\nLOGSPAN_OTLP__ENDPOINT=http://file:1\n")
    env(OTEL_SERVICE_NAME="environment", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="http://environment/logs")
    settings = Settings.load(env_file=".env")
    assert settings.service_name == "environment"
    assert settings.otlp.resolved_logs_endpoint().address == "http://environment/logs"


def test_a_dotenv_file_leaves_the_environment_alone(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, env: Env
) -> None:
    """Nothing is written to os.environ: without the file, its values are gone."""
    (empty_folder / ".env").write_text("export LOGSPAN_SERVICE_NAME='shop' # comment\n")
    assert Settings.load(env_file=".env").service_name == "shop"
    assert Settings().service_name is None


def test_logspan_toml_goes_before_pyproject(empty_folder: Path) -> None:
    """`logspan.toml` if it is there, else `[tool.logspan]`; never both."""
    (empty_folder / "pyproject.toml").write_text('[tool.logspan]\nservice_name = "pyproject"\nlevel = "ERROR"\n')
    assert Settings().service_name == "pyproject"
    (empty_folder / "logspan.toml").write_text('service_name = "logspan"\n')
    settings = Settings()
    assert (settings.service_name, settings.level) == ("logspan", "INFO")


def test_a_pyproject_without_our_table(empty_folder: Path) -> None:
    """It is somebody else's."""
    (empty_folder / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.ruff]\nline-length = 120\n')
    assert Settings() == Settings()


def test_another_toml_file(env: Env, empty_folder: Path) -> None:
    """An argument goes before LOGSPAN_CONFIG_FILE, which goes before that of a .env file and the folder's own."""
    for name in ("logspan", "argument", "variable", "dotenv"):
        (empty_folder / f"{name}.toml").write_text(f'service_name = "{name}"\n')
    (empty_folder / ".env").write_text("LOGSPAN_CONFIG_FILE=dotenv.toml\n")
    assert Settings.load(env_file=".env").service_name == "dotenv"
    env(LOGSPAN_CONFIG_FILE="variable.toml")
    assert Settings.load(env_file=".env").service_name == "variable"
    assert Settings.load(config_file="argument.toml").service_name == "argument"


def test_toml_holds_every_kind_of_value(empty_folder: Path) -> None:
    """Lists, tables, numbers for text, paths."""
    (empty_folder / "logspan.toml").write_text(
        'service_version = 1.5\nexporters = ["file"]\nresource_attributes = { "host.zone" = 7 }\n'
        '[file]\npath = "~/x.jsonl"\n[filter.scope_levels]\n"shop.db" = "debug"\n[otlp.headers]\nApi-Key = "k"\n'
    )
    settings = Settings()
    assert (settings.service_version, settings.exporters) == ("1.5", ["file"])
    assert settings.resource_attributes == {"host.zone": "7"}
    assert settings.file.path == Path("~/x.jsonl").expanduser()
    assert settings.filter.scope_levels == {"shop.db": "DEBUG"}
    assert settings.otlp.headers["api-key"].get_secret_value() == "k"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("logspan.toml", "levle = 1", "logspan.toml: levle: there is no such setting; did you mean level?"),
        ("logspan.toml", "level = 'loud'", "logspan.toml: level = 'loud': allowed are"),
        (
            "pyproject.toml",
            "[tool.logspan.queue]\noverflow = 'x'",
            "pyproject.toml: tool.logspan.queue.overflow = 'x': must be one of",
        ),
        ("pyproject.toml", "[tool]\nlogspan = 3", "pyproject.toml: tool.logspan: must be a table of settings"),
        ("logspan.toml", "\nlevel = ?", "logspan.toml: cannot be read: Invalid value (at line 2"),
        ("logspan.toml", "queue = 3", "logspan.toml: queue = 3: must be a table of settings"),
    ],
)
def test_wrong_toml(name: str, text: str, line: str, empty_folder: Path) -> None:
    """The file, the setting's place in it, and what is wrong (R10.3)."""
    (empty_folder / name).write_text(text)
    with pytest.raises(SettingsError) as refused:
        Settings()
    assert str(refused.value).splitlines()[1].strip().startswith(line)


@pytest.mark.parametrize("variable", ["LOGSPAN_ENV_FILE", "LOGSPAN_CONFIG_FILE"])
def test_a_file_that_was_asked_for_must_be_there(variable: str, env: Env) -> None:
    """The variable that asked is named; other wrong settings are listed with it."""
    env(**{variable: "nowhere", "LOGSPAN_LEVEL": "loud"})
    with pytest.raises(SettingsError) as refused:
        Settings()
    assert f"  {variable} = 'nowhere': cannot be read: No such file or directory" in str(refused.value)
    assert "  LOGSPAN_LEVEL = 'loud': " in str(refused.value)


def test_a_file_that_an_argument_asked_for_must_be_there() -> None:
    """The argument is named."""
    with pytest.raises(SettingsError, match=r"argument env_file = 'nowhere': cannot be read"):
        Settings.load(env_file="nowhere")
    with pytest.raises(SettingsError, match=r"argument config_file = 'nowhere': cannot be read"):
        Settings.load(config_file="nowhere")


def test_a_file_that_is_no_text(empty_folder: Path) -> None:
    """It is refused, not guessed at."""
    (empty_folder / ".env").write_bytes(b"LOGSPAN_LEVEL=\xff\xfe")
    (empty_folder / "logspan.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError) as refused:
        Settings.load(env_file=".env")
    assert len(str(refused.value).splitlines()) == 3
