"""Texts of logs come again, but for their numbers and ids: those that said nothing are remembered without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from logspan.expressions import digits_alike, sieve
from logspan.processors.redact.encoded import has_long_word
from logspan.processors.redact.ids import ids_alike

_ALIKE = bytes(49 if 48 <= byte <= 57 else byte for byte in range(256))
_MOST, _LONGEST = 4_096, 256
"""Texts that are remembered, and their characters."""


class Trial:
    """Whether records with the same keys are like others but for numbers and ids: tried, and after a while tried again.

    Where there is a name in each they are not, and it costs something to find out.
    """

    __slots__ = ("_helped", "_records", "has_ids")

    def __init__(self) -> None:
        self._records = self._helped = 0
        self.has_ids = False
        """Whether they are to be made alike at once: there have been some."""

    def is_on(self) -> bool:
        """Whether it is to be found out for one more record."""
        self._records += 1
        if self._records > _AGAIN:
            self._records = self._helped = 0
        return self._records <= _TRIED or self._helped >= _ENOUGH

    def helped(self) -> None:
        """It was like others."""
        self._helped += 1


_TRIED, _ENOUGH, _AGAIN = 256, 128, 8_192
"""Records of a trial, how many of them have to be like others, and after how many there is another trial."""


class Sifted:
    """Tells whether a rule may find anything in some texts; faster in those whose like it has seen before.

    `order 17 placed` says no more than `order 42 placed` to a sieve that takes all digits for one: where it names no
    rule, no text like it has to be looked at again. It is asked when a text has come again.
    """

    def __init__(self, hints: Iterable[str], may_find: Callable[[bytes], bool]) -> None:
        """`may_find` tells the same of a text (in UTF-8) that has to be looked at."""
        self._match = sieve(tuple(digits_alike(hint, zero="1") for hint in hints))
        self._may_find = may_find
        self._clean: set[bytes] = set()
        self._met: dict[bytes, bool] = {}
        """Texts in which there was nothing with the numbers that they had; whether to ask about them without these."""

    def may_find(self, lines: Sequence[str], joined: str, trial: Trial) -> bool:
        """The same of several, given what they are as lines of one text, and how texts of their kind have done."""
        if not joined.isascii():
            return True
        data = joined.encode()
        if not trial.is_on():
            return self._may_find(data)
        seen = ids_alike(data) if trial.has_ids else data
        texts = seen.translate(_ALIKE).split(b"\n")
        if len(texts) != len(lines):
            return self._may_find(data)
        if self._clean.issuperset(texts):
            trial.helped()
            return False
        if not trial.has_ids and len(ids_alike(data)) != len(data):
            trial.has_ids = True
            return self.may_find(lines, joined, trial)
        return self._may_find_fresh(seen.split(b"\n"), texts)

    def _may_find_fresh(self, lines: Sequence[bytes], texts: Sequence[bytes]) -> bool:
        clean = self._clean
        fresh = [line for line, text in zip(lines, texts, strict=True) if text not in clean]
        if self._may_find(b"\n".join(fresh)):
            return True
        for text in texts:
            if text not in clean and len(text) <= _LONGEST:
                self._meet(text)
        return False

    def _meet(self, text: bytes) -> None:
        """Remember it; the second time, as one in which there is nothing whatever its numbers are."""
        asks = self._met.get(text)
        if asks is None and len(self._met) >= _MOST:
            self._met.clear()
        if asks and not has_long_word(text) and not self._match(text):
            if len(self._clean) >= _MOST:
                self._clean.clear()
            self._clean.add(text)
        self._met[text] = asks is None
