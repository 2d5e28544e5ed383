"""Build the pinned backends from source into a cache: `python -m tests.e2e.backends.build [NAME ...]`.

The tests run real programs, and a container engine is not always to be had, so the Collector, Loki and Jaeger are
built with Go, and Prometheus is unpacked from the distribution's package. Each lands in a folder named after its
version and a hash of its recipe: changing a pin builds anew, and never mistakes an old binary for the new one.

Nothing outside the cache is written: Go's module and build caches live in it too, so an empty home directory and a
machine that has never built Go before are enough.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

REPO = Path(__file__).resolve().parents[3]
CONFIG = REPO / "collector-config"

# Loki's go.mod asks for it, and an older toolchain must not try to download a newer one (see `go_environment`).
GO_NEEDED = (1, 26, 5)

# Part of every recipe's hash: raise it when a change of this file changes what is built.
RECIPE_FORMAT = 1


class BuildError(RuntimeError):
    """A backend could not be built; the message says which, why, and what would help."""


@dataclass(frozen=True)
class Recipe:
    """How one backend is made. `make(work)` leaves `programs` in `work/out`; `pins` is all that decides the result."""

    name: str
    version: str
    programs: tuple[str, ...]
    pins: Mapping[str, str]
    make: Callable[[Path], None] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where the built programs live; named so that it can only ever hold this very recipe's result."""
        pins = json.dumps([RECIPE_FORMAT, self.name, self.version, dict(self.pins)], sort_keys=True)
        return cache_root() / f"{self.name}-{self.version}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"

    def program(self, name: str | None = None) -> Path:
        """The path of a program, by default the first."""
        return self.folder / (name or self.programs[0])

    @property
    def is_built(self) -> bool:
        """True once every program is in place (they arrive together, by one rename)."""
        return all(self.program(name).is_file() for name in self.programs)


def cache_root() -> Path:
    """`BACKENDS_CACHE`, or `logspan` in the user's cache folder (XDG)."""
    if own := os.environ.get("BACKENDS_CACHE"):
        return Path(own).expanduser().resolve()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache").resolve() / "logspan"


# --- Go ---------------------------------------------------------------------------------------------------------------


def go_environment(**extra: str) -> dict[str, str]:
    """The environment of every `go` command: the caller's (a proxy set there counts), made reproducible.

    `GOTOOLCHAIN=local` because a build must not swap the toolchain for a downloaded one; `CGO_ENABLED=0` so that no C
    compiler is needed; no VCS stamping, since the scratch folders are in no repository, or in somebody else's.
    """
    go = cache_root() / "go"
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOCACHE": str(go / "build"),
        "GOFLAGS": "-buildvcs=false",
        "GOMODCACHE": str(go / "mod"),
        "GOPATH": str(go / "path"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        **extra,
    }


def require_go() -> None:
    """Raise `BuildError` unless a `go` that is new enough is on the PATH."""
    needed = ".".join(map(str, GO_NEEDED))
    if shutil.which("go") is None:
        message = f"`go` is not on the PATH: building the backends needs Go {needed} or newer{_packaged_go()}"
        raise BuildError(message)
    said = _run(["go", "env", "GOVERSION"], env=go_environment()).strip()
    if go_version(said) < GO_NEEDED:
        message = f"`go` is {said or 'of an unknown version'}, but building the backends needs Go {needed} or newer"
        raise BuildError(message)


def go_version(said: str) -> tuple[int, ...]:
    """`go1.26.8` or `go1.27rc1` as numbers that compare; `(0,)` for what is no version at all."""
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(part or 0) for part in found.groups()) if found else (0,)


def _packaged_go() -> str:
    """What the distribution offers, as a hint; installing it is left to whoever owns the machine."""
    if shutil.which("apt-cache") is None:
        return ""
    asked = subprocess.run(["apt-cache", "show", "golang-go"], capture_output=True, text=True, check=False)
    found = re.search(r"^Version: (?:\d+:)?(\d+\.\d+[\d.]*)", asked.stdout, re.MULTILINE)
    if found is None:
        return ""
    enough = go_version(f"go{found[1]}") >= GO_NEEDED
    return f" (`apt-get install golang-go` gives {found[1]}, which is {'enough' if enough else 'too old'})"


