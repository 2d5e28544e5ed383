"""Any Python value becomes an OTel value, at the call, without raising (R1.4; hostile values of every kind)."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import math
import pathlib
import types
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, cast
from unittest.mock import MagicMock

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.processors.limit import Limiter
from logspan.values import (
    CUT,
    MAX_DEPTH,
    MAX_KEY,
    MAX_NODES,
    MAX_TEXT,
    clean_attributes,
    clean_value,
    cut_text,
    safe_str,
    type_name,
)
from tests.core.support import record

some = settings(deadline=None, max_examples=50)


def assert_any_value(value: Any) -> None:
    """Exactly the types of `AnyValue`, no subclasses, at every depth."""
    if isinstance(value, dict):
        assert type(value) is dict
        for key, item in value.items():
            assert type(key) is str
            assert_any_value(item)
    elif isinstance(value, list):
        assert type(value) is list
        for item in value:
            assert_any_value(item)
    else:
        assert value is None or type(value) in (str, bool, int, float, bytes)
        assert type(value) is not int or -(2**63) <= value < 2**63


def assert_encodes(value: Any) -> None:
    """The stock encoder of the OTLP exporters takes it, once the limiter has seen it."""
    made = record(value, value=value)
    Limiter()(made)
    encode_logs(cast("Sequence[ReadableLogRecord]", [made]))


# ---------------------------------------------------------------------------------- known kinds


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 7


class Mode(enum.StrEnum):
    FAST = "fast"


class Access(enum.Flag):
    READ = 1


@dataclasses.dataclass
class Order:
    number: int
    lines: list[str]
    card: str = dataclasses.field(default="4111", repr=False)


@dataclasses.dataclass(slots=True)
class Slotted:
    number: int


class Address(pydantic.BaseModel):
    city: str
    pin: pydantic.SecretStr


class Attrs:
    """A class as `attrs` makes it, without the package."""

    __attrs_attrs__ = (types.SimpleNamespace(name="a", repr=True), types.SimpleNamespace(name="hidden", repr=False))

    def __init__(self) -> None:
        self.a, self.hidden = 1, 2


class Point(NamedTuple):
    x: int
    y: float


class Scalar:
    """A number as numpy has them."""

    dtype = "int64"
    nbytes = 8

    def tolist(self) -> int:
        return 5


class Array:
    """An array as numpy has them; `size` numbers of eight bytes."""

    dtype = "float64"

    def __init__(self, size: int) -> None:
        self.nbytes = 8 * size

    def tolist(self) -> list[Any]:
        return [[1.5, 2.5], [3.5]]

    def __str__(self) -> str:
        return "[1.5 ... 9.5]"


ID = uuid.UUID(int=7)
UTC = datetime.UTC
KINDS: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (7, 7),
    (-0.5, -0.5),
    ("text", "text"),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"ab"), b"ab"),
    (memoryview(b"abcd")[::2], b"ac"),
    ([1, "a", None], [1, "a", None]),
    ((1, (2,)), [1, [2]]),
    ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
    ({1: "x", None: "y", (1, 2): "z", Mode.FAST: 1}, {"1": "x", "None": "y", "(1, 2)": "z", "fast": 1}),
    ({3}, [3]),
    (frozenset({3}), [3]),
    ({"a": 1}.keys(), ["a"]),
    (collections.deque([1, 2]), [1, 2]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.UserList([1]), [1]),
    (collections.UserDict({"a": 1}), {"a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (Color.RED, "red"),
    (Level.HIGH, 7),
    (Mode.FAST, "fast"),
    (Access.READ, 1),
    (ID, str(ID)),
    (decimal.Decimal("1.10"), "1.10"),
    (fractions.Fraction(1, 3), "1/3"),
    (1 + 2j, "(1+2j)"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (ipaddress.ip_address("::1"), "::1"),
    (range(3), "range(0, 3)"),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (datetime.time(3, 4), "03:04:00"),
    (datetime.timedelta(minutes=1.5), 90.0),
    (Point(1, 2.5), {"x": 1, "y": 2.5}),
    (Order(1, ["a"]), {"number": 1, "lines": ["a"]}),
    (Slotted(1), {"number": 1}),
    (Address(city="Ulm", pin=pydantic.SecretStr("1234")), {"city": "Ulm", "pin": "**********"}),
    (Attrs(), {"a": 1}),
    (Scalar(), 5),
    (Array(3), [[1.5, 2.5], [3.5]]),
    (Array(1_000_000), "[1.5 ... 9.5]"),
    (ValueError("no"), "ValueError: no"),
    (int, "<class 'int'>"),
    (2**63 - 1, 2**63 - 1),
    (2**63, "9223372036854775808"),
    (-(2**63) - 1, "-9223372036854775809"),
]


@pytest.mark.parametrize(("value", "expected"), KINDS, ids=lambda value: type(value).__name__)
def test_known_kinds_become_the_nearest_otel_value(value: Any, expected: Any) -> None:
    """Each kind of R1.4 has one form, alone and nested, and the stock encoder takes it."""
    for cleaned, wanted in ((clean_value(value), expected), (clean_value([value]), [expected])):
        assert cleaned == wanted
        assert_any_value(cleaned)
        assert_encodes(cleaned)


def test_a_bool_stays_a_bool_and_an_int_an_int() -> None:
    """`True == 1` in Python, but not on the wire."""
    assert clean_value([True, 1, False, 0]).__repr__() == "[True, 1, False, 0]"


# ---------------------------------------------------------------------------------- hostile kinds


class RaisesError(Exception):
    """What hostile objects raise; it cannot be printed either."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("still no")

    __repr__ = __str__


