"""The matrix: every Python, the lowest and the newest dependencies, and the wheel without the source beside it.

`make test` is the quick way; this is what CI runs: `nox -s tests-3.13`, `nox -s lowest`, `nox -s wheel`.
"""

import re
import shutil
import tomllib
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]

nox.needs_version = ">=2025.5"
nox.options.sessions = ["tests", "lowest", "wheel", "minimal"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, with the versions that are pinned for development."""
    session.install("-c", "constraints.txt", "-e", ".", "--group", "test")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[-1])
def newest(session: nox.Session) -> None:
    """The tests, with the newest release of everything: shows what is about to break."""
    session.install("--upgrade", "--upgrade-strategy", "eager", "-e", ".", "--group", "test")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The tests, with the lowest release of each dependency that pyproject.toml allows."""
    extras = (line for lines in PROJECT["optional-dependencies"].values() for line in lines)
    pins = [_lowest(line) for line in (*PROJECT["dependencies"], *extras)]
    session.install(*pins, "-e", ".", "--group", "test")
    session.run("python", "-m", "pytest", *session.posargs)


def _lowest(requirement: str) -> str:
    """`name>=1.2,<2` as `name==1.2`."""
    found = re.fullmatch(r"([\w.\-\[\]]+)>=([^,;\s]+)[^;]*(;.*)?", requirement)
    if found is None:
        message = f"{requirement!r} has no lower bound"
        raise ValueError(message)
    return f"{found[1]}=={found[2]}{found[3] or ''}"


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """The tests and the type checks of user code, against the built wheel, where there is no source tree."""
    built = _build(session)
    away = Path(session.create_tmp()).resolve() / "away"
    listed = session.run("git", "ls-files", "--cached", external=True, silent=True) or ""
    shutil.rmtree(away, ignore_errors=True)
    for name in listed.splitlines():
        if not name.startswith("src/"):
            (away / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, away / name)
    session.install("-c", "constraints.txt", str(built), "--group", "lint")
    with session.chdir(away):
        session.run("python", "-m", "pytest", *session.posargs)
        session.run("mypy", "--strict", "tests/typing")


@nox.session(python=PYTHONS)
def minimal(session: nox.Session) -> None:
    """The wheel with no extra and no group: it imports, logs a line and shuts down."""
    session.install(str(_build(session)))
    with session.chdir(session.create_tmp()):
        session.run("python", "-W", "error", "-c", "import logspan; print(logspan.__version__)")
        session.run("python", "-W", "error", "-c", MINIMAL)
        session.run("python", "-m", "pip", "check")


MINIMAL = """
import logspan
with logspan.configure_logging() as handle:
    logspan.get_logger("minimal").info("it works", answer=42)
    assert handle.flush(timeout=5.0)
"""


def _build(session: nox.Session) -> Path:
    """The wheel, made from the source distribution, so that both are known to be whole."""
    folder = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(folder), silent=True)
    (built,) = folder.glob("*.whl")
    return built