def _build_collector(work: Path) -> None:
    """Assemble the Collector from `collector-config/builder.yaml` with its own builder."""
    require_go()
    builder = f"go.opentelemetry.io/collector/cmd/builder@v{COLLECTOR_VERSION}"
    _run(["go", "install", builder], env=go_environment(GOBIN=str(work)), cwd=work)
    _run([str(work / "builder"), "--config", str(CONFIG / "builder.yaml")], env=go_environment(), cwd=work)
    shutil.move(work / "dist" / "otelcol-logspan", work / "out" / "otelcol")


@dataclass(frozen=True)
class GoModule:
    """A program inside a module that `go install` refuses, because its go.mod has replaces."""

    path: str
    version: str
    command: str
    imports: str
    """A package of the module; importing it is what keeps the module in the scratch module's graph."""
    replaces: Mapping[str, str] = field(default_factory=dict)
    """Local replaces (`=> ./somewhere`), pointed at a published version instead."""

    def pins(self) -> dict[str, str]:
        """What the recipe's hash covers."""
        return {"module": f"{self.path}@{self.version}", "command": self.command, **self.replaces}

    def build(self, work: Path, program: str) -> None:
        """Build in a scratch module that takes over the module's own go.mod and go.sum.

        Its replaces and its checksums are thereby exactly those that the program was released with.
        """
        require_go()
        scratch = work / "scratch"
        scratch.mkdir()
        self._prepare(scratch)
        output = str(work / "out" / program)
        command = [
            "go",
            "build",
            "-mod=mod",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
            output,
            f"{self.path}/{self.command}",
        ]
        _run(command, env=go_environment(), cwd=scratch)

    def _prepare(self, scratch: Path) -> None:
        source = self._download(scratch)
        for name in ("go.mod", "go.sum"):
            (scratch / name).write_bytes((source / name).read_bytes())
        (scratch / "scratch.go").write_text(f'package scratch\n\nimport _ "{self.path}/{self.imports}"\n')
        edits = ["-module=scratch", "-toolchain=none", f"-require={self.path}@{self.version}"]
        edits += [f"-replace={old}={new}" for old, new in self.replaces.items()]
        _run(["go", "mod", "edit", *edits], env=go_environment(), cwd=scratch)

    def _download(self, cwd: Path) -> Path:
        said = _run(["go", "mod", "download", "-json", f"{self.path}@{self.version}"], env=go_environment(), cwd=cwd)
        return Path(cast("dict[str, str]", json.loads(said))["Dir"])


# --- Debian -----------------------------------------------------------------------------------------------------------


def _unpack_prometheus(work: Path) -> None:
    """Take the two programs out of the distribution's package, without installing it or starting a service."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            message = f"`{tool}` is missing: Prometheus is taken from the Debian or Ubuntu package of that name"
            raise BuildError(message)
    # Lists of our own, so that neither root nor a fresh `apt-get update` of the system's lists is needed.
    for folder in ("state/lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    options = [f"-oDir::State={work / 'state'}", f"-oDir::Cache={work}", "-oDir::State::status=/var/lib/dpkg/status"]
    # As root, apt would give the download to a user who may not enter the cache.
    apt = ["apt-get", "-q", "-oAPT::Sandbox::User=root", *options]
    _run([*apt, "update"], cwd=work)
    _run([*apt, "download", "prometheus"], cwd=work)
    package = next(work.glob("prometheus_*.deb"))
    _run(["dpkg-deb", "-x", str(package), str(work / "package")], cwd=work)
    for program in ("prometheus", "promtool"):
        shutil.move(work / "package" / "usr" / "bin" / program, work / "out" / program)


# --- recipes ----------------------------------------------------------------------------------------------------------

COLLECTOR_VERSION = "0.158.0"

LOKI = GoModule(
    path="github.com/grafana/loki/v3",
    version="v3.7.8",
    command="cmd/loki",
    imports="pkg/loki",
    replaces={
        "github.com/grafana/loki/pkg/push": "github.com/grafana/loki/pkg/push@v0.0.0-20250630054201-94c0ba7b0952"
    },
)

# The module's version 1.76.0 is the program's version 2.13.0: only `cmd/jaeger` is Jaeger v2.
JAEGER = GoModule(
    path="github.com/jaegertracing/jaeger",
    version="v1.76.0",
    command="cmd/jaeger",
    imports="ports",
)

# The reference reader of Compose files: it checks docker-compose.otel.yml where no container engine is installed.
COMPOSE = GoModule(
    path="github.com/compose-spec/compose-go/v2",
    version="v2.16.2",
    command="cmd",
    imports="cli",
)


def recipes() -> dict[str, Recipe]:
    """Every backend by name. Reads builder.yaml, whose text is the Collector's recipe."""
    manifest = (CONFIG / "builder.yaml").read_text()
    every = (
        Recipe("collector", COLLECTOR_VERSION, ("otelcol",), {"manifest": manifest}, _build_collector),
        Recipe("loki", "3.7.8", ("loki",), LOKI.pins(), lambda work: LOKI.build(work, "loki")),
        Recipe("jaeger", "2.13.0", ("jaeger",), JAEGER.pins(), lambda work: JAEGER.build(work, "jaeger")),
        Recipe("compose", "2.16.2", ("compose",), COMPOSE.pins(), lambda work: COMPOSE.build(work, "compose")),
        # The distribution decides the version: any that runs our prometheus.yml will do.
        Recipe("prometheus", "packaged", ("prometheus", "promtool"), {}, _unpack_prometheus),
    )
    return {recipe.name: recipe for recipe in every}