def fail(*_: object, **__: object) -> NoReturn:
    """Any method, raising."""
    raise RaisesError


EVIL = dict.fromkeys(
    (
        *("__str__", "__repr__", "__eq__", "__hash__", "__len__", "__iter__", "__getitem__", "__contains__"),
        *("__bool__", "__int__", "__index__", "__float__", "__bytes__", "__format__", "__getattr__"),
        *("items", "keys", "values", "isoformat", "total_seconds", "tolist", "encode", "value", "_asdict"),
    ),
    fail,
)


class EvilMeta(type):
    """Even the class says nothing."""

    __hash__ = fail
    __eq__ = fail
    __name__ = property(fail)
    __repr__ = __str__ = fail


def evil(base: type, *arguments: Any) -> Any:
    """An instance of a subclass of which every method raises."""
    return type(f"Evil{base.__name__}", (base,), dict(EVIL))(*arguments)


def evil_key(text: str) -> Any:
    """One that can be put into a dict."""
    methods = {**EVIL, "__hash__": str.__hash__, "__eq__": str.__eq__}
    return type("EvilKey", (str,), methods)(text)


class ClassRaises:
    __class__ = property(fail)


class ClaimsToBeText:
    """A lazy proxy, as web frameworks have them."""

    __class__ = property(lambda self: str)

    def __str__(self) -> str:
        return "lazy"


class BadModel:
    def model_dump(self) -> NoReturn:
        raise RaisesError


class ReturnsItself:
    def model_dump(self) -> Any:
        return [self]


class Endless(Mapping[str, int]):
    """A mapping with no end."""

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        number = 0
        while True:
            yield str(number)
            number += 1

    def __len__(self) -> int:
        return 1


class EndlessList(list[int]):
    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class StrReturnsSubclass:
    def __str__(self) -> Any:
        return evil(str, "subclass")


def deep(levels: int) -> Any:
    """Lists in dicts in lists."""
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def cycle() -> Any:
    """A dict that is in a list that is in it."""
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    return value


def generator() -> Iterator[int]:
    """What can be read once only."""
    yield 1


def released_view() -> memoryview:
    """A view of nothing any more."""
    view = memoryview(b"abc")
    view.release()
    return view


