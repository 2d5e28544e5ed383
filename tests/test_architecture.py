"""The shape of the source, read from the source: layers, siblings, state, environment, private names, sizes.

Each rule is a function from one module to what offends it. The rules are run over every module of the installed
package, and over made-up modules that break them, so that a rule that has gone blind is noticed.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import logspan.errors

ROOT = Path(logspan.errors.__file__).parent

# Bottom to top: a unit imports what stands before it, and nothing that stands after it.
ORDER = (
    "errors",
    "failing",
    "clock",
    "forks",
    "printable",
    "outcome",
    "expressions",
    "values",
    "record",
    "size",
    "binding",
    "identity",
    "propagation",
    "context",
    "notices",
    "ledger",
    "usage",
    "settings",
    "resource",
    "encoding",
    "transport",
    "processors",
    "exporters",
    "spool",
    "delivery",
    "sources",
    "plugins",
    "metrics",
    "health",
    "later",
    "root",
    "pipeline",
    "assemble",
    "providers",
    "wakeup",
    "signals",
    "install",
    "fastapi",
    "entry_points",
    "cli",
    "testing",
    "__init__",
)

# Folders of parts that can each be taken out; what their parts share stands beside them and is named here.
SIBLINGS = ("sources", "processors", "exporters")
SHARED = {
    "sources.capture": "what all sources make a record from: messages, exceptions, code locations",
    "sources.printed": "what sources print in the place of the interpreter",
}

# `module.name` of what lives at module level and is an object, with the reason why it is no state.
ALLOWED_GLOBALS = {
    "binding._OUTSIDE": "the place of all that no request is about; never written",
    "context.ROUTING": "the counterpart of the root logger: where process-wide hooks send their records",
    "encoding.protobuf._key": "a bounded memo of a pure function",
    "encoding.protobuf._severity": "a bounded memo of a pure function",
    "encoding.protobuf._short": "a bounded memo of a pure function",
    "expressions.sieve": "a bounded memo of a pure function",
    "record._NO_LIMITS": "the SDK's limits, all unset; never written",
}
FROZEN_CALLS = frozenset(
    {
        *("bytes", "cast", "float", "frozenset", "int", "len", "object", "range", "slice", "str", "timedelta", "tuple"),
        *("MappingProxyType", "NamedTuple", "NewType", "ParamSpec", "Struct", "TypeVar", "namedtuple"),
        *("attrgetter", "compile", "itemgetter"),
        *("AfterValidator", "BeforeValidator", "TypeAdapter", "WrapValidator"),
        *("ContextVar", "get_logger", "getLogger"),
    }
)
FROZEN_NODES = (ast.Constant, ast.Tuple, ast.Name, ast.Attribute, ast.BinOp, ast.UnaryOp, ast.Subscript, ast.JoinedStr)
MUTABLE_NODES = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)

WRITES = ("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update")

READS_ENVIRONMENT = ("settings",)
WRITES_ENVIRONMENT = {
    "fastapi.spans": "contrib takes the choice of the stable HTTP conventions from a variable only",
}

# Packages whose underscore means "not final" rather than "not yours": the only address that they have.
PUBLIC_BY_AGREEMENT = (
    "opentelemetry._logs",
    "opentelemetry.sdk._logs",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.grpc._log_exporter",
    "opentelemetry.metrics._Gauge",
)
ALLOWED_PRIVATE = {
    "expressions": "RE2's set without its wrapper, a twentieth of a redaction; where it is missing, with it",
    "providers.tracers": "the API's own decorator of `start_as_current_span`: works on plain and async functions alike",
}

DOCUMENTED_PRIVATE = ("_asdict", "_fields", "_replace")  # of named tuples

MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name below `logspan`, and its text."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def unit(self) -> str:
        return self.name.split(".")[0]

    @property
    def is_package(self) -> bool:
        return self.name.endswith("__init__")


Rule = Callable[[Module], Iterator[str]]


def every_module() -> list[Module]:
    """The modules of the installed package."""

    def name(path: Path) -> str:
        return ".".join(path.relative_to(ROOT).with_suffix("").parts)

    return [Module(name(path), path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))]


def imported(module: Module) -> Iterator[tuple[str, str | None]]:
    """Every import, wherever it stands: `(module, name)`; the name is None for a plain `import`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "." * node.level, alias.name) for alias in node.names)


