"""Durations in a fixed amount of memory."""

from __future__ import annotations

_PRECISION = 6
_HALF = 1 << _PRECISION
_BUCKETS = 64 * _HALF


class Histogram:
    """Counts of nanoseconds in buckets 1/64 wide of what they hold, so that percentiles are right to 1.6 %."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.longest = 0
        """In nanoseconds, exact."""

    def observe(self, nanoseconds: int) -> None:
        """Count one."""
        shift = max(nanoseconds.bit_length() - _PRECISION - 1, 0)
        self._counts[(shift << _PRECISION) + (nanoseconds >> shift)] += 1
        self.longest = max(self.longest, nanoseconds)

    def add(self, other: Histogram) -> None:
        """Count all that another has counted."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]
        self.longest = max(self.longest, other.longest)

    def percentile(self, percent: float) -> int:
        """The duration in nanoseconds that `percent` of all do not exceed, rounded up to its bucket; 0 for none."""
        wanted = sum(self._counts) * percent / 100
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min(_upper(bucket), self.longest)
        return self.longest


def _upper(bucket: int) -> int:
    """The largest number of a bucket."""
    shift = max((bucket >> _PRECISION) - 1, 0)
    return ((bucket - (shift << _PRECISION) + 1) << shift) - 1