HOSTILE: dict[str, Any] = {
    "surrogate": "a\ud800b",
    "nul": "a\0b",
    "nan": math.nan,
    "inf": -math.inf,
    "2**80": 2**80,
    "10**5000": 10**5000,
    "10 MB": "x" * 10_000_000,
    "10 MB of bytes": b"x" * 10_000_000,
    "10 MB view": memoryview(b"x" * 10_000_000).cast("I"),
    "10 MB key": {"k" * 10_000_000: 1},
    "depth 5000": deep(5_000),
    "cycle": cycle(),
    "million": list(range(1_000_000)),
    "evil object": evil(object),
    "evil str": evil(str, "text"),
    "evil int": evil(int, 5),
    "evil float": evil(float, 5.5),
    "evil bytes": evil(bytes, b"ab"),
    "evil bytearray": evil(bytearray, b"ab"),
    "evil dict": evil(dict, {"a": 1}),
    "evil list": evil(list, [1]),
    "evil tuple": evil(tuple, (1,)),
    "evil set": evil(set, {1}),
    "evil datetime": evil(datetime.datetime, 2026, 1, 1),
    "evil timedelta": evil(datetime.timedelta, 1),
    "evil exception": evil(ValueError, "x"),
    "evil metaclass": EvilMeta("Evil", (), {"__str__": fail, "__repr__": fail})(),
    "evil class": EvilMeta("Evil", (), {}),
    "evil key": {evil_key("key"): 1},
    "evil printable": StrReturnsSubclass(),
    "class raises": ClassRaises(),
    "proxy": ClaimsToBeText(),
    "mock": MagicMock(),
    "mock of a dict": MagicMock(spec=dict),
    "mock of an enum": MagicMock(spec=Color.RED),
    "bad model": BadModel(),
    "model in itself": ReturnsItself(),
    "endless mapping": Endless(),
    "endless list": EndlessList([1]),
    "released view": released_view(),
    "view of two dimensions": memoryview(bytearray(4)).cast("B", [2, 2]),
    "generator": generator(),
    "dataclass without its field": object.__new__(Slotted),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_are_captured_as_something(name: str) -> None:
    """Never raises; what comes out is an OTel value of bounded size that the stock encoder takes."""
    for value in (HOSTILE[name], [HOSTILE[name]], {"k": HOSTILE[name]}):
        cleaned = clean_value(value)
        assert_any_value(cleaned)
        assert_encodes(cleaned)
        assert len(repr(cleaned)) < 40 * MAX_TEXT
    assert_any_value(clean_attributes({"v": HOSTILE[name], "neighbour": 1}))


def test_of_an_evil_subclass_the_base_value_is_read() -> None:
    """What a subclass overrides does not matter: the text, number or bytes that it holds is known without asking it."""
    values = [evil(str, "text"), evil(int, 5), evil(float, 5.5), evil(bytes, b"ab"), evil(datetime.timedelta, 1)]
    assert clean_value(values) == ["text", 5, 5.5, b"ab", 86_400.0]
    assert clean_value({evil_key("key"): 1}) == {"key": 1}


def test_what_cannot_be_read_says_so_by_its_type_only() -> None:
    """The error's message may hold data, or raise; the names of the types are enough."""
    assert clean_value(BadModel()) == "<unreadable BadModel: RaisesError>"
    assert clean_value(evil(object)) == "<unprintable Evilobject: RaisesError>"
    assert safe_str(evil(object)) == "<unprintable Evilobject: RaisesError>"
    assert type_name(HOSTILE["evil metaclass"]) == "Evil"


def test_a_proxy_is_read_as_text_not_as_what_it_claims_to_be() -> None:
    """Lazy translations and request proxies claim a class that they are not of."""
    assert clean_value(ClaimsToBeText()) == "lazy"


def test_a_generator_is_not_consumed() -> None:
    """Logging a generator must not change the program."""
    numbers = generator()
    assert str(clean_value(numbers)).startswith("<generator object")
    assert list(numbers) == [1]


def test_mappings_that_raise_keep_what_was_read() -> None:
    """A mapping that fails half-way costs its rest, not the record."""

    class Fails(dict[str, int]):
        def items(self) -> Any:
            yield "first", 1
            raise RaisesError

    assert clean_attributes(Fails()) == {"first": 1, "logspan.capture.error": "RaisesError"}
    assert clean_attributes(evil(dict)) == {"logspan.capture.error": "RaisesError"}
    assert clean_attributes(5) == {"logspan.capture.error": "AttributeError"}  # type: ignore[arg-type]


def test_attributes_without_end_are_cut() -> None:
    """The call returns, and what is left out is named."""
    cleaned = clean_attributes(Endless())
    assert MAX_NODES < len(cleaned) <= MAX_NODES + 1
    assert cleaned["logspan.capture.error"] == "too many attributes"


def test_keys_become_distinct_text_of_bounded_length() -> None:
    """Long keys are cut; two that differ at the start stay apart."""
    cleaned = clean_attributes({1: "a", "a" * 5_000: 1, "b" * 5_000: 2})
    assert len(cleaned) == 3
    assert all(type(key) is str and len(key) <= MAX_KEY + len(CUT) for key in cleaned)


def test_values_are_as_they_were_at_the_call() -> None:
    """What the caller changes afterwards is not seen."""
    inner = [1]
    value: dict[str, Any] = {"list": inner, "bytes": bytearray(b"ab")}
    cleaned = clean_value(value)
    inner.append(2)
    value["more"] = 1
    value["bytes"][0] = 0
    assert cleaned == {"list": [1], "bytes": b"ab"}


def test_cycles_and_depth_are_marked() -> None:
    """A cycle ends where it closes; the same object twice is no cycle; below the depth limit there is a mark."""
    assert clean_value(cycle()) == {"list": ["<cycle>"]}
    shared = [1]
    assert clean_value([shared, shared]) == [[1], [1]]
    cleaned, levels = clean_value(deep(100)), 0
    while isinstance(cleaned, dict | list):
        cleaned = cleaned["k"] if isinstance(cleaned, dict) else cleaned[0]
        levels += 1
    assert (cleaned, levels) == (CUT, MAX_DEPTH)


def test_wide_values_are_cut_and_marked() -> None:
    """At most so many nodes of one value, however they are nested."""
    cleaned = clean_value([list(range(3_000)), list(range(3_000)), 7])
    assert isinstance(cleaned, list)
    assert cleaned[-1] == CUT
    assert CUT in cleaned[1]


def test_text_is_cut_back_to_a_token_boundary() -> None:
    """Half a token would not be recognised by the redactor, so the token goes as a whole."""
    assert cut_text("a" * 10, 10) == "a" * 10
    assert cut_text("word " * 1_000, 2_003) == ("word " * 1_000)[:1_999] + CUT
    assert cut_text("head " + "s" * 5_000, 2_000) == ("head " + "s" * 5_000)[:1_000] + CUT
    assert cut_text("x" * 100, 10) == "x" * 5 + CUT
    assert len(str(clean_value("x" * 10_000_000))) <= MAX_TEXT + len(CUT)


def test_huge_integers_are_text_of_some_kind() -> None:
    """Python refuses to write more than 4,300 digits in decimal."""
    assert clean_value(2**80) == str(2**80)
    assert str(clean_value(10**5_000)).startswith("0x")


# ---------------------------------------------------------------------------------- any kind

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers()
    | st.sampled_from([Color.RED, Level.HIGH, Mode.FAST, Point(1, 2.0), Order(1, []), fail])
)
keys = st.text() | st.integers() | st.none() | st.tuples(st.integers()) | st.binary()
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(collections.deque)
        | st.dictionaries(keys, inner)
        | st.dictionaries(keys, inner).map(types.MappingProxyType)
    ),
    max_leaves=20,
)