def imported_of_ours(module: Module) -> Iterator[str]:
    """What it imports of logspan, as names below `logspan`; a name that is a module counts as that module."""
    for source, name in imported(module):
        if source == "logspan":
            yield name or "__init__"
        elif source.startswith("logspan."):
            inner = source.removeprefix("logspan.")
            is_module = name and (
                (ROOT / inner.replace(".", "/") / name).exists()
                or (ROOT / inner.replace(".", "/") / f"{name}.py").exists()
            )
            yield f"{inner}.{name}" if is_module else inner
        elif source.startswith("."):
            yield f"relative import {source}{name}"


def imports_point_downward(module: Module) -> Iterator[str]:
    """A module imports only what stands before it in ORDER."""
    if module.unit not in ORDER:
        yield f"{module.unit} has no place in ORDER"
        return
    for target in imported_of_ours(module):
        unit = target.split(".")[0]
        if unit not in ORDER:
            yield f"imports {target}, which has no place in ORDER"
        elif unit != module.unit and ORDER.index(unit) > ORDER.index(module.unit):
            yield f"imports {target}, which stands above it"


def siblings_stay_apart(module: Module) -> Iterator[str]:
    """A part of one of SIBLINGS imports no other part of the same folder."""
    if module.unit not in SIBLINGS or module.name == f"{module.unit}.__init__":
        return
    own = module.name.split(".")[1]
    for target in imported_of_ours(module):
        parts = target.split(".")
        if parts[0] == module.unit and len(parts) > 1 and parts[1] != own and ".".join(parts[:2]) not in SHARED:
            yield f"imports its sibling {target}"


def _module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _module_level(node.body)
            yield from _module_level(getattr(node, "orelse", []))


def _is_state(module: Module, value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        return called not in FROZEN_CALLS and called not in _frozen_classes(module)
    return not isinstance(value, FROZEN_NODES)


def _frozen_classes(module: Module) -> Iterator[str]:
    """The frozen dataclasses and the named tuples that the module defines."""
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef):
            marks = [ast.unparse(mark) for mark in (*node.decorator_list, *node.bases)]
            if any("NamedTuple" in mark or "frozen=True" in mark for mark in marks):
                yield node.name


def _is_table(module: Module, name: str, value: ast.expr) -> bool:
    """Whether it is a dict, list or set in capitals that the module never writes to."""
    return isinstance(value, MUTABLE_NODES) and name.isupper() and name not in _written(module)


def _written(module: Module) -> Iterator[str]:
    """Names whose items are set or deleted, or that are the object of a call that changes a container."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield ast.unparse(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            yield ast.unparse(node.func.value)
        elif isinstance(node, ast.AugAssign):
            yield ast.unparse(node.target)


def has_no_state(module: Module) -> Iterator[str]:
    """Nothing at module level changes after import: no containers, instances, `global` or caches.

    A table in capitals is a constant as long as its module never writes to it.
    """
    for node in _module_level(module.tree.body):
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for name in (ast.unparse(target) for target in targets):
            allowed = name in ("__all__", "__slots__") or f"{module.name}.{name}" in ALLOWED_GLOBALS
            if not allowed and _is_state(module, node.value) and not _is_table(module, name, node.value):
                yield f"line {node.lineno}: {name} is state at module level"
    for inner in ast.walk(module.tree):
        if isinstance(inner, ast.Global):
            yield f"line {inner.lineno}: global {', '.join(inner.names)}"
    yield from _caches(module)


def _caches(module: Module) -> Iterator[str]:
    for node in module.tree.body:
        for decorator in getattr(node, "decorator_list", []):
            text = ast.unparse(decorator)
            name = getattr(node, "name", "")
            if (
                text.split("(")[0].split(".")[-1] in ("cache", "lru_cache")
                and f"{module.name}.{name}" not in ALLOWED_GLOBALS
            ):
                yield f"line {node.lineno}: @{text} on {name} is state at module level"


def leaves_environment_alone(module: Module) -> Iterator[str]:
    """Only the settings read the environment."""
    if module.unit in READS_ENVIRONMENT or module.name in WRITES_ENVIRONMENT:
        return
    names = ("environ", "environb", "getenv", "getenvb", "putenv")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os":
            yield f"line {node.lineno}: os.{node.attr}"
    yield from (f"from os import {name}" for source, name in imported(module) if source == "os" and name in names)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def uses_public_names(module: Module) -> Iterator[str]:
    """No other package's private names, nor those of another module of ours."""
    if module.name in ALLOWED_PRIVATE:
        return
    for source, name in imported(module):
        private_module = any(_is_private(part) for part in source.split("."))
        agreed = source.startswith(PUBLIC_BY_AGREEMENT) or f"{source}.{name}".startswith(PUBLIC_BY_AGREEMENT)
        if not agreed and source != "__future__" and (private_module or _is_private(name or "")):
            yield f"imports {source}{'.' + name if name else ''}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "hasattr", "delattr"):
            attribute = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else ""
            own = ast.unparse(node.args[0]) in ("self", "cls")
            if _is_private(str(attribute)) and attribute not in DOCUMENTED_PRIVATE and not own:
                yield f"line {node.lineno}: {ast.unparse(node)}"
    for number, line in enumerate(module.text.splitlines(), 1):
        if "SLF001" in line:
            yield f"line {number}: a private name, silenced"


