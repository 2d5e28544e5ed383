"""Regular expressions whose time grows with the text and not faster: google-re2 where it is installed.

Elsewhere (no wheel for the platform) the same expressions run on `re`, over shorter texts; `is_linear` tells which.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

MAX_TEXT = 131_072
"""Characters of one text that are looked at, and let through; what is behind is cut off."""
MAX_TEXT_WITHOUT_RE2 = 8_192

_MEMORY = 32 << 20
"""Bytes that the sieve's automaton may take before it begins anew.

It takes what it needs: some MB for the lines of one service, 30 MB for 200,000 lines of words thrown together. With 16
it had to begin anew now and then, and with 8 on every other text, which costs ten times as much.
"""

_DIGITS = "0122222222"
"""What digits are to a sieve to which they are alike."""

_PATTERN_MEMORY = 8 << 20
"""The same for a single expression: RE2's own default."""


class PatternError(ValueError):
    """An expression that the engine refuses; the message is the engine's reason."""


def re2_module() -> ModuleType | None:
    """google-re2, or None where it is not installed; imported when a redactor is built."""
    try:
        import re2
    except ImportError:
        return None
    return re2  # type: ignore[no-any-return]


def is_linear() -> bool:
    """Whether expressions run on RE2."""
    return re2_module() is not None


class OfThisProcess:
    """What `make` has made in this process; made anew in a forked child, at the first use.

    RE2 locks its automata while it searches: a thread of the parent that was at it leaves the lock held in the child
    for ever. What is left of the parent's is kept, as its end might ask for that lock.
    """

    __slots__ = ("_found", "_left", "_make", "_process")

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._left: list[Any] = []
        self._found, self._process = make(), os.getpid()

    def __call__(self) -> Any:
        """It."""
        if self._process != os.getpid():
            self._left.append(self._found)
            self._found, self._process = self._make(), os.getpid()
        return self._found


class Pattern:
    """One expression; finds the spans of its matches."""

    __slots__ = ("_compiled", "_groups", "_linear")

    def __init__(self, expression: str, *, whole: bool = False) -> None:
        """`whole`: groups are only for reading."""
        self._linear = is_linear()
        self._compiled = OfThisProcess(lambda: _compile(expression))
        self._groups: int = 0 if whole else self._compiled().groups

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Each match, or those of its groups that took part, in characters; nothing that is empty."""
        target = text.encode() if self._linear and text.isascii() else text
        for match in self._compiled().finditer(target):
            groups = [match.span(group) for group in range(1, self._groups + 1)]
            taken = [span for span in groups if span[0] >= 0]
            for start, end in taken or (match.span(),):
                if end > start:
                    yield start, end

    def search(self, text: str) -> bool:
        """Whether it matches somewhere."""
        return self._compiled().search(text) is not None


Named = Sequence[int] | None
"""The positions of the expressions that match somewhere in a text; None or nothing when there are none."""


def pattern_set(expressions: tuple[str, ...], *, alike: bool = False) -> Callable[[str], Named]:
    """Many expressions at once: which of them match somewhere in a text, in one pass over it. See `sieve`."""
    asked = sieve(expressions, alike=alike)
    return lambda text: asked(text.encode())


@functools.lru_cache(maxsize=16)
def sieve(expressions: tuple[str, ...], *, alike: bool = False) -> Callable[[bytes], Named]:
    """The same of texts in UTF-8.

    `alike`: all digits from 2 on are alike to it, so it may say too much. The automaton of a set grows with all that
    it has to tell apart, and numbers and ids are new in each text: that of such a look stays small, and fast. Its
    expressions must have no class like `[^3-9]`, that some digits are in. 0 and 1 stay, as times since the epoch begin
    with a 1, and no card does.
    """
    if alike:
        expressions = tuple(map(digits_alike, expressions))
    re2 = re2_module()
    if re2 is None:
        match = _re_set(expressions)
        return (lambda data: match(data.translate(_ALIKE))) if alike else match
    found = _Sieve(lambda: _re2_set(re2, expressions))
    return found.named_alike if alike else found.named


def digits_alike(expression: str, digits: str = _DIGITS) -> str:
    """What matches wherever the expression does, once each digit of a text is the one that stands in its place here."""
    return "".join(_alike(sign, digits) for sign in _SIGN.findall(expression))


def _alike(sign: str, digits: str) -> str:
    if not sign[0].isdigit():
        return sign
    return "".join(sorted({*digits[int(sign[0]) : int(sign[-1]) + 1]}))


_SIGN = re.compile(r"\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\.|\{[0-9]+,?[0-9]*\}|[0-9]-[0-9]|[0-9]|.", re.DOTALL)
"""An escape, a number of times, a range of digits, a digit, anything else."""
_ALIKE = bytes(ord(_DIGITS[byte - 48]) if 48 <= byte <= 57 else byte for byte in range(256))


class _Sieve(OfThisProcess):
    """A set of RE2's."""

    __slots__ = ()

    def named(self, data: bytes) -> Named:
        """The positions of the expressions that match somewhere in a text."""
        return (self._found if self._process == os.getpid() else self())(data)  # type: ignore[no-any-return]

    def named_alike(self, data: bytes) -> Named:
        """The same, with digits alike."""
        match = self._found if self._process == os.getpid() else self()
        return match(data.translate(_ALIKE))  # type: ignore[no-any-return]


def _re2_set(re2: ModuleType, expressions: Sequence[str]) -> Any:
    options = _options(re2)
    options.max_mem = _MEMORY
    chosen = re2.Set.SearchSet(options)
    for expression in expressions:
        chosen.Add(expression)
    chosen.Compile()
    return getattr(chosen, "_set", chosen).Match  # what is around it looks at the type of each text, and encodes it


def _re_set(expressions: Sequence[str]) -> Callable[[bytes], Named]:
    searches = [re.compile(expression).search for expression in expressions]

    def named(data: bytes) -> list[int]:
        text = data.decode()
        return [number for number, search in enumerate(searches) if search(text)]

    return named


def _compile(expression: str) -> Any:
    re2 = re2_module()
    try:
        if re2 is None:
            return re.compile(expression)
        options = _options(re2)
        options.max_mem = _PATTERN_MEMORY + os.getpid()  # `re2.compile` remembers by options: the parent's is not ours
        return re2.compile(expression, options)
    except re.error as error:
        raise PatternError(str(error)) from None
    except Exception as error:  # re2.error
        reason = error.args[0] if error.args else error
        raise PatternError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def _options(re2: ModuleType) -> Any:
    options = re2.Options()
    options.log_errors = False
    return options