@some
@given(anything)
def test_any_value_becomes_one_that_the_stock_encoder_takes(value: Any) -> None:
    """For every value: no exception, only the types of AnyValue, and bytes on the wire."""
    cleaned = clean_value(value)
    assert_any_value(cleaned)
    assert_encodes(cleaned)


@some
@given(anything)
def test_cleaning_twice_changes_nothing(value: Any) -> None:
    """A clean value is left as it is, so a record may pass through any number of hands."""
    cleaned = clean_value(value)
    assert repr(clean_value(cleaned)) == repr(cleaned)


@some
@given(st.dictionaries(keys, anything))
def test_any_attributes_become_a_new_dict_with_text_keys(attributes: dict[Any, Any]) -> None:
    """The caller's dict is neither kept nor changed."""
    before = repr(list(attributes)) if attributes else ""
    cleaned = clean_attributes(attributes)
    assert_any_value(cleaned)
    assert cleaned is not attributes
    assert before == (repr(list(attributes)) if attributes else "")


@some
@given(st.text(st.characters() | st.just(" "), max_size=200), st.integers(1, 200))
def test_a_cut_is_a_prefix_and_a_mark(text: str, limit: int) -> None:
    """Nothing is made up, and nothing of the rest is left."""
    cut = cut_text(text, limit)
    if len(text) <= limit:
        assert cut == text
    else:
        assert cut.endswith(CUT)
        assert text.startswith(cut.removesuffix(CUT))
        assert len(cut) <= limit + len(CUT)