def is_small(module: Module) -> Iterator[str]:
    """Functions and modules that can be read in one go."""
    lines = len(module.text.splitlines())
    if lines > MAX_MODULE_LINES:
        yield f"{lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {length} lines"


RULES = (
    imports_point_downward,
    siblings_stay_apart,
    has_no_state,
    leaves_environment_alone,
    uses_public_names,
    is_small,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    """R13.1, R13.2: each rule holds in each module; what offends is listed with its place."""
    offences = [f"{module.name}: {offence}" for module in every_module() for offence in rule(module)]
    assert not offences, "\n".join(offences)


def test_no_import_leads_back_to_where_it_began() -> None:
    """The modules form no cycle, imports inside of functions included."""
    modules = every_module()
    known = {module.name for module in modules}

    def file(target: str) -> str:
        return target if target in known else f"{target}.__init__"

    # the top `__init__` names everything lazily, so it is not what its parts stand on
    graph = {module.name: {file(target) for target in imported_of_ours(module)} for module in modules}
    graph.pop("__init__")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(" -> ".join(cycle.args[1]))


BROKEN = (
    (imports_point_downward, "values", "from logspan.pipeline import Pipeline"),
    (imports_point_downward, "values", "def f():\n    import logspan.fastapi"),
    (imports_point_downward, "nowhere", ""),
    (imports_point_downward, "record", "from . import values"),
    (siblings_stay_apart, "sources.stdlib", "from logspan.sources.facade import get_logger"),
    (siblings_stay_apart, "processors.redact.keys", "from logspan.processors import filter"),
    (has_no_state, "values", "_seen = {}"),
    (has_no_state, "values", "_seen: set[str] = set()"),
    (has_no_state, "values", "if True:\n    _lock = threading.Lock()"),
    (has_no_state, "values", "SEEN = {}\ndef f(x):\n    SEEN[x] = 1"),
    (has_no_state, "values", "SEEN = set()\ndef f(x):\n    SEEN.add(x)"),
    (has_no_state, "values", "LOCK = threading.Lock()"),
    (has_no_state, "values", "def f():\n    global seen"),
    (has_no_state, "values", "@functools.lru_cache(maxsize=8)\ndef f(): ..."),
    (leaves_environment_alone, "values", "import os\nos.environ.get('X')"),
    (leaves_environment_alone, "values", "from os import getenv"),
    (uses_public_names, "values", "from opentelemetry.sdk.trace import _Span"),
    (uses_public_names, "values", "from opentelemetry.sdk._shared_internal import BatchProcessor"),
    (uses_public_names, "values", "getattr(provider, '_processors')"),
    (uses_public_names, "values", "provider._processors  # noqa: SLF001"),
    (is_small, "values", "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES),
    (is_small, "values", "x = 1\n" * (MAX_MODULE_LINES + 1)),
)


@pytest.mark.parametrize(("rule", "name", "text"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_rule_sees_what_breaks_it(rule: Rule, name: str, text: str) -> None:
    """Each rule finds the offence in a module made to break it."""
    assert list(rule(Module(name, text)))


SOUND = """
import os
import re
from types import MappingProxyType

_A = MappingProxyType({})
_B = re.compile("x")
C = (1, 2)
D = {"INFO": 9}
"""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_passes_what_keeps_it(rule: Rule) -> None:
    """No rule complains of constants, of frozen containers or of a module's own unit."""
    assert not list(rule(Module("delivery.retry", SOUND + "from logspan.delivery.outlet import Outlet\n")))


def test_what_is_allowed_is_still_there() -> None:
    """Every exception that is granted is still used: the lists do not outlive their reasons."""
    names = {module.name for module in every_module()}
    modules = (
        {name.rpartition(".")[0] for name in ALLOWED_GLOBALS}
        | set(SHARED)
        | set(WRITES_ENVIRONMENT)
        | set(ALLOWED_PRIVATE)
    )
    assert {name for name in modules if name not in names and f"{name}.__init__" not in names} == set()


def test_every_test_states_its_rule() -> None:
    """The docstring of a test is the rule that it tests."""
    silent = [
        f"{path.name}: {node.name}"
        for path in sorted(Path(__file__).parent.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []
