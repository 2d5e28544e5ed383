"""Texts of logs come again, but for their numbers and ids: those that said nothing are remembered without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from logspan.expressions import digits_alike, sieve
from logspan.processors.redact.sieve.encoded import has_long_word
from logspan.processors.redact.sieve.folding import Folding
from logspan.processors.redact.sieve.ids import Forms

_DIGITS = 10 * "1"
_ALIKE = bytes(ord(_DIGITS[byte - 48]) if 48 <= byte <= 57 else byte for byte in range(256))
_MOST, _LONGEST = 4_096, 256
"""Texts that are remembered, and their characters."""
_MOST_RECORDS, _LONGEST_RECORD = 2_048, 2_048
"""The same of all lines of a record."""


class Trial:
    """Whether records with the same keys are like others but for numbers and ids: tried, and after a while tried again.

    Where there is a name in each they are not, and it costs something to find out.
    """

    __slots__ = ("_left", "_misses", "has_ids", "hits", "is_on")

    def __init__(self) -> None:
        self.hits = self._misses = self._left = 0
        """`hits`: records that were like others."""
        self.is_on = True
        """Whether it is to be found out for one more record."""
        self.has_ids = False
        """Whether they are to be made alike at once: there have been some."""

    def missed(self) -> None:
        """A record was not like any other."""
        self._misses += 1
        if self._misses + self.hits >= _TRIED:
            self.is_on = self.hits >= _ENOUGH
            self.hits = self._misses = 0
            self._left = _LEFT_OUT

    def left_out(self) -> None:
        """It was not looked at whether a record was like others."""
        self._left -= 1
        self.is_on = self._left <= 0


_TRIED, _ENOUGH, _LEFT_OUT = 256, 128, 7_936
"""Records of a trial, how many of them have to be like others, and how many are let be where they are not."""


class Sifted:
    """Tells whether a rule may find anything in some texts; faster in those whose like it has seen before.

    `order 17 placed` says no more than `order 42 placed` to a sieve that takes all digits for one: where it names no
    rule, no text like it has to be looked at again. It is asked when a text has come again.
    """

    def __init__(self, hints: Iterable[str], may_find: Callable[[bytes, int], bool], fold: Folding) -> None:
        """`may_find` tells the same of lines (in UTF-8) that have to be looked at, `fold` gives a plain form."""
        self._match = sieve(tuple(digits_alike(hint, _DIGITS) for hint in hints))
        self._may_find, self._fold = may_find, fold
        self._ids_alike = Forms().ids_alike_in_lines
        self._records: dict[bytes, int] = {}
        """All lines of a record, when each of them has been remembered, and how many they are."""
        self._clean = {b""}
        self._met: dict[bytes, bool] = {}
        """Texts in which there was nothing with the numbers that they had; whether to ask about them without these."""

    def may_find(self, lines: str, count: int, trial: Trial) -> bool:
        """The same of several, given how such texts have done: so many lines, the first and the last one empty."""
        data = lines.encode(errors="replace")
        if not trial.is_on:
            trial.left_out()
            return self._may_find(data, count)
        if b"%" in data:  # its digits may be those of other signs
            return self._may_find(data, count)
        seen = self._ids_alike(data) if trial.has_ids else data
        alike = seen.translate(_ALIKE)
        if self._records.get(alike) == count:
            trial.hits += 1
            return False
        return self._may_find_by_line(seen, alike, count, trial)

    def _may_find_by_line(self, seen: bytes, alike: bytes, count: int, trial: Trial) -> bool:
        texts = alike.split(b"\n")
        if len(texts) != count:  # one of them has lines of its own
            trial.missed()
            return self._may_find(seen, 1)
        if self._clean.issuperset(texts):
            trial.hits += 1
            self._remember(alike, count)
            return False
        if not trial.has_ids and len(ids := self._ids_alike(seen)) != len(seen):
            trial.has_ids = True
            return self._may_find_by_line(ids, ids.translate(_ALIKE), count, trial)
        trial.missed()
        return self._may_find_fresh(seen.split(b"\n"), texts)

    def _remember(self, alike: bytes, count: int) -> None:
        if len(alike) <= _LONGEST_RECORD:
            if len(self._records) >= _MOST_RECORDS:
                self._records.clear()
            self._records[alike] = count

    def _may_find_fresh(self, lines: Sequence[bytes], texts: Sequence[bytes]) -> bool:
        clean = self._clean
        fresh = [line for line, text in zip(lines, texts, strict=True) if text not in clean]
        if self._may_find(b"\n".join(fresh), len(fresh)):
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
        if asks and not self._may_say_more(text):
            if len(self._clean) >= _MOST:
                self._clean = {b""}
            self._clean.add(text)
        self._met[text] = asks is None

    def _may_say_more(self, text: bytes) -> bool:
        """Whether there may be something in it with other numbers, as it is written or as it reads."""
        forms = [text]
        if Folding.differs(text):
            plain = self._fold(text)
            if plain is None or b"\\1" in text:
                return True
            forms.append(plain.translate(_ALIKE))
        return any(has_long_word(form) or self._match(form) for form in forms)
