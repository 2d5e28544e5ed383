"""Stage 1, sample: a share of the traces, decided by the trace id, so that the records of one trace stay together.

The decision is that of the OpenTelemetry Collector's `probabilistic_sampler` in its `hash_seed` mode: with the same
`sampling_percentage` and `hash_seed` both keep the same traces, wherever in the path each of them stands.
"""

from __future__ import annotations

from logspan.record import Record

_BUCKETS = 0x4000
_FNV_OFFSET, _FNV_PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


class TraceIdSampler:
    """Keeps `sampling_percentage` of the traces, and every record that belongs to none."""

    def __init__(self, sampling_percentage: float, hash_seed: int = 0) -> None:
        self._kept_buckets = int(sampling_percentage * _BUCKETS / 100)
        self._start = _fnv1a(_FNV_OFFSET, (hash_seed & _MASK).to_bytes(4, "little"))
        self._last: tuple[int, bool] = (0, True)

    def __call__(self, record: Record) -> bool:
        """Whether to keep the record; a request's records come together, so the last decision is remembered."""
        trace_id, kept = self._last
        if record.trace_id == trace_id:
            return kept
        kept = self.keeps(record.trace_id)
        self._last = (record.trace_id, kept)
        return kept

    def keeps(self, trace_id: int) -> bool:
        """Whether the records of a trace are kept; 0 is no trace."""
        if trace_id == 0:
            return True
        return _fnv1a(self._start, trace_id.to_bytes(16, "big")) & (_BUCKETS - 1) < self._kept_buckets


def _fnv1a(state: int, data: bytes) -> int:
    for byte in data:
        state = ((state ^ byte) * _FNV_PRIME) & _MASK
    return state