# --- building ---------------------------------------------------------------------------------------------------------


def build(name: str) -> Recipe:
    """Build a backend unless it is there already, and return its recipe. Safe to call from several processes.

    Raises `BuildError`, also for a name that is not known.
    """
    known = recipes()
    if name not in known:
        message = f"no backend is called {name!r}: choose from {', '.join(known)}"
        raise BuildError(message)
    return ensure(known[name])


def ensure(recipe: Recipe) -> Recipe:
    """Build a recipe unless its programs are there already."""
    if not recipe.is_built:
        with _locked(recipe.name):
            # Whoever held the lock may have built it meanwhile.
            if not recipe.is_built:
                _make(recipe)
    return recipe


def clean() -> None:
    """Drop Go's module and build caches (gigabytes). The built programs stay; the next build starts from nothing."""
    require_go()
    _run(["go", "clean", "-cache", "-modcache"], env=go_environment(), cwd=cache_root())


def _make(recipe: Recipe) -> None:
    """Build in a temporary folder beside the final one, and move it there in one step when it is complete."""
    started = time.monotonic()
    _say(f"{recipe.name} {recipe.version}: building (minutes, the first time)")
    with tempfile.TemporaryDirectory(prefix=f".{recipe.name}-", dir=cache_root()) as temporary:
        work = Path(temporary)
        (work / "out").mkdir()
        recipe.make(work)
        # Only a folder left by a broken removal can be in the way: the caller checked that it is not complete.
        shutil.rmtree(recipe.folder, ignore_errors=True)
        (work / "out").rename(recipe.folder)
    _say(f"{recipe.name} {recipe.version}: built in {time.monotonic() - started:.0f} s")


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold a backend's lock file. The kernel drops the lock with its process, so a killed build blocks nobody."""
    cache_root().mkdir(parents=True, exist_ok=True)
    with (cache_root() / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{name}: another process is building it, waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; a failure shows the command and the end of its output."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        message = f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{tail}"
        raise BuildError(message)
    return done.stdout


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Build what is named (`all` by default), print where each program is, and return the exit code."""
    known = list(recipes())
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.backends.build", description=__doc__.splitlines()[0])
    # Not `choices`: argparse would hold the default against it. `build` knows the names.
    parser.add_argument(
        "names", nargs="*", default=["all"], metavar="NAME", help=", ".join([*known, "all (the default)"])
    )
    parser.add_argument("--clean", action="store_true", help="drop Go's own caches afterwards, which take gigabytes")
    chosen = parser.parse_args(arguments)
    try:
        for name in known if "all" in chosen.names else chosen.names:
            recipe = build(name)
            for program in recipe.programs:
                print(recipe.program(program))
        if chosen.clean:
            clean()
    except BuildError as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
